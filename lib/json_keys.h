/*
 * The keys of a document's rows, for the scanner: those of the first row are
 * kept, those of every other row are compared with them and take no memory.
 */
#ifndef KITH_JSON_KEYS_H
#define KITH_JSON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kith_arena;
struct kith_json_key;

/* Starts out zeroed, but for the arena. */
struct kith_json_keys {
	struct kith_arena *arena;
	struct kith_json_key *keys;	/* of the first row, in order of appearance */
	uint16_t *sorted;	/* their indices, by text */
	size_t n;
	size_t room;
	size_t row;		/* the current row, counted from 1 */
	size_t cursor;		/* where a row in the first row's order has its next key */
	size_t found;		/* distinct keys of the current row */
	bool differ;		/* two rows have not the same set of keys */
};

void kith_json_keys_begin_row(struct kith_json_keys *k);

/* The row has this key, unescaped; copied if it is kept. */
void kith_json_keys_note(struct kith_json_keys *k, const char *text, size_t n);

void kith_json_keys_end_row(struct kith_json_keys *k);

/* The first row's keys, in the arena; ends with NULL. */
const char **kith_json_keys_list(const struct kith_json_keys *k);

#endif
