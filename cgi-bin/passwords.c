/*
 * passwords - the requests of auth that hash a password, which takes a core for
 * 70 ms: in processes of their own, behind everybody else.
 *
 * So a refresh never waits for a storm of sign-ins, and what these can take
 * from the rest of the machine is what nobody else wants.  nginx/auth-map.conf
 * says which requests come here; routes and handlers are those of auth.
 */
#include "auth-program.h"

#include "kith.h"

/* As many as hash at the same time. */
#define PROCESSES 2

#define NICE 19

const struct kith_resource kith_passwords = {
	.name = "passwords",
	.mount = "/auth/v1",
	.beside = true,
	.routes = auth_routes,
	.login = "kith_auth",
	.write_error = auth_write_error,
	.processes = PROCESSES,
	.nice = NICE,
};
