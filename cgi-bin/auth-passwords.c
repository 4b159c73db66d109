#include "auth-program.h"

#include <string.h>

#include "arena.h"
#include "clock.h"
#include "db.h"
#include "password.h"
#include "settings.h"

/* Whoever has waited for longer has given up, or will soon. */
#define PATIENCE_US INT64_C(5000000)

const char *
auth_new_password(struct kith_request *req, const struct kith_json *body)
{
	const char *password = kith_json_string(body, "password");
	size_t n = password ? strlen(password) : 0;

	if (!n) {
		kith_fail(req, 400, "validation_failed", "Signup requires a valid password");
		return NULL;
	}
	/* bcrypt would not look at the rest: two passwords would be one. */
	if (n > KITH_PASSWORD_MAX) {
		kith_fail(req, 400, "validation_failed", "Password cannot be longer than %d bytes", KITH_PASSWORD_MAX);
		return NULL;
	}
	if (n < (size_t)kith_settings.password_min_length) {
		kith_fail(req, 422, "weak_password", "Password should be at least %ld characters.",
		    kith_settings.password_min_length);
		kith_fail_details(req, "\"length\"");
		return NULL;
	}
	return password;
}

int
auth_may_hash(struct kith_request *req)
{
	int64_t waited = req->sent_us ? kith_clock_us() - req->sent_us : 0;

	if (waited < PATIENCE_US)
		return 0;
	kith_reply_header(req, "Retry-After", "5");
	return kith_fail(req, 503, "request_timeout", "Too many people are signing in at this moment");
}

const char *
auth_hash(struct kith_request *req, const char *password)
{
	const char *hash = kith_password_hash(req->arena, password, kith_settings.password_method);

	if (!hash)
		kith_fail(req, 500, "unexpected_failure", "the password could not be hashed");
	return hash;
}

/* Failures are counted by address and by who tries, so that nobody can lock another out for long. */
static int
sign_in(struct kith_request *req, const char *email, const char *password)
{
	const char *client = auth_client(req);
	const char *pair = kith_format(req->arena, "%s %s", email, client);
	const struct auth_limit tries = { "password", client, 30, 300 };
	const struct auth_limit failures[] = {
		{ "password-pair", pair, 10, 900 },
		{ "password-address", email, 50, 3600 },
	};
	const char *hash, *user, *new = NULL;
	const PGresult *result;

	if (auth_limit(req, &tries, 1, 429, "over_request_rate_limit") ||
	    auth_limited(req, failures, 2, 429, "over_request_rate_limit") || auth_may_hash(req))
		return -1;
	result = auth_call(req, "password_of", email);
	if (!result)
		return -1;
	user = PQntuples(result) && !PQgetisnull(result, 0, 0) ? PQgetvalue(result, 0, 0) : NULL;
	hash = user && !PQgetisnull(result, 0, 1) ? PQgetvalue(result, 0, 1) : NULL;
	if (!kith_password_matches(password, hash)) {
		if (auth_limit(req, failures, 2, 429, "over_request_rate_limit"))
			return -1;
		return kith_fail(req, 400, "invalid_credentials", "Invalid login credentials");
	}
	if (kith_password_hash_outdated(hash, kith_settings.password_method))
		new = auth_hash(req, password);
	return auth_answer_session(req, auth_call(req, "sign_in", user, hash, new, auth_context(req)));
}

int
auth_sign_in_with_password(struct kith_request *req)
{
	const struct kith_json *body = auth_body(req);
	const char *email, *phone, *password;

	if (!body || auth_text(req, body, "email", &email) || auth_text(req, body, "phone", &phone) ||
	    auth_text(req, body, "password", &password))
		return -1;
	if (!email && phone)
		return kith_fail(req, 400, "phone_provider_disabled", "Phone logins are disabled");
	if (!(email = auth_email(req, body, "email")))
		return -1;
	/* No stored password is as long. */
	if (!password || !*password || strlen(password) > KITH_PASSWORD_MAX)
		return kith_fail(req, 400, "invalid_credentials", "Invalid login credentials");
	return sign_in(req, email, password);
}
