#include "sql.h"

#include <string.h>

#include "arena.h"

struct kith_sql *
kith_sql_new(struct kith_arena *a)
{
	struct kith_sql *q = kith_new(a, struct kith_sql);

	kith_buf_init(&q->text, a, 500);
	return q;
}

void
kith_sql_ident(struct kith_sql *q, const char *name)
{
	const char *quote;

	kith_sql_text(q, "\"");
	while ((quote = strchr(name, '"'))) {
		kith_buf_add(&q->text, name, (size_t)(quote - name));
		kith_sql_text(q, "\"\"");
		name = quote + 1;
	}
	kith_buf_puts(&q->text, name);
	kith_sql_text(q, "\"");
}

void
kith_sql_qualified(struct kith_sql *q, const char *schema, const char *name)
{
	kith_sql_ident(q, schema);
	kith_sql_text(q, ".");
	kith_sql_ident(q, name);
}

void
kith_sql_param(struct kith_sql *q, const char *value)
{
	if (q->nparams == q->room) {
		int room = q->room ? q->room * 2 : 8;

		q->params = kith_realloc(q->text.arena, q->params, (size_t)q->room * sizeof(*q->params),
		    (size_t)room * sizeof(*q->params));
		q->room = room;
	}
	q->params[q->nparams++] = value;
	kith_sql_text(q, "$");
	kith_sql_number(q, (unsigned)q->nparams);
}

void
kith_sql_catalog_type(struct kith_sql *q, const char *type_name)
{
	kith_buf_puts(&q->text, type_name);
}

void
kith_sql_catalog_expression(struct kith_sql *q, const char *expression)
{
	kith_sql_text(q, "(");
	kith_buf_puts(&q->text, expression);
	kith_sql_text(q, ")");
}

void
kith_sql_number(struct kith_sql *q, unsigned n)
{
	char digits[10];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	kith_buf_add(&q->text, digits + i, sizeof(digits) - i);
}

void
kith_sql_array(struct kith_buf *out, const char *const *values)
{
	char before = '{';

	for (; *values; values++) {
		kith_buf_putc(out, before);
		kith_buf_putc(out, '"');
		for (const char *s = *values; *s; s++) {
			if (*s == '"' || *s == '\\')
				kith_buf_putc(out, '\\');
			kith_buf_putc(out, *s);
		}
		kith_buf_putc(out, '"');
		before = ',';
	}
	if (before == '{')
		kith_buf_putc(out, '{');
	kith_buf_putc(out, '}');
}
