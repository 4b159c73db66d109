#include "preamble.h"

#include <string.h>
#include <strings.h>

#include "arena.h"
#include "auth.h"
#include "db.h"
#include "json.h"
#include "request.h"
#include "settings.h"
#include "sql.h"

/* Credentials do not go into the database's settings, where any SQL function could read or log them. */
static bool
withheld(const char *name)
{
	return !strcmp(name, "authorization") || !strcmp(name, "apikey") || !strcmp(name, "cookie");
}

static void
member(struct kith_buf *out, const char *name, size_t name_len, const char *value, size_t value_len)
{
	/* Headers may hold any byte, PostgreSQL takes UTF-8 only. */
	if (!kith_utf8_valid(name, name_len) || !kith_utf8_valid(value, value_len))
		return;
	if (out->len > 1)
		kith_buf_putc(out, ',');
	kith_json_write_string(out, name, name_len);
	kith_buf_putc(out, ':');
	kith_json_write_string(out, value, value_len);
}

static const char *
headers_json(struct kith_request *req)
{
	struct kith_buf out;

	kith_buf_init(&out, req->arena, 1000);
	kith_buf_putc(&out, '{');
	for (const struct kith_header *h = req->headers; h && h->name; h++)
		if (!withheld(h->name))
			member(&out, h->name, strlen(h->name), h->value, strlen(h->value));
	kith_buf_putc(&out, '}');
	return out.s;
}

/* RFC 6265, section 4.2.1: name=value pairs with "; " between them. */
static const char *
cookies_json(struct kith_request *req)
{
	const char *s = kith_request_header(req, "cookie");
	struct kith_buf out;

	if (!s)
		return "{}";
	kith_buf_init(&out, req->arena, 200);
	kith_buf_putc(&out, '{');
	while (*s) {
		size_t pair = strcspn(s, ";");
		const char *equals = memchr(s, '=', pair);

		if (equals && equals > s)
			member(&out, s, (size_t)(equals - s), equals + 1, (size_t)(s + pair - equals - 1));
		s += pair;
		s += strspn(s, "; ");
	}
	kith_buf_putc(&out, '}');
	return out.s;
}

static void
set(struct kith_sql *q, const char *value)
{
	kith_sql_param(q, value);
	kith_sql_text(q, ", true)");
}

long
kith_preamble_timeout(const struct kith_identity *who)
{
	return who->role == KITH_ANON ? kith_settings.statement_timeout_anon : kith_settings.statement_timeout;
}

struct kith_sql *
kith_preamble(struct kith_request *req, const struct kith_transaction *t)
{
	struct kith_sql *q = kith_sql_new(req->arena);
	const struct kith_identity *who = req->identity;

	kith_sql_text(q, "select ");
	/* First, while the login's own rights are in force. */
	if (who->session) {
		kith_sql_text(q, "kith.check_session(");
		kith_sql_param(q, who->session);
		kith_sql_text(q, "::uuid, ");
		kith_sql_param(q, who->subject);
		kith_sql_text(q, "::uuid), ");
	}
	kith_sql_text(q, "set_config('role', ");
	set(q, who->role_name);
	kith_sql_text(q, ", set_config('request.jwt.claims', ");
	set(q, who->claims);
	kith_sql_text(q, ", set_config('request.method', ");
	set(q, req->method_name);
	kith_sql_text(q, ", set_config('request.path', ");
	set(q, req->path);
	kith_sql_text(q, ", set_config('request.headers', ");
	set(q, headers_json(req));
	kith_sql_text(q, ", set_config('request.cookies', ");
	set(q, cookies_json(req));
	kith_sql_text(q, ", set_config('search_path', ");
	set(q, t->search_path);
	kith_sql_text(q, ", set_config('statement_timeout', ");
	set(q, kith_format(req->arena, "%ld", kith_preamble_timeout(who)));
	if (t->timezone) {
		kith_sql_text(q, ", set_config('timezone', ");
		set(q, t->timezone);
	}
	for (const char *const *s = t->settings; s && *s; s += 2) {
		kith_sql_text(q, ", set_config(");
		kith_sql_param(q, s[0]);
		kith_sql_text(q, ", ");
		set(q, s[1]);
	}
	kith_sql_text(q, ", set_config('transaction_read_only', ");
	set(q, t->read_only ? "on" : "off");
	return q;
}
