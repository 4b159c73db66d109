/*
 * auth - who the users are: signing up, in and out.
 *
 * What must happen as a whole is a function of sql/24*_auth_*.sql; C hashes
 * passwords, signs tokens and makes random numbers.  The only program that
 * holds a private key, and a process tree of its own for that.
 */
#include "auth-program.h"

#include "kith.h"

static const struct kith_route routes[] = {
	{ KITH_POST, "/signup", auth_signup },
	{ KITH_POST, "/token", auth_token },
	{ KITH_POST, "/logout", auth_logout },
	{ KITH_GET, "/user", auth_get_user },
	{ KITH_PUT, "/user", auth_put_user },
	{ KITH_GET, "/settings", auth_settings },
	{ KITH_GET, "/health", auth_health },
	{ 0 },
};

const struct kith_resource kith_auth = {
	.name = "auth",
	.mount = "/auth/v1",
	.routes = routes,
	.login = "kith_auth",
	.init = auth_secrets_init,
	.write_error = auth_write_error,
};
