#include "auth-program.h"

#include <arpa/inet.h>
#include <string.h>

#include "arena.h"
#include "db.h"
#include "mail.h"
#include "settings.h"
#include "utf8.h"

#define API_VERSION "2024-01-01"
#define AGENT_MAX 512
#define KEY_BYTES 32

int
auth_identify(struct kith_request *req, enum auth_caller who)
{
	bool user = kith_request_header(req, "authorization") != NULL;
	enum kith_role role;

	if (kith_auth_identify(req)) {
		/* A key that is missing, or a server that cannot check, is nothing about the token. */
		if (req->error.status >= 500 || !strcmp(req->error.code, "PGRST302"))
			return -1;
		req->error.status = who == AUTH_ANYBODY ? 401 : 403;
		req->error.code = "bad_jwt";
		return -1;
	}
	role = req->identity->role;
	if (who == AUTH_USER && (role != KITH_AUTHENTICATED || !req->identity->subject))
		return kith_fail(req, 401, "no_authorization", "This endpoint requires a valid Bearer token");
	if (who == AUTH_SERVICE && role != KITH_SERVICE) {
		if (!user)
			return kith_fail(req, 401, "no_authorization", "This endpoint requires a valid Bearer token");
		return kith_fail(req, 403, "not_admin", "User not allowed");
	}
	return 0;
}

const struct kith_json *
auth_body(struct kith_request *req)
{
	const char *text = req->body_len ? req->body : "{}", *error;
	const struct kith_json *body = kith_json_parse(req->arena, text, strlen(text), &error);

	if (body && body->type == KITH_JSON_OBJECT && strlen(text) == (req->body_len ? req->body_len : 2))
		return body;
	kith_fail(req, 400, "bad_json", "Could not parse request body as JSON: %s",
	    body ? "it must be an object" : error);
	return NULL;
}

int
auth_text(struct kith_request *req, const struct kith_json *body, const char *name, const char **text)
{
	const struct kith_json *value = kith_json_get(body, name);

	*text = NULL;
	if (!value || value->type == KITH_JSON_NULL)
		return 0;
	if (value->type != KITH_JSON_STRING)
		return kith_fail(req, 400, "validation_failed", "%s must be a string", name);
	*text = value->text;
	return 0;
}

int
auth_flag(struct kith_request *req, const struct kith_json *body, const char *name, bool usual)
{
	const struct kith_json *value = kith_json_get(body, name);

	if (!value || value->type == KITH_JSON_NULL)
		return usual;
	if (value->type == KITH_JSON_TRUE || value->type == KITH_JSON_FALSE)
		return value->type == KITH_JSON_TRUE;
	return kith_fail(req, 400, "validation_failed", "%s must be true or false", name);
}

/* The parameter's value as it was sent, n bytes; NULL when there is none. */
static const char *
find_query(const struct kith_request *req, const char *name, size_t *n)
{
	size_t before = strlen(name);

	for (const char *s = req->query; *s; s += *s == '&') {
		size_t length = strcspn(s, "&");

		if (length > before && !strncmp(s, name, before) && s[before] == '=') {
			*n = length - before - 1;
			return s + before + 1;
		}
		s += length;
	}
	return NULL;
}

const char *
auth_query(struct kith_request *req, const char *name)
{
	size_t n;
	const char *value = find_query(req, name, &n);

	return value ? kith_request_decode(req, value, n, true, name) : NULL;
}

bool
auth_query_is(struct kith_request *req, const char *name, const char *text)
{
	size_t n;
	const char *value = find_query(req, name, &n);

	return value && n == strlen(text) && !strncmp(value, text, n);
}

const char *
auth_email(struct kith_request *req, const struct kith_json *body, const char *member)
{
	const char *text = kith_json_string(body, member);
	char *email;

	if (!text || !kith_mail_is_address(text)) {
		kith_fail(req, 400, "validation_failed", "Unable to validate email address: invalid format");
		return NULL;
	}
	email = kith_strdup(req->arena, text);
	for (char *p = email; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return email;
}

static bool
is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* Whose requests those of the service are made for: a server of the app asks for all of its users. */
static const char *
asked_for(struct kith_request *req)
{
	const char *forwarded = kith_request_header(req, "x-forwarded-for");
	const char *first;

	if (!forwarded || !req->identity || req->identity->role != KITH_SERVICE)
		return req->remote_addr;
	first = kith_strndup(req->arena, forwarded, strcspn(forwarded, ", "));
	return is_address(first) ? first : req->remote_addr;
}

const char *
auth_client(struct kith_request *req)
{
	const char *address = asked_for(req);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr network;

	if (inet_pton(AF_INET6, address, &network) != 1 || IN6_IS_ADDR_V4MAPPED(&network))
		return address;
	memset(network.s6_addr + 8, 0, 8);
	return kith_strdup(req->arena, inet_ntop(AF_INET6, &network, text, sizeof(text)));
}

static void
member(struct kith_buf *out, const char *name, const char *value, size_t max)
{
	size_t n;

	/* A header may hold any bytes. */
	if (value && !kith_utf8_valid(value, strlen(value)))
		value = NULL;
	n = value ? strlen(value) : 0;
	if (n > max)
		for (n = max; n && (value[n] & 0xc0) == 0x80; n--)
			;
	kith_buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
	if (value)
		kith_json_write_string(out, value, n);
	else
		kith_buf_lit(out, "null");
}

const char *
auth_context(struct kith_request *req)
{
	const char *ip = asked_for(req);
	struct kith_buf out;

	kith_buf_init(&out, req->arena, 0);
	kith_buf_putc(&out, '{');
	member(&out, "ip", is_address(ip) ? ip : NULL, INET6_ADDRSTRLEN);
	member(&out, "user_agent", kith_request_header(req, "user-agent"), AGENT_MAX);
	member(&out, "issuer", kith_settings.issuer, SIZE_MAX);
	member(&out, "key", kith_format(req->arena, "k1.%s", auth_random(req->arena, KEY_BYTES)), SIZE_MAX);
	kith_buf_printf(&out, ",\"lifetime\":%ld}", kith_settings.jwt_expiry);
	return out.s;
}

static int
refuse_for(struct kith_request *req, const PGresult *result, int status, const char *code)
{
	const char *wait = PQgetvalue(result, 0, 0);

	if (!strcmp(wait, "0"))
		return 0;
	kith_reply_header(req, "Retry-After", "%s", wait);
	if (!strcmp(code, "over_email_send_rate_limit"))
		return kith_fail(req, status, code, "For security purposes, you can only request this after %s seconds.",
		    wait);
	return kith_fail(req, status, code, "Request rate limit reached");
}

const PGresult *
auth_call_function(struct kith_request *req, const char *begin, const char *const *arguments, size_t n)
{
	struct kith_sql *sql = kith_sql_new(req->arena);

	kith_buf_puts(&sql->text, begin);
	for (size_t i = 0; i < n; i++) {
		if (i)
			kith_sql_text(sql, ", ");
		kith_sql_param(sql, arguments[i]);
	}
	kith_sql_text(sql, ")");
	return kith_db_call(req, sql);
}

static int
check_limits(struct kith_request *req, const struct auth_limit *limits, int n, bool count, int status, const char *code)
{
	const char *client = auth_client(req);
	struct kith_buf keys, maxima, seconds;
	const PGresult *result;

	kith_buf_init(&keys, req->arena, 0);
	kith_buf_init(&maxima, req->arena, 0);
	kith_buf_init(&seconds, req->arena, 0);
	for (int i = 0; i < n; i++) {
		const char *before = keys.len ? "," : "{";

		if (!kith_settings.auth_ip_limits && !strcmp(limits[i].who, client))
			continue;

		/* A MAC: neither addresses nor whoever uses them can be read from a dump. */
		kith_buf_printf(&keys, "%s\"%s %s\"", before, limits[i].what,
		    auth_mac(req->arena, "limit", limits[i].who));
		kith_buf_printf(&maxima, "%s%d", before, limits[i].maximum);
		kith_buf_printf(&seconds, "%s%d", before, limits[i].seconds);
	}
	if (!keys.len)
		return 0;
	kith_buf_putc(&keys, '}');
	kith_buf_putc(&maxima, '}');
	kith_buf_putc(&seconds, '}');
	result = count ? auth_call(req, "hit", keys.s, maxima.s, seconds.s) :
	    auth_call(req, "limited", keys.s, maxima.s);
	return result ? refuse_for(req, result, status, code) : -1;
}

int
auth_limit(struct kith_request *req, const struct auth_limit *limits, int n, int status, const char *code)
{
	return check_limits(req, limits, n, true, status, code);
}

int
auth_limited(struct kith_request *req, const struct auth_limit *limits, int n, int status, const char *code)
{
	return check_limits(req, limits, n, false, status, code);
}

static bool
is_sqlstate(const char *code)
{
	return strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && !code[5];
}

/* As the codes of the SDKs are written: "user_banned". */
static bool
is_word(const char *text)
{
	return text && *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz_")];
}

/*
 * What PostgreSQL refused becomes what the SDKs know.  kith.refuse() brings its
 * code as the detail; a trigger of the app's own tells its users why; what
 * cannot be a value (22, 54) came from the caller; a wait that is over may be
 * tried again.
 */
static void
translate(struct kith_request *req)
{
	struct kith_error *e = &req->error;
	static const char *const passing[] = { "55P03", "40001", "40P01", "57014", "53300" };

	if (!strncmp(e->code, "PT", 2)) {
		if (is_word(e->details))
			e->code = e->details;
		return;
	}
	if (!strcmp(e->code, "P0001") || !strcmp(e->code, "PGRST100") ||
	    (is_sqlstate(e->code) && (!strncmp(e->code, "22", 2) || !strncmp(e->code, "54", 2)))) {
		e->status = 400;
		e->code = "validation_failed";
		return;
	}
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (!strcmp(e->code, passing[i]))
			e->status = 503;
	if (is_sqlstate(e->code))
		e->log = kith_format(req->arena, "%s %s", e->code, e->message);
	if (!strcmp(e->code, "PGRST302")) {
		e->code = "no_authorization";
	} else if ((e->status == 503 || e->status == 504) && !is_word(e->code)) {
		e->code = "request_timeout";
		e->message = "Could not do it in time, please try again";
	} else if (is_sqlstate(e->code)) {
		/* One that nobody foresaw is ours, whatever it would be elsewhere. */
		e->status = 500;
		e->code = "unexpected_failure";
		e->message = "Unexpected failure, please check server logs for more information";
	}
}

/* Whether the caller's version of the API, a day, is ours or a later one. */
static bool
is_dated(const char *version)
{
	static const char form[] = "dddd-dd-dd";

	for (size_t i = 0; version && i < sizeof(form); i++)
		if (form[i] == 'd' ? version[i] < '0' || version[i] > '9' : version[i] != form[i])
			return false;
	return version && strcmp(version, API_VERSION) >= 0;
}

void
auth_write_error(struct kith_request *req)
{
	bool dated = is_dated(kith_request_header(req, "x-supabase-api-version"));
	struct kith_buf *body = &req->reply.body;
	struct kith_error *e = &req->error;

	translate(req);
	kith_reply_header(req, "X-Sb-Error-Code", "%s", e->code);
	if (dated)
		kith_reply_header(req, "X-Supabase-Api-Version", API_VERSION);
	else
		kith_buf_printf(body, "{\"code\":%d,", e->status);
	kith_buf_puts(body, dated ? "{\"code\":" : "\"error_code\":");
	kith_json_write_string(body, e->code, strlen(e->code));
	kith_buf_puts(body, dated ? ",\"message\":" : ",\"msg\":");
	kith_json_write_string(body, e->message, strlen(e->message));
	/* Of a weak password the details are its reasons. */
	if (!strcmp(e->code, "weak_password"))
		kith_buf_printf(body, ",\"weak_password\":{\"reasons\":[%s]}", e->details ? e->details : "");
	kith_buf_putc(body, '}');
}
