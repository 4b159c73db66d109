#include "rows.h"

#include <string.h>

#include "arena.h"
#include "buf.h"
#include "json.h"

/* From PostgreSQL's catalog/pg_type_d.h, which only the server's packages bring. */
enum {
	BOOLOID = 16,
	INT8OID = 20,
	INT2OID = 21,
	INT4OID = 23,
	JSONOID = 114,
	FLOAT4OID = 700,
	FLOAT8OID = 701,
	TIMESTAMPOID = 1114,
	TIMESTAMPTZOID = 1184,
	NUMERICOID = 1700,
	JSONBOID = 3802,
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "2026-01-02 03:04:05.67+00" becomes "2026-01-02T03:04:05.67+00:00"; infinity and "... BC" keep their words. */
static void
write_timestamp(struct kith_buf *out, const char *s, size_t n)
{
	const char *blank = memchr(s, ' ', n);
	size_t zone = n;

	if (!blank) {
		kith_json_write_string(out, s, n);
		return;
	}
	if (n > 3 && !strcmp(s + n - 3, " BC"))
		zone -= 3;
	kith_buf_putc(out, '"');
	kith_buf_add(out, s, (size_t)(blank - s));
	kith_buf_putc(out, 'T');
	kith_buf_add(out, blank + 1, zone - (size_t)(blank + 1 - s));
	if (zone >= 3 && (s[zone - 3] == '+' || s[zone - 3] == '-'))
		kith_buf_lit(out, ":00");
	kith_buf_add(out, s + zone, n - zone);
	kith_buf_putc(out, '"');
}

/* Behind the string, the bracket or the word at p, which is JSON of PostgreSQL's. */
static const char *
token_end(const char *p, const char *end)
{
	if (*p != '"')
		return strchr("[]{}:", *p) ? p + 1 : p + strcspn(p, ",:]} \t\r\n");
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p + 1;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n,", *p))
		p++;
	return p;
}

/*
 * JSON without the members that are null, at every depth, as json_strip_nulls()
 * makes it.  A string is a member's name when a colon follows, so this needs no
 * stack.  Blanks and commas are left out, and commas written anew.
 */
static void
write_stripped(struct kith_buf *out, const char *s, size_t n)
{
	const char *end = s + n;
	bool follows = false;	/* a value is complete: what comes next is separated from it */

	for (const char *p = skip_blanks(s, end), *next; p < end; p = skip_blanks(next, end)) {
		const char *colon;

		next = token_end(p, end);
		colon = skip_blanks(next, end);
		if (*p == '"' && colon < end && *colon == ':') {
			const char *value = skip_blanks(colon + 1, end);

			if (*value == 'n') {
				next = token_end(value, end);
				continue;
			}
		}
		if (follows && !strchr("]}:", *p))
			kith_buf_putc(out, ',');
		kith_buf_add(out, p, (size_t)(next - p));
		follows = !strchr("[{:", *p);
	}
}

static void
write_value(struct kith_buf *out, const struct kith_rows *rows, int row, int column)
{
	const PGresult *result = rows->result;
	const char *s = PQgetvalue(result, row, column);
	size_t n = (size_t)PQgetlength(result, row, column);

	if (!n && PQgetisnull(result, row, column)) {
		kith_buf_lit(out, "null");
		return;
	}
	switch (PQftype(result, column)) {
	case BOOLOID:
		kith_buf_puts(out, *s == 't' ? "true" : "false");
		break;
	case INT2OID:
	case INT4OID:
	case INT8OID:
		kith_buf_add(out, s, n);
		break;
	case JSONOID:
	case JSONBOID:
		if (rows->strip_nulls)
			write_stripped(out, s, n);
		else
			kith_buf_add(out, s, n);
		break;
	case FLOAT4OID:
	case FLOAT8OID:
	case NUMERICOID:
		/* NaN and Infinity are no JSON numbers. */
		if (is_digit(*s) || (*s == '-' && is_digit(s[1])))
			kith_buf_add(out, s, n);
		else
			kith_json_write_string(out, s, n);
		break;
	case TIMESTAMPOID:
	case TIMESTAMPTZOID:
		write_timestamp(out, s, n);
		break;
	default:
		kith_json_write_string(out, s, n);
	}
}

/* Also JSON's own null. */
static bool
is_null(const struct kith_rows *rows, int row, int column)
{
	unsigned type = PQftype(rows->result, column);
	const char *s = PQgetvalue(rows->result, row, column);

	return PQgetisnull(rows->result, row, column) ||
	    ((type == JSONOID || type == JSONBOID) && s[strspn(s, " \t\r\n")] == 'n');
}

/* `"name":` of every column, escaped once for all rows. */
static const struct kith_buf *
write_keys(struct kith_arena *a, const struct kith_rows *rows)
{
	struct kith_buf *keys = kith_new_array(a, struct kith_buf, (size_t)rows->ncolumns);

	for (int i = 0; i < rows->ncolumns; i++) {
		const char *name = PQfname(rows->result, i);

		kith_buf_init(&keys[i], a, 0);
		kith_json_write_string(&keys[i], name, strlen(name));
		kith_buf_putc(&keys[i], ':');
	}
	return keys;
}

static void
write_row(struct kith_buf *out, const struct kith_rows *rows, const struct kith_buf *keys, int row)
{
	char before = '{';

	for (int i = 0; i < rows->ncolumns; i++) {
		if (rows->strip_nulls && is_null(rows, row, i))
			continue;
		kith_buf_putc(out, before);
		kith_buf_add(out, keys[i].s, keys[i].len);
		write_value(out, rows, row, i);
		before = ',';
	}
	if (before == '{')
		kith_buf_putc(out, '{');
	kith_buf_putc(out, '}');
}

void
kith_rows_array(struct kith_buf *out, const struct kith_rows *rows)
{
	const struct kith_buf *keys = write_keys(out->arena, rows);

	kith_buf_putc(out, '[');
	for (int i = 0; i < rows->nrows; i++) {
		if (i)
			kith_buf_putc(out, ',');
		write_row(out, rows, keys, rows->first + i);
	}
	kith_buf_putc(out, ']');
}

void
kith_rows_object(struct kith_buf *out, const struct kith_rows *rows)
{
	write_row(out, rows, write_keys(out->arena, rows), rows->first);
}

void
kith_rows_values(struct kith_buf *out, const struct kith_rows *rows, bool one)
{
	if (one) {
		write_value(out, rows, rows->first, 0);
		return;
	}
	kith_buf_putc(out, '[');
	for (int i = 0; i < rows->nrows; i++) {
		if (i)
			kith_buf_putc(out, ',');
		write_value(out, rows, rows->first + i, 0);
	}
	kith_buf_putc(out, ']');
}

static void
write_csv(struct kith_buf *out, const char *s, size_t n)
{
	if (n && strcspn(s, ",\"\r\n") == n) {
		kith_buf_add(out, s, n);
		return;
	}
	kith_buf_putc(out, '"');
	for (; n; s++, n--) {
		if (*s == '"')
			kith_buf_putc(out, '"');
		kith_buf_putc(out, *s);
	}
	kith_buf_putc(out, '"');
}

void
kith_rows_csv(struct kith_buf *out, const struct kith_rows *rows)
{
	for (int i = 0; i < rows->ncolumns; i++) {
		const char *name = PQfname(rows->result, i);

		if (i)
			kith_buf_putc(out, ',');
		write_csv(out, name, strlen(name));
	}
	for (int row = rows->first; row < rows->first + rows->nrows; row++) {
		kith_buf_putc(out, '\n');
		for (int i = 0; i < rows->ncolumns; i++) {
			if (i)
				kith_buf_putc(out, ',');
			if (!PQgetisnull(rows->result, row, i))
				write_csv(out, PQgetvalue(rows->result, row, i),
				    (size_t)PQgetlength(rows->result, row, i));
		}
	}
}
