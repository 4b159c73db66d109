#include "auth-program.h"

#include <string.h>

#include "arena.h"
#include "kith.h"
#include "password.h"
#include "settings.h"

int
auth_get_user(struct kith_request *req)
{
	if (auth_identify(req, AUTH_USER))
		return -1;
	return auth_answer_json(req, auth_call(req, "get_user", req->identity->subject, req->identity->session));
}

/*
 * The password in force, where it is asked for: always when the client names
 * one, by a setting of everybody who signed in by it.  Guesses are counted, for
 * the token may be a thief's.
 */
static int
check_current(struct kith_request *req, const struct kith_json *body, const char *hash)
{
	const struct auth_limit failures = { "current-password", req->identity->subject, 10, 900 };
	const char *current;
	const PGresult *result;

	if (auth_text(req, body, "current_password", &current))
		return -1;
	if (!hash || (!current && !kith_settings.current_password))
		return 0;
	if (!current) {
		result = auth_call(req, "signed_in_by_password", req->identity->session);
		if (!result || !strcmp(PQgetvalue(result, 0, 0), "f"))
			return result ? 0 : -1;
		return kith_fail(req, 400, "current_password_required", "Current password required when setting new password.");
	}
	if (auth_limited(req, &failures, 1, 429, "over_request_rate_limit"))
		return -1;
	if (strlen(current) <= KITH_PASSWORD_MAX && kith_password_matches(current, hash))
		return 0;
	if (auth_limit(req, &failures, 1, 429, "over_request_rate_limit"))
		return -1;
	return kith_fail(req, 400, "current_password_mismatch", "Current password is not correct.");
}

/* The hash of a new password; -1 with 422 same_password when it is the old one. */
static int
change_password(struct kith_request *req, const struct kith_json *body, const char **hash)
{
	const char *password = auth_new_password(req, body), *old;
	const PGresult *result;

	if (!password || auth_check_nonce(req, body) || auth_may_hash(req))
		return -1;
	result = auth_call(req, "own_password", req->identity->subject, req->identity->session);
	if (!result)
		return -1;
	old = PQgetisnull(result, 0, 0) ? NULL : PQgetvalue(result, 0, 0);
	if (check_current(req, body, old))
		return -1;
	if (old && kith_password_matches(password, old))
		return kith_fail(req, 422, "same_password", "New password should be different from the old password.");
	*hash = auth_hash(req, password);
	return *hash ? 0 : -1;
}

int
auth_put_user(struct kith_request *req)
{
	const struct kith_json *body;
	const char *hash = NULL, *email, *password, *links = NULL;

	if (auth_identify(req, AUTH_USER) || !(body = auth_body(req)) || auth_text(req, body, "email", &email) ||
	    auth_text(req, body, "password", &password))
		return -1;
	if (kith_json_get(body, "app_metadata"))
		return kith_fail(req, 403, "not_admin", "Updating app_metadata requires admin privileges");
	if (email && !(email = auth_email(req, body, "email")))
		return -1;
	if (password && change_password(req, body, &hash))
		return -1;
	if (email && auth_email_change(req, body, email, &links))
		return -1;
	return auth_answer_json(req, auth_call(req, "update_user", req->identity->subject, req->identity->session,
	    req->body, email, hash, links ? "false" : "true", links));
}

static const char *
truth(bool value)
{
	return value ? "true" : "false";
}

int
auth_settings(struct kith_request *req)
{
	if (auth_identify(req, AUTH_ANYBODY))
		return -1;
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
	kith_buf_printf(&req->reply.body,
	    "{\"external\":{\"email\":true,\"phone\":false,\"anonymous_users\":%s},\"disable_signup\":%s,"
	    "\"mailer_autoconfirm\":%s,\"phone_autoconfirm\":false,\"sms_provider\":\"\",\"saml_enabled\":false}",
	    truth(kith_settings.anonymous_sign_ins), truth(kith_settings.disable_signup),
	    truth(kith_settings.autoconfirm));
	return 0;
}

int
auth_health(struct kith_request *req)
{
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
	kith_buf_lit(&req->reply.body,
	    "{\"name\":\"kith-auth\",\"version\":\"1\",\"description\":\"Kith signs users in\"}");
	return 0;
}
