#include "error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "json.h"
#include "request.h"

int
kith_fail(struct kith_request *req, int status, const char *code, const char *format, ...)
{
	va_list args;

	if (req->error.status)
		return -1;
	va_start(args, format);
	req->error.status = status;
	req->error.code = code;
	req->error.message = kith_vformat(req->arena, format, args);
	va_end(args);
	return -1;
}

static int __attribute__((format(printf, 3, 0)))
add(struct kith_request *req, const char **part, const char *format, va_list args)
{
	if (!*part)
		*part = kith_vformat(req->arena, format, args);
	return -1;
}

int
kith_fail_details(struct kith_request *req, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = add(req, &req->error.details, format, args);
	va_end(args);
	return rc;
}

int
kith_fail_hint(struct kith_request *req, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = add(req, &req->error.hint, format, args);
	va_end(args);
	return rc;
}

int
kith_fail_log(struct kith_request *req, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = add(req, &req->error.log, format, args);
	va_end(args);
	return rc;
}

int
kith_fail_answer_too_large(struct kith_request *req)
{
	kith_fail(req, 400, "54000", "the answer is too large");
	return kith_fail_hint(req, "Ask for fewer rows or columns at once.");
}

/* The longest prefix that matches decides, so whole codes stand before their class. */
static const struct {
	const char *prefix;
	int status;
} statuses[] = {
	/* clang-format off */
	{ "08", 503 },
	{ "09", 500 },
	{ "0L", 403 }, { "0P", 403 },
	{ "21000", 400 },	/* PostgREST says 500, but the cause is the request */
	{ "22", 400 },
	{ "23503", 409 }, { "23505", 409 }, { "23", 400 },
	{ "25006", 405 }, { "25", 500 },
	{ "28", 403 },
	{ "2D", 500 },
	{ "38", 500 }, { "39", 500 }, { "3B", 500 },
	{ "40001", 503 }, { "40P01", 503 }, { "40", 500 },
	{ "42501", 403 }, { "42883", 404 }, { "42P01", 404 }, { "42P17", 500 }, { "42", 400 },
	{ "53400", 500 }, { "53", 503 },
	{ "54", 400 },		/* too deep or too large: also the request's doing */
	{ "55P03", 503 }, { "55", 500 },
	{ "57014", 504 }, { "57P01", 503 }, { "57P02", 503 }, { "57P03", 503 }, { "57", 500 },
	{ "58", 500 },
	{ "F0", 500 }, { "HV", 500 },
	{ "P0001", 400 }, { "P0", 500 },
	{ "XX", 500 },
	/* clang-format on */
};

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int
kith_error_status(const char *sqlstate, int anonymous)
{
	if (anonymous && !strcmp(sqlstate, "42501"))
		return 401;
	if (!strncmp(sqlstate, "PT", 2) && is_digit(sqlstate[2]) && is_digit(sqlstate[3]) && is_digit(sqlstate[4])) {
		int status = (sqlstate[2] - '0') * 100 + (sqlstate[3] - '0') * 10 + (sqlstate[4] - '0');

		/* Only final statuses: a 1xx would make the client wait for another answer. */
		return status >= 200 && status <= 599 ? status : 500;
	}
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (!strncmp(sqlstate, statuses[i].prefix, strlen(statuses[i].prefix)))
			return statuses[i].status;
	return 400;
}

static void
member(struct kith_buf *out, const char *name, const char *value)
{
	kith_buf_printf(out, "\"%s\":", name);
	if (value)
		kith_json_write_string(out, value, strlen(value));
	else
		kith_buf_lit(out, "null");
}

void
kith_error_json(struct kith_buf *out, const struct kith_error *error)
{
	kith_buf_putc(out, '{');
	member(out, "code", error->code);
	kith_buf_putc(out, ',');
	member(out, "details", error->details);
	kith_buf_putc(out, ',');
	member(out, "hint", error->hint);
	kith_buf_putc(out, ',');
	member(out, "message", error->message);
	kith_buf_putc(out, '}');
}
