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

static void
write_value(struct kith_buf *out, const PGresult *result, int row, int column)
{
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
	case JSONOID:
	case JSONBOID:
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
		if (rows->strip_nulls && PQgetisnull(rows->result, row, i))
			continue;
		kith_buf_putc(out, before);
		kith_buf_add(out, keys[i].s, keys[i].len);
		write_value(out, rows->result, row, i);
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
		write_value(out, rows->result, rows->first, 0);
		return;
	}
	kith_buf_putc(out, '[');
	for (int i = 0; i < rows->nrows; i++) {
		if (i)
			kith_buf_putc(out, ',');
		write_value(out, rows->result, rows->first + i, 0);
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
