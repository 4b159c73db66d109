/*
 * Recursion is bounded: the scanner lets no more than KITH_JSON_DEPTH levels
 * through, and a patch adds none beyond them.
 */
#include "json_value.h"

#include <string.h>

#include "arena.h"
#include "json_number.h"

int
kith_json_value_order(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

bool
kith_json_value_find(const struct kith_json_value *object, const char *key, size_t key_len, size_t *where)
{
	size_t low = 0, high = object->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct kith_json_value *item = kith_json_value_at(object, middle);
		int order = kith_json_value_order(key, key_len, item->key, item->key_len);

		if (!order) {
			*where = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*where = low;
	return false;
}

struct kith_json_value *
kith_json_value_get(const struct kith_json_value *object, const char *key)
{
	size_t where;

	if (object->type != KITH_JSON_OBJECT || !kith_json_value_find(object, key, strlen(key), &where))
		return NULL;
	return kith_json_value_at(object, where);
}

static void
move_gap(struct kith_json_value *v, uint32_t to)
{
	uint32_t hole = v->room - v->n;
	struct kith_json_value **items = v->items;

	if (to < v->gap)
		memmove(items + to + hole, items + to, (v->gap - to) * sizeof(*items));
	else if (to > v->gap)
		memmove(items + v->gap, items + v->gap + hole, (to - v->gap) * sizeof(*items));
	v->gap = to;
}

void
kith_json_value_insert(struct kith_arena *a, struct kith_json_value *v, size_t i, struct kith_json_value *item)
{
	if (v->n == v->room) {
		uint32_t room = v->room * 2 + 4;

		v->items = kith_realloc(a, v->items, v->n * sizeof(*v->items), room * sizeof(*v->items));
		v->room = room;
		v->gap = v->n;
	}
	move_gap(v, (uint32_t)i);
	v->items[v->gap++] = item;
	v->n++;
}

void
kith_json_value_remove(struct kith_json_value *v, size_t i)
{
	move_gap(v, (uint32_t)i);
	v->n--;		/* so the gap has it */
}

static bool
same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && !memcmp(a, b, a_len);
}

bool
kith_json_value_equal(const struct kith_json_value *a, const struct kith_json_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case KITH_JSON_STRING:
		return same_text(a->text, a->n, b->text, b->n);
	case KITH_JSON_NUMBER:
		return kith_json_number_equal(a->text, a->n, b->text, b->n);
	case KITH_JSON_ARRAY:
	case KITH_JSON_OBJECT:
		break;
	default:
		return true;
	}
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct kith_json_value *x = kith_json_value_at(a, i), *y = kith_json_value_at(b, i);

		/* Of elements the names are left over from where they were. */
		if (a->type == KITH_JSON_OBJECT && !same_text(x->key, x->key_len, y->key, y->key_len))
			return false;
		if (!kith_json_value_equal(x, y))
			return false;
	}
	return true;
}

/* FNV-1a.  Whoever wants equal hashes can make them, so what has them is compared. */
static uint64_t
mix(uint64_t hash, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Bytes of a string as kith_json_write_string writes it. */
static size_t
written(const char *s, size_t n)
{
	size_t size = n + 2;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\' || (s[i] >= '\b' && s[i] <= '\r' && s[i] != '\v'))
			size++;
		else if ((unsigned char)s[i] < 0x20)
			size += 5;
	}
	return size;
}

void
kith_json_value_digest(struct kith_json_value *v)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) + v->type;
	size_t size = strlen("null");

	switch (v->type) {
	case KITH_JSON_STRING:
		hash = mix(hash, v->text, v->n);
		size = written(v->text, v->n);
		break;
	case KITH_JSON_NUMBER:
		hash = kith_json_number_hash(v->text, v->n);
		size = v->n;
		break;
	case KITH_JSON_ARRAY:
	case KITH_JSON_OBJECT:
		size = 2;
		for (size_t i = 0; i < v->n; i++) {
			struct kith_json_value *item = kith_json_value_at(v, i);

			kith_json_value_digest(item);
			size += item->size + 1;
			hash = mix(hash, &item->hash, sizeof(item->hash));
			if (v->type == KITH_JSON_OBJECT) {
				size += written(item->key, item->key_len) + 1;
				hash = mix(hash, item->key, item->key_len);
			}
		}
		break;
	default:
		break;
	}
	v->hash = hash;
	v->size = (uint32_t)size;
}

struct kith_json_value *
kith_json_value_copy(struct kith_arena *a, const struct kith_json_value *v, size_t *values)
{
	struct kith_json_value *copy = kith_new(a, struct kith_json_value);

	*copy = *v;
	++*values;
	if (v->type != KITH_JSON_ARRAY && v->type != KITH_JSON_OBJECT)
		return copy;
	copy->room = copy->gap = copy->n;
	copy->items = kith_new_array(a, struct kith_json_value *, copy->n);
	for (size_t i = 0; i < v->n; i++)
		copy->items[i] = kith_json_value_copy(a, kith_json_value_at(v, i), values);
	return copy;
}

int
kith_json_value_depth(const struct kith_json_value *v)
{
	int deepest = 0;

	if (v->type != KITH_JSON_ARRAY && v->type != KITH_JSON_OBJECT)
		return 0;
	for (size_t i = 0; i < v->n; i++) {
		int depth = kith_json_value_depth(kith_json_value_at(v, i));

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

void
kith_json_value_write(struct kith_buf *out, const struct kith_json_value *v)
{
	bool object = v->type == KITH_JSON_OBJECT;

	switch (v->type) {
	case KITH_JSON_NULL:
		kith_buf_lit(out, "null");
		return;
	case KITH_JSON_TRUE:
		kith_buf_lit(out, "true");
		return;
	case KITH_JSON_FALSE:
		kith_buf_lit(out, "false");
		return;
	case KITH_JSON_NUMBER:
		kith_buf_add(out, v->text, v->n);
		return;
	case KITH_JSON_STRING:
		kith_json_write_string(out, v->text, v->n);
		return;
	default:
		break;
	}
	kith_buf_putc(out, object ? '{' : '[');
	for (size_t i = 0; i < v->n; i++) {
		const struct kith_json_value *item = kith_json_value_at(v, i);

		if (i)
			kith_buf_putc(out, ',');
		if (object) {
			kith_json_write_string(out, item->key, item->key_len);
			kith_buf_putc(out, ':');
		}
		kith_json_value_write(out, item);
	}
	kith_buf_putc(out, object ? '}' : ']');
}
