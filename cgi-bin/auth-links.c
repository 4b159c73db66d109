#include "auth-program.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include <openssl/rand.h>

#include "arena.h"
#include "form.h"
#include "kith.h"
#include "log.h"
#include "redirect_url.h"
#include "settings.h"

#define TOKEN_BYTES 32
#define CODES 1000000u
#define LIFETIME_S 3600
#define CHALLENGE_MIN 43
#define CHALLENGE_MAX 128

/* clang-format off */
static const struct {
	const char *type;	/* what is mailed */
	const char *verify;	/* what GET /verify calls it */
	const char *kind;	/* auth.one_time_token_type */
	const char *method;	/* how the app that waits for it has signed in */
} kinds[] = {
	{ "signup",               "signup",       "confirmation_token",         "email/signup" },
	{ "invite",               "invite",       "confirmation_token",         "invite" },
	{ "magiclink",            "magiclink",    "recovery_token",             "magiclink" },
	{ "recovery",             "recovery",     "recovery_token",             "recovery" },
	{ "email_change_new",     "email_change", "email_change_token_new",     "email_change" },
	{ "email_change_current", "email_change", "email_change_token_current", "email_change" },
	{ "reauthentication",     NULL,           "reauthentication_token",     NULL },
};
/* clang-format on */

/* Six digits, all equally likely: what does not divide evenly is drawn again. */
static const char *
new_code(struct kith_arena *a)
{
	unsigned n;

	do {
		if (RAND_bytes((unsigned char *)&n, sizeof(n)) != 1) {
			kith_log(KITH_LOG_ERROR, "no random bytes");
			exit(EX_OSERR);
		}
	} while (n >= 4294u * CODES);
	return kith_format(a, "%06u", n % CODES);
}

const char *
auth_code_mac(struct kith_arena *a, const char *kind, const char *email, const char *code)
{
	return auth_mac(a, "code", kith_format(a, "%s %s %s", kind, email, code));
}

const char *
auth_redirect(struct kith_request *req, const struct kith_json *body)
{
	const char *url = auth_query(req, "redirect_to");

	if (!url && body)
		url = kith_json_string(body, "redirect_to");
	if (url && kith_redirect_url_allowed(url, kith_settings.site_url, kith_settings.redirect_urls))
		return url;
	return kith_settings.site_url;
}

static bool
is_challenge(const char *text)
{
	size_t n = strlen(text);

	return n >= CHALLENGE_MIN && n <= CHALLENGE_MAX &&
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_~") == n;
}

/* The app that waits for the link; challenge NULL when none does. */
static int
read_flow(struct kith_request *req, const struct kith_json *body, const char **challenge, const char **method)
{
	if (auth_text(req, body, "code_challenge", challenge) || auth_text(req, body, "code_challenge_method", method))
		return -1;
	if (*challenge && !**challenge)
		*challenge = NULL;
	if (*method && !**method)
		*method = NULL;
	if (!*challenge && !*method)
		return 0;
	if (!*challenge || !*method)
		return kith_fail(req, 400, "validation_failed",
		    "PKCE flow requires code_challenge_method and code_challenge");
	if (strcasecmp(*method, "s256") && strcasecmp(*method, "plain"))
		return kith_fail(req, 400, "validation_failed", "code_challenge_method must be s256 or plain");
	if (!is_challenge(*challenge))
		return kith_fail(req, 400, "validation_failed",
		    "code challenge has to be between %d and %d characters of A-Z, a-z, 0-9 and -._~",
		    CHALLENGE_MIN, CHALLENGE_MAX);
	return 0;
}

int
auth_make_link(struct kith_request *req, struct auth_link *link, const struct kith_json *body, const char *type,
    const char *email)
{
	struct kith_buf url;
	size_t i = 0;

	memset(link, 0, sizeof(*link));
	while (strcmp(kinds[i].type, type))
		i++;
	if (body && kinds[i].method && read_flow(req, body, &link->challenge, &link->challenge_method))
		return -1;
	link->type = type;
	link->kind = kinds[i].kind;
	link->method = kinds[i].method;
	link->email = email;
	link->code = new_code(req->arena);
	/* Who cannot read an answer after the "#" is told by it to look for it before that. */
	link->token = kith_format(req->arena, "%s%s", link->challenge ? AUTH_FLOW_PREFIX : "",
	    auth_random(req->arena, TOKEN_BYTES));
	link->redirect = auth_redirect(req, body);
	if (kinds[i].verify) {
		kith_buf_init(&url, req->arena, 0);
		kith_buf_printf(&url, "%s/verify?token=%s&type=%s&redirect_to=", kith_settings.issuer, link->token,
		    kinds[i].verify);
		kith_form_encode(&url, link->redirect);
		link->url = url.s;
	}
	return 0;
}

/* The payload of a mail; the SQL function adds the user's metadata. */
static void
mail(struct kith_buf *out, const char *template, const struct auth_link *link, bool secrets)
{
	kith_buf_putc(out, '{');
	kith_json_write_member(out, "template", template);
	kith_json_write_member(out, "to", link->email);
	kith_buf_lit(out, ",\"data\":{");
	kith_json_write_member(out, "Email", link->old_email ? link->old_email : link->email);
	kith_json_write_member(out, "NewEmail", link->new_email);
	kith_json_write_member(out, "SiteURL", kith_settings.site_url);
	kith_json_write_member(out, "RedirectTo", link->redirect);
	if (secrets) {
		kith_json_write_member(out, "ConfirmationURL", link->url);
		kith_json_write_member(out, "Token", link->code);
		kith_json_write_member(out, "TokenHash", link->url ? link->token : NULL);
	}
	kith_buf_lit(out, "}}");
}

const char *
auth_link_json(struct kith_request *req, const struct auth_link *link, const char *template)
{
	struct kith_buf out;

	kith_buf_init(&out, req->arena, 0);
	kith_buf_putc(&out, '{');
	kith_json_write_member(&out, "token_hash", auth_digest(req->arena, link->token));
	kith_json_write_member(&out, "code_hash", auth_code_mac(req->arena, link->kind, link->email, link->code));
	kith_buf_printf(&out, ",\"lifetime\":%d", LIFETIME_S);
	if (link->challenge) {
		kith_buf_lit(&out, ",\"flow\":{");
		kith_json_write_member(&out, "challenge", link->challenge);
		kith_json_write_member(&out, "method", strcasecmp(link->challenge_method, "plain") ? "s256" : "plain");
		kith_json_write_member(&out, "authentication_method", link->method);
		kith_buf_putc(&out, '}');
	}
	if (template) {
		kith_buf_lit(&out, ",\"mail\":");
		mail(&out, template, link, true);
		/* For the owner of an address that somebody signs up with again. */
		kith_buf_lit(&out, ",\"notice\":");
		mail(&out, "account_exists", link, false);
	}
	kith_buf_putc(&out, '}');
	return out.s;
}

const char *
auth_link(struct kith_request *req, const struct kith_json *body, const char *type, const char *template,
    const char *email)
{
	struct auth_link link;

	return auth_make_link(req, &link, body, type, email) ? NULL : auth_link_json(req, &link, template);
}

int
auth_needs_mail(struct kith_request *req)
{
	if (kith_settings.mail)
		return 0;
	return kith_fail(req, 422, "email_provider_disabled",
	    "Mail is not set up on this server: set KITH_SMTP_URL or KITH_RESEND_API_KEY");
}

int
auth_mail_limit(struct kith_request *req, const char *email)
{
	const struct auth_limit limits[] = {
		{ "mail", email, 1, 60 },
		{ "mails", "everybody", (int)kith_settings.mails_per_hour, 3600 },
	};

	if (auth_needs_mail(req))
		return -1;
	return auth_limit(req, limits, kith_settings.mails_per_hour ? 2 : 1, 429, "over_email_send_rate_limit");
}

/*
 * What everybody may ask for begins alike, whoever has the address: the body
 * and its address, and the limits.
 */
static int
begin(struct kith_request *req, const struct kith_json **body, const char **email)
{
	const char *text, *phone;

	if (auth_identify(req, AUTH_ANYBODY) || !(*body = auth_body(req)) || auth_text(req, *body, "email", &text) ||
	    auth_text(req, *body, "phone", &phone))
		return -1;
	if (!text && phone && *phone)
		return kith_fail(req, 400, "phone_provider_disabled", "Unsupported phone provider");
	*email = auth_email(req, *body, "email");
	return *email ? 0 : -1;
}

static int
limit(struct kith_request *req, const char *email)
{
	const struct auth_limit tries = { "links", auth_client(req), 30, 300 };

	return auth_limit(req, &tries, 1, 429, "over_request_rate_limit") || auth_mail_limit(req, email) ? -1 : 0;
}

int
auth_answer_nothing(struct kith_request *req, const PGresult *result)
{
	if (!result)
		return -1;
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
	kith_buf_lit(&req->reply.body, "{}");
	return 0;
}

int
auth_recover(struct kith_request *req)
{
	const struct kith_json *body;
	const char *email, *link;

	if (begin(req, &body, &email) || !(link = auth_link(req, body, "recovery", "recovery", email)) ||
	    limit(req, email))
		return -1;
	return auth_answer_nothing(req, auth_call(req, "send_recovery", email, link));
}

int
auth_otp(struct kith_request *req)
{
	const char *email, *confirmation, *magic;
	const struct kith_json *body;
	const PGresult *result;
	int sign_up;

	if (begin(req, &body, &email) || (sign_up = auth_flag(req, body, "create_user", true)) == -1 ||
	    !(confirmation = auth_link(req, body, "signup", "confirmation", email)) ||
	    !(magic = auth_link(req, body, "magiclink", "magic_link", email)) || limit(req, email))
		return -1;
	result = auth_call(req, "send_code", email, req->body, sign_up && !kith_settings.disable_signup ? "true" : "false",
	    kith_format(req->arena, "{\"confirmation\":%s,\"magic\":%s}", confirmation, magic));
	if (result && *PQgetvalue(result, 0, 0) == 'f' && kith_settings.reveal_unknown)
		return kith_fail(req, 422, "otp_disabled", "Signups not allowed for otp");
	return auth_answer_nothing(req, result);
}

/* The mails that ask both addresses, or the new one only. */
static const char *
email_change_links(struct kith_request *req, const struct kith_json *body, const char *old, const char *new)
{
	struct auth_link link;
	const char *asked, *asked_too;

	if (auth_make_link(req, &link, body, "email_change_new", new))
		return NULL;
	link.old_email = old;
	link.new_email = new;
	asked = auth_link_json(req, &link, "email_change");
	if (!old || !kith_settings.secure_email_change)
		return kith_format(req->arena, "{\"new\":%s}", asked);
	if (auth_make_link(req, &link, body, "email_change_current", old))
		return NULL;
	link.old_email = old;
	link.new_email = new;
	asked_too = auth_link_json(req, &link, "email_change");
	return kith_format(req->arena, "{\"new\":%s,\"current\":%s}", asked, asked_too);
}

static const char *
text_of(const PGresult *result)
{
	return PQgetisnull(result, 0, 0) ? NULL : PQgetvalue(result, 0, 0);
}

int
auth_email_change(struct kith_request *req, const struct kith_json *body, const char *email, const char **links)
{
	const PGresult *result = auth_call(req, "own_email", req->identity->subject, req->identity->session);
	const char *own;

	*links = NULL;
	if (!result)
		return -1;
	own = text_of(result);
	if (!kith_settings.mail || (!own && kith_settings.autoconfirm) || (own && !strcmp(own, email)))
		return 0;
	*links = email_change_links(req, body, own, email);
	return *links ? limit(req, email) : -1;
}

static int
resend_email_change(struct kith_request *req, const struct kith_json *body, const char *email)
{
	const PGresult *result = auth_call(req, "pending_email", email);
	const char *pending, *links;

	if (!result)
		return -1;
	pending = text_of(result);
	/* Made for nobody too: the time must not tell. */
	links = email_change_links(req, body, email, pending ? pending : email);
	if (!links)
		return -1;
	return auth_answer_nothing(req, auth_call(req, "resend_email_change", email, pending, links));
}

int
auth_resend(struct kith_request *req)
{
	const struct kith_json *body;
	const char *email, *type, *link;

	if (begin(req, &body, &email) || auth_text(req, body, "type", &type))
		return -1;
	if (!type || (strcmp(type, "signup") && strcmp(type, "email_change")))
		return kith_fail(req, 400, "validation_failed", "Missing one of these types: signup, email_change");
	if (!(link = auth_link(req, body, "signup", "confirmation", email)) || limit(req, email))
		return -1;
	if (!strcmp(type, "email_change"))
		return resend_email_change(req, body, email);
	return auth_answer_nothing(req, auth_call(req, "resend_confirmation", email, link));
}

int
auth_reauthenticate(struct kith_request *req)
{
	const char *email, *link;
	const PGresult *result;

	if (auth_identify(req, AUTH_USER) ||
	    !(result = auth_call(req, "own_email", req->identity->subject, req->identity->session)))
		return -1;
	email = text_of(result);
	if (!email)
		return kith_fail(req, 422, "validation_failed", "Reauthentication requires the user to have an email");
	if (!(link = auth_link(req, NULL, "reauthentication", "reauthentication", email)) || limit(req, email))
		return -1;
	return auth_answer_nothing(req, auth_call(req, "send_reauthentication", req->identity->subject,
	    req->identity->session, email, link));
}

int
auth_check_nonce(struct kith_request *req, const struct kith_json *body)
{
	const char *nonce, *email, *code = NULL;
	const PGresult *result;

	if (!kith_settings.reauthenticate)
		return 0;
	if (auth_text(req, body, "nonce", &nonce) ||
	    !(result = auth_call(req, "own_email", req->identity->subject, req->identity->session)))
		return -1;
	email = text_of(result);
	if (email && nonce && *nonce)
		code = auth_code_mac(req->arena, "reauthentication_token", email, nonce);
	result = auth_call(req, "reauthenticate", req->identity->session, email, code);
	if (!result || PQgetisnull(result, 0, 0))
		return result ? 0 : -1;
	if (!strcmp(PQgetvalue(result, 0, 0), "reauthentication_needed"))
		return kith_fail(req, 400, "reauthentication_needed", "Password update requires reauthentication");
	return kith_fail(req, 422, "reauthentication_not_valid", "Nonce has expired or is invalid");
}
