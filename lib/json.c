#include "json.h"

#include <string.h>
#include <yajl/yajl_parse.h>

#include "arena.h"
#include "settings.h"

#define MAX_LEVELS 32
#define LARGEST_INTEGER (1L << 53)

/* Where a document is being built. */
struct builder {
	struct kith_arena *arena;
	struct kith_json *open[MAX_LEVELS];	/* the objects and arrays not yet closed */
	struct kith_json **tail[MAX_LEVELS];	/* where the next child of each is hung in */
	int depth;
	const char *key;	/* of the member whose value comes next */
	struct kith_json *root;
	const char *error;
};

static int
refuse(struct builder *b, const char *error)
{
	b->error = error;
	return 0; /* tells yajl to stop */
}

static struct kith_json *
add(struct builder *b, enum kith_json_type type)
{
	struct kith_json *value = kith_new(b->arena, struct kith_json);

	value->type = type;
	if (!b->depth) {
		b->root = value;
		return value;
	}
	if (b->open[b->depth - 1]->type == KITH_JSON_OBJECT)
		value->key = b->key;
	*b->tail[b->depth - 1] = value;
	b->tail[b->depth - 1] = &value->next;
	return value;
}

static int
add_text(struct builder *b, enum kith_json_type type, const char *text, size_t n)
{
	add(b, type)->text = kith_strndup(b->arena, text, n);
	return 1;
}

static int
open_level(struct builder *b, enum kith_json_type type)
{
	struct kith_json *value;

	if (b->depth == MAX_LEVELS)
		return refuse(b, "nested too deeply");
	value = add(b, type);
	b->open[b->depth] = value;
	b->tail[b->depth] = &value->first;
	b->depth++;
	return 1;
}

static int
on_null(void *b)
{
	return add(b, KITH_JSON_NULL) != NULL;
}

static int
on_boolean(void *b, int truth)
{
	return add(b, truth ? KITH_JSON_TRUE : KITH_JSON_FALSE) != NULL;
}

static int
on_number(void *b, const char *text, size_t n)
{
	return add_text(b, KITH_JSON_NUMBER, text, n);
}

static int
on_string(void *b, const unsigned char *text, size_t n)
{
	return add_text(b, KITH_JSON_STRING, (const char *)text, n);
}

static int
on_start_map(void *b)
{
	return open_level(b, KITH_JSON_OBJECT);
}

static int
on_start_array(void *b)
{
	return open_level(b, KITH_JSON_ARRAY);
}

static int
on_end(void *arg)
{
	struct builder *b = arg;

	b->depth--;
	return 1;
}

static int
on_map_key(void *arg, const unsigned char *text, size_t n)
{
	struct builder *b = arg;

	b->key = kith_strndup(b->arena, (const char *)text, n);
	if (kith_json_get(b->open[b->depth - 1], b->key))
		return refuse(b, "duplicate key");
	return 1;
}

/* The integer and double callbacks are left out: they fail on 2^63 and 1e400. */
static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_map_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/* yajl reallocates without telling the old size, so each piece carries it in front. */
#define SIZE_ROOM _Alignof(max_align_t)

static void *
yajl_take(void *arena, size_t n)
{
	char *p = kith_alloc(arena, n + SIZE_ROOM);

	memcpy(p, &n, sizeof(n));
	return p + SIZE_ROOM;
}

static void *
yajl_retake(void *arena, void *old, size_t n)
{
	void *p = yajl_take(arena, n);
	size_t had = 0;

	if (old)
		memcpy(&had, (char *)old - SIZE_ROOM, sizeof(had));
	if (had)
		memcpy(p, old, had < n ? had : n);
	return p;
}

static void
yajl_drop(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

const struct kith_json *
kith_json_parse(struct kith_arena *a, const char *p, size_t n, const char **error)
{
	yajl_alloc_funcs memory = { yajl_take, yajl_retake, yajl_drop, a };
	struct builder b = { .arena = a };
	struct kith_json_scan scan;
	yajl_handle yajl;

	if (kith_json_scan(a, p, n, &scan)) {
		b.error = scan.error;
	} else {
		/* Nothing to free at the end: all of yajl's memory is the arena's. */
		yajl = yajl_alloc(&callbacks, &memory, &b);
		if (yajl_parse(yajl, (const unsigned char *)p, n) != yajl_status_ok ||
		    yajl_complete_parse(yajl) != yajl_status_ok)
			b.error = b.error ? b.error : "not JSON";
	}
	if (error)
		*error = b.error;
	return b.error ? NULL : b.root;
}

const struct kith_json *
kith_json_get(const struct kith_json *object, const char *key)
{
	if (!object || object->type != KITH_JSON_OBJECT)
		return NULL;
	for (const struct kith_json *member = object->first; member; member = member->next) {
		if (!strcmp(member->key, key))
			return member;
	}
	return NULL;
}

const char *
kith_json_string(const struct kith_json *object, const char *key)
{
	const struct kith_json *member = kith_json_get(object, key);

	return member && member->type == KITH_JSON_STRING ? member->text : NULL;
}

int
kith_json_integer(const struct kith_json *object, const char *key, int64_t *value)
{
	const struct kith_json *member = kith_json_get(object, key);
	long number;

	if (!member)
		return 0;
	/* -0 is not a count or a time either. */
	if (member->type != KITH_JSON_NUMBER || member->text[0] == '-' ||
	    !kith_parse_long(member->text, 0, LARGEST_INTEGER, &number))
		return -1;
	*value = number;
	return 1;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* How many bytes at p need no escape; bytes beyond ASCII do not. */
static size_t
plain_run(const char *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 8) {
		uint64_t w, quote, backslash;

		memcpy(&w, p + i, 8);
		quote = w ^ EACH_BYTE('"');
		backslash = w ^ EACH_BYTE('\\');
		/* A byte below m sets the high bit of (byte - m) & ~byte; the first such byte gets no borrow. */
		if ((((w - EACH_BYTE(0x20)) & ~w) | ((quote - EACH_BYTE(1)) & ~quote) |
		    ((backslash - EACH_BYTE(1)) & ~backslash)) & EACH_BYTE(0x80))
			break;
		i += 8;
	}
	while (i < n && (unsigned char)p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

/* What stands for c, at most LONGEST_ESCAPE bytes; returns its length. */
static size_t
write_escape(char *p, char c)
{
	static const char letters[] = "\"\\\b\f\n\r\t";
	const char *letter = memchr(letters, c, sizeof(letters) - 1);

	if (letter) {
		p[0] = '\\';
		p[1] = "\"\\bfnrt"[letter - letters];
		return 2;
	}
	memcpy(p, "\\u00", 4);
	p[4] = "01"[c >> 4];
	p[5] = "0123456789abcdef"[c & 15];
	return 6;
}

#define LONGEST_ESCAPE 6

void
kith_json_write_string(struct kith_buf *out, const char *s, size_t n)
{
	size_t run;

	kith_buf_reserve(out, n + 2);
	out->s[out->len++] = '"';
	for (;;) {
		run = plain_run(s, n);
		memcpy(out->s + out->len, s, run);
		out->len += run;
		if (run == n)
			break;
		kith_buf_reserve(out, LONGEST_ESCAPE + (n - run) + 1);
		out->len += write_escape(out->s + out->len, s[run]);
		s += run + 1;
		n -= run + 1;
	}
	out->s[out->len++] = '"';
	out->s[out->len] = '\0';
}

void
kith_json_write_member(struct kith_buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	kith_buf_printf(out, "%s\"%s\":", out->len && out->s[out->len - 1] == '{' ? "" : ",", name);
	kith_json_write_string(out, value, strlen(value));
}
