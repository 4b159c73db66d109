/*
 * auth - who the users are: signing up, in and out.
 *
 * What must happen as a whole is a function of sql/2??_auth_*.sql; C hashes
 * passwords, signs tokens and makes random numbers.  The only program that
 * holds a private key, and a process tree of its own for that, of which
 * kith-passwords is a part.
 */
#include "auth-program.h"

#include "kith.h"

const struct kith_route auth_routes[] = {
	{ KITH_POST, "/signup", auth_signup },
	{ KITH_POST, "/token", auth_token },
	{ KITH_POST, "/logout", auth_logout },
	{ KITH_GET, "/user", auth_get_user },
	{ KITH_PUT, "/user", auth_put_user },
	{ KITH_POST, "/recover", auth_recover },
	{ KITH_POST, "/otp", auth_otp },
	{ KITH_POST, "/magiclink", auth_otp },
	{ KITH_POST, "/resend", auth_resend },
	{ KITH_GET | KITH_POST, "/verify", auth_verify },
	{ KITH_GET, "/reauthenticate", auth_reauthenticate },
	{ KITH_POST, "/invite", auth_invite },
	{ KITH_POST, "/admin/generate_link", auth_generate_link },
	{ KITH_GET | KITH_POST, "/admin/users", auth_admin_users },
	{ KITH_GET | KITH_PUT | KITH_DELETE, "/admin/users/*", auth_admin_user },
	{ KITH_GET, "/authorize", auth_authorize },
	{ KITH_GET, "/settings", auth_settings },
	{ KITH_GET, "/health", auth_health },
	{ 0 },
};

const struct kith_resource kith_auth = {
	.name = "auth",
	.mount = "/auth/v1",
	.routes = auth_routes,
	.login = "kith_auth",
	.init = auth_secrets_init,
	.write_error = auth_write_error,
};
