#include "template.h"

#include <string.h>

#include "arena.h"
#include "buf.h"
#include "json.h"

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

static void
put_html(struct kith_buf *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			kith_buf_lit(out, "&amp;");
			break;
		case '<':
			kith_buf_lit(out, "&lt;");
			break;
		case '>':
			kith_buf_lit(out, "&gt;");
			break;
		case '"':
			kith_buf_lit(out, "&#34;");
			break;
		case '\'':
			kith_buf_lit(out, "&#39;");
			break;
		default:
			kith_buf_putc(out, *s);
		}
	}
}

static void
put_value(struct kith_buf *out, const struct kith_json *value, bool html)
{
	const char *text = NULL;

	if (value && value->type == KITH_JSON_TRUE)
		text = "true";
	else if (value && value->type == KITH_JSON_FALSE)
		text = "false";
	else if (value)
		text = value->text;
	if (text && html)
		put_html(out, text);
	else if (text)
		kith_buf_puts(out, text);
}

/* " .Data.color ": its value in *value; false when this is no name. */
static bool
find(struct kith_buf *out, const char *p, size_t n, const struct kith_json *data, const struct kith_json **value)
{
	const char *name = kith_strndup(out->arena, p, n);

	name += strspn(name, " \t");
	*value = data;
	do {
		size_t length = *name == '.' ? strspn(name + 1, NAME_CHARS) : 0;

		if (!length)
			return false;
		*value = kith_json_get(*value, kith_strndup(out->arena, name + 1, length));
		name += 1 + length;
	} while (*name == '.');
	return !name[strspn(name, " \t")];
}

const char *
kith_template_fill(struct kith_buf *out, const char *p, size_t n, const struct kith_json *data, bool html)
{
	const char *end = p + n;
	const struct kith_json *value;
	size_t line = 1;

	while (p < end) {
		const char *open = memmem(p, (size_t)(end - p), "{{", 2), *close;

		kith_buf_add(out, p, (size_t)((open ? open : end) - p));
		if (!open)
			break;
		for (; p < open; p++)
			line += *p == '\n';
		close = memmem(open, (size_t)(end - open), "}}", 2);
		if (!close)
			return kith_format(out->arena, "line %zu: {{ is not closed", line);
		if (!find(out, open + 2, (size_t)(close - open) - 2, data, &value))
			return kith_format(out->arena,
			    "line %zu: only values like {{ .Email }} can be filled in", line);
		put_value(out, value, html);
		p = close + 2;
	}
	return NULL;
}
