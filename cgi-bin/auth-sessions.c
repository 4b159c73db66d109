#include "auth-program.h"

#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "db.h"
#include "refresh_token.h"
#include "settings.h"
#include "sign.h"

/* Sessions made here have a key that is only half of it: a dump of the database makes no tokens. */
#define OWN_KEY "k1."

/* What GoTrue stored before it had tokens of this kind. */
#define IMPORTED_LENGTH 12

static void
begin_json(struct kith_request *req)
{
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
}

int
auth_answer_json(struct kith_request *req, const PGresult *result)
{
	if (!result)
		return -1;
	begin_json(req);
	kith_buf_puts(&req->reply.body, PQgetvalue(result, 0, PQnfields(result) - 1));
	return 0;
}

static const char *
value(const PGresult *result, const char *column)
{
	int i = PQfnumber(result, column);

	return PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
}

/* The bytes that sign a session's refresh tokens. */
static const char *
signing_bytes(struct kith_arena *a, const char *stored, size_t *n)
{
	const char *bytes;

	if (!strncmp(stored, OWN_KEY, strlen(OWN_KEY))) {
		bytes = auth_mac(a, "refresh-token", stored);
		*n = strlen(bytes);
		return bytes;
	}
	/* Of a session that came with a dump. */
	return kith_base64url_decode(a, stored, strlen(stored), n);
}

static const char *
refresh_token(struct kith_request *req, const PGresult *result)
{
	const char *counter = value(result, "counter"), *key;
	long number;
	size_t n;

	key = signing_bytes(req->arena, value(result, "key"), &n);
	if (!key || !kith_parse_long(counter, 0, INT64_MAX, &number))
		return NULL;
	return kith_refresh_token_make(req->arena, value(result, "session_id"), number, key, n);
}

static int
refuse_session(struct kith_request *req, const char *failure)
{
	static const struct {
		const char *failure, *message;
	} messages[] = {
		{ "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found" },
		{ "refresh_token_already_used", "Invalid Refresh Token: Already Used" },
		{ "session_not_found", "Invalid Refresh Token: Session Not Found" },
		{ "session_expired", "Invalid Refresh Token: Session Expired" },
		{ "user_banned", "User is banned" },
	};

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (!strcmp(failure, messages[i].failure))
			return kith_fail(req, 400, messages[i].failure, "%s", messages[i].message);
	return kith_fail(req, 400, kith_strdup(req->arena, failure), "Invalid Refresh Token");
}

int
auth_make_tokens(struct kith_request *req, const PGresult *result, struct auth_tokens *tokens)
{
	const char *claims = value(result, "claims");
	const struct kith_json *parsed = kith_json_parse(req->arena, claims, strlen(claims), NULL);

	tokens->access = kith_sign(req, claims);
	tokens->refresh = refresh_token(req, result);
	if (!tokens->access)
		return -1;
	if (!tokens->refresh || kith_json_integer(parsed, "exp", &tokens->expires) != 1)
		return kith_fail(req, 500, "unexpected_failure", "the session's key cannot be used");
	return 0;
}

int
auth_answer_session(struct kith_request *req, const PGresult *result)
{
	struct kith_buf *body = &req->reply.body;
	struct auth_tokens tokens;
	const char *user;

	if (!result)
		return -1;
	if (value(result, "failure"))
		return refuse_session(req, value(result, "failure"));
	user = value(result, "user_json");
	if (!value(result, "session_id"))
		return auth_answer_json(req, result);
	if (auth_make_tokens(req, result, &tokens))
		return -1;
	begin_json(req);
	kith_buf_printf(body,
	    "{\"access_token\":\"%s\",\"token_type\":\"bearer\",\"expires_in\":%ld,\"expires_at\":%lld,"
	    "\"refresh_token\":\"%s\",\"user\":", tokens.access, kith_settings.jwt_expiry, (long long)tokens.expires,
	    tokens.refresh);
	kith_buf_puts(body, user);
	kith_buf_putc(body, '}');
	return 0;
}

static int
sign_up_guest(struct kith_request *req)
{
	const struct auth_limit limit = { "anonymous", auth_client(req), 30, 3600 };

	if (!kith_settings.anonymous_sign_ins)
		return kith_fail(req, 422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
	if (auth_limit(req, &limit, 1, 429, "over_request_rate_limit"))
		return -1;
	return auth_answer_session(req,
	    auth_call(req, "sign_up_guest", req->body_len ? req->body : "{}", auth_context(req)));
}

static int
sign_up(struct kith_request *req, const struct kith_json *body)
{
	const struct auth_limit limit = { "signup", auth_client(req), 30, 300 };
	const char *email, *password, *hash, *link = NULL;

	if (!(email = auth_email(req, body, "email")) || !(password = auth_new_password(req, body)) ||
	    auth_limit(req, &limit, 1, 429, "over_request_rate_limit") || auth_may_hash(req))
		return -1;
	if (!kith_settings.autoconfirm &&
	    (!(link = auth_link(req, body, "signup", "confirmation", email)) || auth_mail_limit(req, email)))
		return -1;
	/* Also for an address that is taken: the time must not tell. */
	if (!(hash = auth_hash(req, password)))
		return -1;
	return auth_answer_session(req, auth_call(req, "sign_up", email, hash, req->body,
	    kith_settings.autoconfirm ? "true" : "false", link, auth_context(req)));
}

int
auth_signup(struct kith_request *req)
{
	const struct kith_json *body;
	const char *email, *phone;

	if (auth_identify(req, AUTH_ANYBODY) || !(body = auth_body(req)) || auth_text(req, body, "email", &email) ||
	    auth_text(req, body, "phone", &phone))
		return -1;
	if (kith_settings.disable_signup)
		return kith_fail(req, 422, "signup_disabled", "Signups not allowed for this instance");
	if (email)
		return sign_up(req, body);
	if (phone && *phone)
		return kith_fail(req, 400, "phone_provider_disabled", "Phone signups are disabled");
	return sign_up_guest(req);
}

/* 0 when the token was signed with its session's key. */
static int
check_signature(struct kith_request *req, const struct kith_refresh_token *token)
{
	const PGresult *result;
	const char *key;
	size_t n;

	result = auth_call(req, "refresh_key", token->session);
	if (!result)
		return -1;
	if (PQgetisnull(result, 0, 0))
		return refuse_session(req, "session_not_found");
	key = signing_bytes(req->arena, PQgetvalue(result, 0, 0), &n);
	return key && kith_refresh_token_signed(token, key, n) ? 0 : refuse_session(req, "refresh_token_not_found");
}

static int
refresh(struct kith_request *req, const struct kith_refresh_token *token)
{
	if (check_signature(req, token))
		return -1;
	return auth_answer_session(req, auth_call(req, "refresh", token->session,
	    kith_format(req->arena, "%lld", (long long)token->counter), auth_context(req)));
}

static bool
is_imported(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == IMPORTED_LENGTH && !text[IMPORTED_LENGTH];
}

static int
sign_in_with_refresh_token(struct kith_request *req)
{
	const struct auth_limit limit = { "refresh", auth_client(req), 150, 300 };
	const struct kith_json *body = auth_body(req);
	struct kith_refresh_token token;
	const char *text;

	if (!body)
		return -1;
	text = kith_json_string(body, "refresh_token");
	if (!text || !*text)
		return kith_fail(req, 400, "validation_failed", "refresh_token required");
	/* Anything but 503 would end the session in the client. */
	if (auth_limit(req, &limit, 1, 503, "over_request_rate_limit"))
		return -1;
	if (is_imported(text))
		return auth_answer_session(req, auth_call(req, "refresh_imported", text, auth_context(req)));
	if (kith_refresh_token_parse(req->arena, text, &token))
		return refuse_session(req, "refresh_token_not_found");
	return refresh(req, &token);
}

int
auth_token(struct kith_request *req)
{
	static const struct {
		const char *grant;
		int (*handle)(struct kith_request *req);
	} grants[] = {
		{ "password", auth_sign_in_with_password },
		{ "refresh_token", sign_in_with_refresh_token },
		{ "pkce", auth_exchange_code },
	};

	if (auth_identify(req, AUTH_ANYBODY))
		return -1;
	/* As it was sent: nginx, which chooses the processes by it, decodes nothing either. */
	for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++)
		if (auth_query_is(req, "grant_type", grants[i].grant))
			return grants[i].handle(req);
	return kith_fail(req, 400, "unsupported_grant_type", "unsupported_grant_type");
}

int
auth_logout(struct kith_request *req)
{
	static const char *const scopes[] = { "global", "local", "others" };
	const char *scope = auth_query(req, "scope");
	size_t i = 0;

	if (auth_identify(req, AUTH_USER))
		return -1;
	for (; scope && i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (!strcmp(scope, scopes[i]))
			break;
	if (i == sizeof(scopes) / sizeof(scopes[0]))
		return kith_fail(req, 400, "validation_failed", "Unsupported logout scope \"%.40s\"", scope);
	if (!auth_call(req, "sign_out", req->identity->subject, req->identity->session, scopes[i]))
		return -1;
	req->reply.status = 204;
	return 0;
}
