/*
 * JSON documents as trees that can be changed: what JSON Patch works on.
 *
 * json.h reads small objects of our own making; here a document of a client's,
 * as large as a request may be.  Text is not copied: strings without escapes,
 * names and numbers stay where they were read, so the source must live as long
 * as the value.  Numbers stay text and are compared exactly, as decimals.
 */
#ifndef KITH_JSON_VALUE_H
#define KITH_JSON_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

struct kith_arena;

/* Values in one document; a larger one would not fit into a program's memory. */
#define KITH_JSON_VALUES 100000

/* The largest exponent, and the smallest, of one number: PostgreSQL has no longer fractions. */
#define KITH_JSON_EXPONENT 16383

/*
 * One value.  The elements of an array, and the members of an object in the
 * order of their names (shorter ones first, then by bytes: jsonb's order), lie
 * in a gap buffer: a run of changes from one end to the other costs no more
 * than one walk.
 */
struct kith_json_value {
	enum kith_json_type type;
	uint32_t n;	/* bytes of text; elements or members */
	union {
		const char *text;	/* strings: unescaped, numbers: as written; not terminated */
		struct kith_json_value **items;
	};
	uint32_t room;	/* items there is room for */
	uint32_t gap;	/* items before the gap */
	const char *key;	/* name of a member, unescaped; not terminated */
	uint32_t key_len;
	uint32_t size;	/* bytes when written, about; kith_json_value_digest sets this and hash */
	uint64_t hash;
};

/*
 * Parses (p, n) strictly (kith_json_scan).  Of a name that an object has twice
 * the last one counts, as in jsonb.  NULL and *error for what is not valid, and
 * beyond the bounds above.
 */
struct kith_json_value *kith_json_value_parse(struct kith_arena *a, const char *p, size_t n, const char **error);

/* Element or member number i, which must be there. */
static inline struct kith_json_value *
kith_json_value_at(const struct kith_json_value *v, size_t i)
{
	return v->items[i < v->gap ? i : i + v->room - v->n];
}

/* Order of two names: less than, equal to or greater than 0. */
int kith_json_value_order(const char *a, size_t a_len, const char *b, size_t b_len);

/* Finds a member by its name, or false; *where is its place, or where it would be. */
bool kith_json_value_find(const struct kith_json_value *object, const char *key, size_t key_len, size_t *where);

/* Member of an object, by a name in C; NULL when absent. */
struct kith_json_value *kith_json_value_get(const struct kith_json_value *object, const char *key);

/* Inserts before number i; removes number i.  The names of members are the caller's business. */
void kith_json_value_insert(struct kith_arena *a, struct kith_json_value *v, size_t i, struct kith_json_value *item);
void kith_json_value_remove(struct kith_json_value *v, size_t i);

/* Equal as RFC 6902, section 4.6, has it: 1, 1.0 and 10e-1 are, members in any order are. */
bool kith_json_value_equal(const struct kith_json_value *a, const struct kith_json_value *b);

/* Sets hash and size in all of v: equal values have equal hashes. */
void kith_json_value_digest(struct kith_json_value *v);

/* A copy that shares nothing but text, and how many values it has. */
struct kith_json_value *kith_json_value_copy(struct kith_arena *a, const struct kith_json_value *v, size_t *values);

/* Levels of arrays and objects; 0 for a plain value. */
int kith_json_value_depth(const struct kith_json_value *v);

/* Appends it as compact JSON. */
void kith_json_value_write(struct kith_buf *out, const struct kith_json_value *v);

#endif
