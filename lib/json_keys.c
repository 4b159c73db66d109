#include "json_keys.h"

#include <string.h>

#include "arena.h"
#include "json.h"

struct kith_json_key {
	const char *text;
	size_t len;
	size_t row;	/* the last row that had it */
};

static int
compare(const char *text, size_t n, const struct kith_json_key *key)
{
	int order = memcmp(text, key->text, n < key->len ? n : key->len);

	if (order)
		return order;
	return n < key->len ? -1 : n > key->len;
}

/*
 * By halving, not hashing: whoever chooses the keys cannot make it slow.  When
 * the key is absent, *where is its place in sorted.
 */
static struct kith_json_key *
find(const struct kith_json_keys *k, const char *text, size_t n, size_t *where)
{
	size_t low = 0, high = k->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		struct kith_json_key *key = &k->keys[k->sorted[middle]];
		int order = compare(text, n, key);

		if (!order)
			return key;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*where = low;
	return NULL;
}

static void
add(struct kith_json_keys *k, const char *text, size_t n, size_t where)
{
	if (k->n == KITH_JSON_KEYS)
		return;
	if (k->n == k->room) {
		size_t room = k->room ? k->room * 2 : 16;

		k->keys = kith_realloc(k->arena, k->keys, k->room * sizeof(*k->keys), room * sizeof(*k->keys));
		k->sorted = kith_realloc(k->arena, k->sorted, k->room * sizeof(*k->sorted), room * sizeof(*k->sorted));
		k->room = room;
	}
	k->keys[k->n] = (struct kith_json_key){ kith_strndup(k->arena, text, n), n, 1 };
	memmove(k->sorted + where + 1, k->sorted + where, (k->n - where) * sizeof(*k->sorted));
	k->sorted[where] = (uint16_t)k->n;
	k->n++;
}

void
kith_json_keys_begin_row(struct kith_json_keys *k)
{
	k->row++;
	k->cursor = 0;
	k->found = 0;
}

void
kith_json_keys_note(struct kith_json_keys *k, const char *text, size_t n)
{
	struct kith_json_key *key = NULL;
	size_t where = 0;

	if (k->differ)
		return;
	if (k->cursor < k->n && !compare(text, n, &k->keys[k->cursor]))
		key = &k->keys[k->cursor];
	else
		key = find(k, text, n, &where);
	if (!key) {
		if (k->row == 1)
			add(k, text, n, where);
		else
			k->differ = true;
		return;
	}
	k->cursor = (size_t)(key - k->keys) + 1;
	if (key->row != k->row) {
		key->row = k->row;
		k->found++;
	}
}

void
kith_json_keys_end_row(struct kith_json_keys *k)
{
	if (k->row > 1 && k->found != k->n)
		k->differ = true;
}

const char **
kith_json_keys_list(const struct kith_json_keys *k)
{
	const char **list = kith_new_array(k->arena, const char *, k->n + 1);

	for (size_t i = 0; i < k->n; i++)
		list[i] = k->keys[i].text;
	return list;
}
