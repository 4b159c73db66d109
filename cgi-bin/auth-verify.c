#include "auth-program.h"

#include <string.h>
#include <strings.h>

#include "arena.h"
#include "form.h"
#include "kith.h"
#include "settings.h"

#define CODE_BYTES 32
#define FORM "application/x-www-form-urlencoded"

/* What supabase-js asks to verify, and the tokens that this may be. */
static const struct type {
	const char *name;
	const char *kinds[3];
} types[] = {
	{ "signup", { "confirmation_token" } },
	{ "invite", { "confirmation_token" } },
	{ "magiclink", { "recovery_token" } },
	{ "recovery", { "recovery_token" } },
	{ "email", { "confirmation_token", "recovery_token" } },
	{ "email_change", { "email_change_token_new", "email_change_token_current" } },
};

/* Wrong, used and expired look alike. */
static const struct failure {
	const char *code;
	int status;
	const char *message, *in_browser;
} failures[] = {
	{ "otp_expired", 403, "Token has expired or is invalid", "Email link is invalid or has expired" },
	{ "user_banned", 403, "User is banned", "User is banned" },
	{ "email_exists", 422, "A user with this email address has already been registered",
	    "A user with this email address has already been registered" },
};

static const char other_address[] =
    "Confirmation link accepted. Please proceed to confirm link sent to the other email";

static const struct type *
find_type(const char *name)
{
	for (size_t i = 0; name && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

static const struct failure *
find_failure(const char *code)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (!strcmp(failures[i].code, code))
			return &failures[i];
	return &failures[0];
}

static const char *
kinds_array(struct kith_request *req, const struct type *type)
{
	struct kith_buf out;

	kith_buf_init(&out, req->arena, 0);
	kith_sql_array(&out, type->kinds);
	return out.s;
}

static int
may_try(struct kith_request *req)
{
	const struct auth_limit tries = { "verify", auth_client(req), 30, 300 };

	return auth_limit(req, &tries, 1, 429, "over_request_rate_limit");
}

/* Why there is no session: a word of kith.redeem(), NULL when there is one. */
static const char *
failure_of(const PGresult *result)
{
	int i = PQfnumber(result, "failure");

	return PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
}

static int
answer(struct kith_request *req, const PGresult *result)
{
	const char *failure = result ? failure_of(result) : NULL;
	const struct failure *f;

	if (!failure)
		return auth_answer_session(req, result);
	if (!strcmp(failure, "other_address")) {
		req->reply.status = 200;
		kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
		kith_buf_printf(&req->reply.body, "{\"msg\":\"%s\",\"code\":\"200\"}", other_address);
		return 0;
	}
	f = find_failure(failure);
	return kith_fail(req, f->status, f->code, "%s", f->message);
}

static int
verify_code(struct kith_request *req, const struct kith_json *body, const struct type *type, const char *code)
{
	const char *email = auth_email(req, body, "email"), *codes[3] = { 0 };
	struct kith_buf macs;

	if (!email || may_try(req))
		return -1;
	for (size_t i = 0; type->kinds[i]; i++)
		codes[i] = auth_code_mac(req->arena, type->kinds[i], email, code);
	kith_buf_init(&macs, req->arena, 0);
	kith_sql_array(&macs, codes);
	return answer(req, auth_call(req, "verify_code", email, kinds_array(req, type), macs.s, auth_context(req)));
}

static int
verify_in_app(struct kith_request *req)
{
	const char *name, *code, *token, *email;
	const struct kith_json *body;
	const struct type *type;

	if (auth_identify(req, AUTH_ANYBODY) || !(body = auth_body(req)) || auth_text(req, body, "type", &name) ||
	    auth_text(req, body, "token", &code) || auth_text(req, body, "token_hash", &token) ||
	    auth_text(req, body, "email", &email))
		return -1;
	type = find_type(name);
	if (!type)
		return kith_fail(req, 400, "validation_failed", "Verify requires a verification type");
	if ((!code || !*code) && (!token || !*token))
		return kith_fail(req, 400, "validation_failed", "Verify requires a token or a token hash");
	if (token && *token && (code || email))
		return kith_fail(req, 400, "validation_failed", "Only the token_hash and type should be provided");
	if (code && *code)
		return verify_code(req, body, type, code);
	if (may_try(req))
		return -1;
	return answer(req, auth_call(req, "verify_link", auth_digest(req->arena, token), kinds_array(req, type), NULL,
	    auth_context(req)));
}

/* Where to, with what behind "?" and "#" there; a fragment of its own goes, or ends up behind the query. */
static int
redirect(struct kith_request *req, const char *to, const char *query, const char *fragment)
{
	int length = (int)strcspn(to, "#");

	req->reply.status = 303;
	kith_reply_header(req, "Referrer-Policy", "no-referrer");
	kith_reply_header(req, "Location", "%.*s%s%s%s%s", length, to,
	    !query ? "" : memchr(to, '?', (size_t)length) ? "&" : "?", query ? query : "", fragment ? "#" : to + length,
	    fragment ? fragment : "");
	return 0;
}

static int
redirect_failure(struct kith_request *req, const char *to, const char *token, const char *code, const char *message)
{
	struct kith_buf out;

	kith_buf_init(&out, req->arena, 0);
	kith_form_field(&out, "error", "access_denied");
	kith_form_field(&out, "error_code", code);
	kith_form_field(&out, "error_description", message);
	return redirect(req, to, strncmp(token, AUTH_FLOW_PREFIX, strlen(AUTH_FLOW_PREFIX)) ? NULL : out.s, out.s);
}

static int
redirect_session(struct kith_request *req, const char *to, const PGresult *result, const char *type)
{
	struct auth_tokens tokens;
	struct kith_buf out;

	if (auth_make_tokens(req, result, &tokens))
		return -1;
	kith_buf_init(&out, req->arena, 0);
	kith_form_field(&out, "access_token", tokens.access);
	kith_buf_printf(&out, "&expires_at=%lld&expires_in=%ld", (long long)tokens.expires, kith_settings.jwt_expiry);
	kith_form_field(&out, "refresh_token", tokens.refresh);
	kith_form_field(&out, "token_type", "bearer");
	kith_form_field(&out, "type", type);
	kith_buf_lit(&out, "&sb=");
	return redirect(req, to, NULL, out.s);
}

static int
follow(struct kith_request *req, const struct type *type, const char *token, const char *to)
{
	const char *code = auth_random(req->arena, CODE_BYTES), *failure;
	const PGresult *result;
	struct kith_buf out;

	if (may_try(req)) {
		if (req->error.status != 429)
			return -1;
		memset(&req->error, 0, sizeof(req->error));
		return redirect_failure(req, to, token, "over_request_rate_limit", "Request rate limit reached");
	}
	result = auth_call(req, "verify_link", auth_digest(req->arena, token), kinds_array(req, type),
	    auth_digest(req->arena, code), auth_context(req));
	if (!result)
		return -1;
	failure = failure_of(result);
	if (!failure)
		return redirect_session(req, to, result, type->name);
	kith_buf_init(&out, req->arena, 0);
	if (!strcmp(failure, "fetch_by_code")) {
		kith_form_field(&out, "code", code);
		return redirect(req, to, out.s, NULL);
	}
	if (!strcmp(failure, "other_address")) {
		kith_form_field(&out, "message", other_address);
		return redirect(req, to, NULL, out.s);
	}
	return redirect_failure(req, to, token, find_failure(failure)->code, find_failure(failure)->in_browser);
}

/* nginx has the pages. */
static int
show(struct kith_request *req, const char *page)
{
	req->reply.status = 200;
	kith_reply_header(req, "X-Accel-Redirect", "/auth/v1/pages/%s.html", page);
	return 0;
}

static int
open_link(struct kith_request *req)
{
	const char *token = auth_query(req, "token"), *to = auth_redirect(req, NULL);
	const struct type *type = find_type(auth_query(req, "type"));
	const PGresult *result;

	/* Cut off by the program that showed the mail. */
	if (!token || !*token || !type)
		return req->error.status ? -1 : show(req, "expired");
	if (req->method == KITH_POST || (req->method == KITH_GET && kith_settings.verify_get))
		return follow(req, type, token, to);
	result = auth_call(req, "is_link_open", auth_digest(req->arena, token), kinds_array(req, type));
	if (!result)
		return -1;
	if (*PQgetvalue(result, 0, 0) != 't')
		return redirect_failure(req, to, token, failures[0].code, failures[0].in_browser);
	return show(req, !strcmp(type->name, "recovery") ? "reset" : "confirm");
}

int
auth_verify(struct kith_request *req)
{
	const char *content = kith_request_header(req, "content-type");

	/* The button of a page posts to the address of the link. */
	if (req->method == KITH_POST && (!content || strncasecmp(content, FORM, strlen(FORM))))
		return verify_in_app(req);
	return open_link(req);
}

int
auth_exchange_code(struct kith_request *req)
{
	const char *code, *verifier;
	const struct kith_json *body = auth_body(req);

	if (!body || auth_text(req, body, "auth_code", &code) || auth_text(req, body, "code_verifier", &verifier))
		return -1;
	if (!code || !*code || !verifier || !*verifier)
		return kith_fail(req, 400, "validation_failed",
		    "invalid request: both auth code and code verifier should be non-empty");
	if (may_try(req))
		return -1;
	return auth_answer_session(req, auth_call(req, "exchange_code", auth_digest(req->arena, code), verifier,
	    auth_digest(req->arena, verifier), auth_context(req)));
}

int
auth_authorize(struct kith_request *req)
{
	const char *provider = auth_query(req, "provider");

	if (req->error.status)
		return -1;
	return kith_fail(req, 400, "validation_failed", "Unsupported provider: %s",
	    provider ? "provider is not enabled" : "missing provider");
}
