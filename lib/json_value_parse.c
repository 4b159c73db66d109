#include "json_value.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json_number.h"

struct parser {
	struct kith_arena *arena;
	const char *p;
	const char *end;
	/* Items of every array and object not yet closed: what is closed takes its own off the top. */
	struct kith_json_value **open;
	size_t n;
	size_t room;
	size_t values;
	const char *error;
};

static struct kith_json_value *parse_value(struct parser *ps);

static void
skip_blanks(struct parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\t' || *ps->p == '\r'))
		ps->p++;
}

static struct kith_json_value *
new_value(struct parser *ps, enum kith_json_type type)
{
	struct kith_json_value *v = kith_new(ps->arena, struct kith_json_value);

	v->type = type;
	if (++ps->values > KITH_JSON_VALUES)
		ps->error = "too many values";
	return v;
}

/* The string whose opening quote is at p, unescaped; *n is its length. */
static const char *
parse_string(struct parser *ps, uint32_t *n)
{
	const char *begin = ++ps->p;
	bool escaped = false;
	char *plain;

	for (; *ps->p != '"'; ps->p++) {
		if (*ps->p == '\\') {
			escaped = true;
			ps->p++;
		}
	}
	*n = (uint32_t)(ps->p++ - begin);
	if (!escaped)
		return begin;
	plain = kith_alloc(ps->arena, *n);
	*n = (uint32_t)kith_json_unescape(begin, *n, plain);
	return plain;
}

static void
parse_number(struct parser *ps, struct kith_json_value *v)
{
	v->text = ps->p;
	while (ps->p < ps->end && strchr("+-.0123456789eE", *ps->p))
		ps->p++;
	v->n = (uint32_t)(ps->p - v->text);
	if (labs(kith_json_number_exponent(v->text, v->n)) > KITH_JSON_EXPONENT)
		ps->error = "number out of range";
}

static void
push(struct parser *ps, struct kith_json_value *item)
{
	if (ps->n == ps->room) {
		size_t room = ps->room ? ps->room * 2 : 64;

		ps->open = kith_realloc(ps->arena, ps->open, ps->room * sizeof(*ps->open), room * sizeof(*ps->open));
		ps->room = room;
	}
	ps->open[ps->n++] = item;
}

/* Of one name the earlier place, which is noted in size, comes first. */
static int
by_key(const void *a, const void *b)
{
	const struct kith_json_value *x = *(struct kith_json_value *const *)a;
	const struct kith_json_value *y = *(struct kith_json_value *const *)b;
	int order = kith_json_value_order(x->key, x->key_len, y->key, y->key_len);

	return order ? order : x->size < y->size ? -1 : 1;
}

/* Puts members in order; what PostgreSQL wrote is already. */
static void
sort_members(struct kith_json_value *object)
{
	struct kith_json_value **items = object->items;
	uint32_t n = 1;

	while (n < object->n &&
	    kith_json_value_order(items[n - 1]->key, items[n - 1]->key_len, items[n]->key, items[n]->key_len) < 0)
		n++;
	if (n >= object->n)
		return;
	for (uint32_t i = 0; i < object->n; i++)
		items[i]->size = i;
	qsort(items, object->n, sizeof(*items), by_key);
	n = 0;
	for (uint32_t i = 0; i < object->n; i++) {
		/* The last one of its name counts. */
		if (n && !kith_json_value_order(items[n - 1]->key, items[n - 1]->key_len, items[i]->key, items[i]->key_len))
			n--;
		items[n++] = items[i];
	}
	object->n = object->room = object->gap = n;
}

/* Gives v the items above mark. */
static void
close_level(struct parser *ps, struct kith_json_value *v, size_t mark)
{
	v->n = v->room = v->gap = (uint32_t)(ps->n - mark);
	v->items = kith_new_array(ps->arena, struct kith_json_value *, v->n);
	if (v->n)
		memcpy(v->items, ps->open + mark, v->n * sizeof(*v->items));
	ps->n = mark;
	if (v->type == KITH_JSON_OBJECT)
		sort_members(v);
}

static void
parse_items(struct parser *ps, struct kith_json_value *v)
{
	char closer = v->type == KITH_JSON_OBJECT ? '}' : ']';
	size_t mark = ps->n;

	ps->p++;
	skip_blanks(ps);
	while (*ps->p != closer) {
		const char *key = NULL;
		uint32_t key_len = 0;
		struct kith_json_value *item;

		if (closer == '}') {
			key = parse_string(ps, &key_len);
			skip_blanks(ps);
			ps->p++;	/* the colon */
		}
		item = parse_value(ps);
		if (ps->error)
			return;
		item->key = key;
		item->key_len = key_len;
		push(ps, item);
		skip_blanks(ps);
		if (*ps->p == ',') {
			ps->p++;
			skip_blanks(ps);
		}
	}
	ps->p++;
	close_level(ps, v, mark);
}

/* The scanner has seen the text: it is valid, and begins like what it is. */
static struct kith_json_value *
parse_value(struct parser *ps)
{
	struct kith_json_value *v;

	skip_blanks(ps);
	switch (*ps->p) {
	case '{':
		v = new_value(ps, KITH_JSON_OBJECT);
		parse_items(ps, v);
		break;
	case '[':
		v = new_value(ps, KITH_JSON_ARRAY);
		parse_items(ps, v);
		break;
	case '"':
		v = new_value(ps, KITH_JSON_STRING);
		v->text = parse_string(ps, &v->n);
		break;
	case 't':
		v = new_value(ps, KITH_JSON_TRUE);
		ps->p += strlen("true");
		break;
	case 'f':
		v = new_value(ps, KITH_JSON_FALSE);
		ps->p += strlen("false");
		break;
	case 'n':
		v = new_value(ps, KITH_JSON_NULL);
		ps->p += strlen("null");
		break;
	default:
		v = new_value(ps, KITH_JSON_NUMBER);
		parse_number(ps, v);
	}
	return v;
}

struct kith_json_value *
kith_json_value_parse(struct kith_arena *a, const char *p, size_t n, const char **error)
{
	struct parser ps = { .arena = a, .p = p, .end = p + n };
	struct kith_json_value *root = NULL;
	struct kith_json_scan scan;

	if (kith_json_scan(a, p, n, &scan))
		ps.error = scan.error;
	else
		root = parse_value(&ps);
	*error = ps.error;
	return ps.error ? NULL : root;
}
