/*
 * What the parts of the auth program share.  Contract: authentication, part B.
 *
 * A handler checks the body, does what takes long or needs a secret, and calls
 * one function of sql/2??_auth_*.sql for everything that must happen as a whole.
 */
#ifndef AUTH_PROGRAM_H
#define AUTH_PROGRAM_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "auth.h"
#include "json.h"
#include "request.h"
#include "resource.h"
#include "sql.h"

/* --- requests (auth-request.c) --- */

enum auth_caller {
	AUTH_ANYBODY,	/* with an API key */
	AUTH_USER,	/* with a user's token */
	AUTH_SERVICE,	/* with the service key */
};

/* Who is calling; -1 with 401 no_authorization, 403 bad_jwt or 403 not_admin. */
int auth_identify(struct kith_request *req, enum auth_caller who);

/* The body, an object; nothing counts as {}.  NULL with 400 bad_json. */
const struct kith_json *auth_body(struct kith_request *req);

/*
 * Text in a member of the body: *text, NULL when it is absent or null.  -1 with
 * 400 validation_failed when it is anything else.
 */
int auth_text(struct kith_request *req, const struct kith_json *body, const char *member, const char **text);

/* true, false, or what is usual where a member of the body is absent or null; -1 with 400 for anything else. */
int auth_flag(struct kith_request *req, const struct kith_json *body, const char *member, bool usual);

/* A parameter of the query, decoded; NULL when absent, or not decodable. */
const char *auth_query(struct kith_request *req, const char *name);

/* Whether a parameter was sent as this very text, with nothing encoded. */
bool auth_query_is(struct kith_request *req, const char *name, const char *text);

/*
 * The address in a member of the body, in lower case.  NULL with 400
 * validation_failed when it is absent or none: one @, no blanks or control
 * characters, at most 255 bytes.
 */
const char *auth_email(struct kith_request *req, const struct kith_json *body, const char *member);

/* The address that asks, without the port; of IPv6 the network (/64). */
const char *auth_client(struct kith_request *req);

/* What a session notes, as the SQL functions want it: ip, user_agent, issuer, lifetime, key. */
const char *auth_context(struct kith_request *req);

/* What may be tried how often. */
struct auth_limit {
	const char *what;	/* short: "signup" */
	const char *who;	/* an IP address, or a mail address */
	int maximum;
	int seconds;		/* of the window */
};

/*
 * Counts one try for each limit, whatever becomes of it; those of the client's
 * address only where KITH_AUTH_IP_LIMITS is on.  0, or -1 with status
 * and code (429 over_request_rate_limit, 503 where a client would otherwise
 * lose its session) and Retry-After when one is exceeded.
 */
int auth_limit(struct kith_request *req, const struct auth_limit *limits, int n, int status, const char *code);

/* The same, counting nothing. */
int auth_limited(struct kith_request *req, const struct auth_limit *limits, int n, int status, const char *code);

/*
 * Calls a function of schema kith with these arguments, all text and NULL for
 * SQL's null: auth_call(req, "sign_in", user, hash).  One transaction.  The
 * result has a row; NULL with the error set.
 */
#define auth_call(req, function, ...) \
	auth_call_function((req), "select * from kith." function "(", (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
const PGresult *auth_call_function(struct kith_request *req, const char *begin, const char *const *arguments, size_t n);

/* For struct kith_resource: the error in the form that the SDKs read. */
void auth_write_error(struct kith_request *req);

/* --- secrets (auth-secrets.c) --- */

/* Reads the server's own secret from KITH_AUTH_SECRET, and the signing key.  -1 after a line on stderr. */
int auth_secrets_init(void);

/* HMAC-SHA256 of purpose and text under the server's secret, base64url. */
const char *auth_mac(struct kith_arena *a, const char *purpose, const char *text);

/* n random bytes, base64url. */
const char *auth_random(struct kith_arena *a, size_t n);

/* SHA-256 of text, base64url. */
const char *auth_digest(struct kith_arena *a, const char *text);

/* --- answers (auth-sessions.c) --- */

/*
 * Answers with the session that a SQL function made (type kith.signed_in): its
 * two tokens and the user; with the user alone where there is no session.
 * Returns -1 with the error set when the function says that it failed.
 */
int auth_answer_session(struct kith_request *req, const PGresult *result);

/* Answers with the JSON that is the last column; -1 when result is NULL. */
int auth_answer_json(struct kith_request *req, const PGresult *result);

struct auth_tokens {
	const char *access, *refresh;
	int64_t expires;	/* when the access token does */
};

/* The two tokens of a session that a SQL function made; -1 with the error set. */
int auth_make_tokens(struct kith_request *req, const PGresult *result, struct auth_tokens *tokens);

/* --- passwords (auth-passwords.c) --- */

/*
 * A new password of the body, checked; NULL with 422 weak_password or 400
 * validation_failed.
 */
const char *auth_new_password(struct kith_request *req, const struct kith_json *body);

/* Its hash; NULL with 500. */
const char *auth_hash(struct kith_request *req, const char *password);

/* 0 when there is time to hash; -1 with 503 when the request has waited too long for its turn. */
int auth_may_hash(struct kith_request *req);

/* --- one-time links (auth-links.c) --- */

/* What the token of a link begins with whose session an app will fetch by a code (PKCE). */
#define AUTH_FLOW_PREFIX "pkce_"

/* A one-time token: what whoever reads an address may do by a link, or by a code. */
struct auth_link {
	const char *type;	/* signup, invite, magiclink, recovery, email_change_new, _current, reauthentication */
	const char *kind;	/* auth.one_time_token_type */
	const char *email;	/* who can read it */
	const char *old_email, *new_email;	/* of a change; else NULL */
	const char *token;	/* of the link */
	const char *code;	/* to be typed */
	const char *url;	/* NULL for what is a code only */
	const char *redirect;	/* where the link ends */
	const char *challenge, *challenge_method;	/* of the app that waits for it; NULL when none does */
	const char *method;	/* how that app has signed in */
};

/* Makes one; body is asked for a challenge (PKCE) and redirect_to.  -1 with 400 validation_failed. */
int auth_make_link(struct kith_request *req, struct auth_link *link, const struct kith_json *body, const char *type,
    const char *email);

/*
 * The token as kith.send_link() wants it, with a mail made by a template of
 * cgi-bin/mail/; without one when template is NULL.
 */
const char *auth_link_json(struct kith_request *req, const struct auth_link *link, const char *template);

/* Both in one; NULL with the error set. */
const char *auth_link(struct kith_request *req, const struct kith_json *body, const char *type, const char *template,
    const char *email);

/* HMAC of a code for auth.one_time_tokens.code_hash; kind is its token_type. */
const char *auth_code_mac(struct kith_arena *a, const char *kind, const char *email, const char *code);

/* Where a link may end: redirect_to of the query, or of the body, when it is allowed; else the app. */
const char *auth_redirect(struct kith_request *req, const struct kith_json *body);

/* 0 when mail can be sent; -1 with 422 email_provider_disabled. */
int auth_needs_mail(struct kith_request *req);

/* Counts a mail to an address, whoever has it; -1 with 422 as above, or 429 over_email_send_rate_limit. */
int auth_mail_limit(struct kith_request *req, const char *email);

/* The mails that a change of the caller's address needs; *links NULL when it is made at once. */
int auth_email_change(struct kith_request *req, const struct kith_json *body, const char *email, const char **links);

/* 0 when the caller may change the password; -1 with 400 reauthentication_needed or 422 reauthentication_not_valid. */
int auth_check_nonce(struct kith_request *req, const struct kith_json *body);

/* Answers {}; -1 when result is NULL. */
int auth_answer_nothing(struct kith_request *req, const PGresult *result);

/* --- handlers --- */

/* Of kith-auth and kith-passwords. */
extern const struct kith_route auth_routes[];

int auth_signup(struct kith_request *req);
int auth_token(struct kith_request *req);
int auth_sign_in_with_password(struct kith_request *req);
int auth_logout(struct kith_request *req);
int auth_get_user(struct kith_request *req);
int auth_put_user(struct kith_request *req);
int auth_recover(struct kith_request *req);
int auth_otp(struct kith_request *req);
int auth_resend(struct kith_request *req);
int auth_verify(struct kith_request *req);
int auth_exchange_code(struct kith_request *req);
int auth_reauthenticate(struct kith_request *req);
int auth_invite(struct kith_request *req);
int auth_generate_link(struct kith_request *req);
int auth_admin_users(struct kith_request *req);
int auth_admin_user(struct kith_request *req);
int auth_authorize(struct kith_request *req);
int auth_settings(struct kith_request *req);
int auth_health(struct kith_request *req);

#endif
