/*
 * JSON from outside and to outside.
 *
 * The strict scanner decides what is JSON (RFC 8259) before anything is stored;
 * PostgreSQL then does the typing.  yajl reads small objects of our own making
 * (keys, claims, settings).  Numbers stay text: a double would lose digits.
 */
#ifndef KITH_JSON_H
#define KITH_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "utf8.h"

struct kith_arena;

enum kith_json_type {
	KITH_JSON_NULL,
	KITH_JSON_TRUE,
	KITH_JSON_FALSE,
	KITH_JSON_NUMBER,
	KITH_JSON_STRING,
	KITH_JSON_ARRAY,
	KITH_JSON_OBJECT,
};

/* What the scanner learnt about a document. */
struct kith_json_scan {
	enum kith_json_type type;	/* of the outermost value */
	bool blank;		/* nothing but white space: not a document; the scan fails too */
	size_t rows;		/* elements of an outermost array; 1 otherwise */
	bool all_objects;	/* the outermost value is an object, or an array of objects only */
	bool uniform;		/* every object of the outermost array has the same set of keys */
	/* Distinct keys of the object, or of the array's first element, unescaped, in order; ends with NULL. */
	const char **keys;
	size_t nkeys;
	const char *error;	/* what is wrong, "unexpected end of input"; NULL when fine */
	size_t offset;		/* byte where it is wrong */
};

#define KITH_JSON_DEPTH 500

/* PostgreSQL writes the numbers of jsonb without exponent: the most zeros that those of a document stand for. */
#define KITH_JSON_ZEROS 1000000

/*
 * Keys beyond these are not kept (and a second object that has them is not
 * uniform).  No table has more than 1600 columns and no function more than 100
 * arguments: so many keys name one that does not exist, whatever follows.
 */
#define KITH_JSON_KEYS 2000

/*
 * Checks that (p, n) is exactly one JSON text: strict UTF-8 without BOM, paired
 * surrogate escapes, no \u0000, at most KITH_JSON_DEPTH levels, KITH_JSON_ZEROS zeros, nothing behind it.
 * Iterative: depth costs no stack.  Returns 0, or -1 with out->error set.  Keys
 * are copied into the arena.  Agrees with PostgreSQL's json input for every
 * text that it accepts, and with jsonb's for strings.
 */
int kith_json_scan(struct kith_arena *a, const char *p, size_t n, struct kith_json_scan *out);

/*
 * Writes what stands between the quotes of a string that was scanned, (p, n),
 * to out without its escapes; never more than n bytes.  Returns how many.
 */
size_t kith_json_unescape(const char *p, size_t n, char *out);

/*
 * A parsed value, in the arena.  Members and elements are linked by next.
 */
struct kith_json {
	enum kith_json_type type;
	const char *key;	/* member name, NULL outside of an object */
	const char *text;	/* strings: unescaped; numbers: as written; else NULL */
	struct kith_json *first;	/* first member or element */
	struct kith_json *next;
};

/*
 * Parses a small document (yajl, SAX): the strict scan first, duplicate keys
 * are refused, at most 32 levels.  NULL and *error (if error is not NULL) when it is not valid.
 */
const struct kith_json *kith_json_parse(struct kith_arena *a, const char *p, size_t n, const char **error);

/* Member of an object by name; NULL when absent or when object is NULL or no object. */
const struct kith_json *kith_json_get(const struct kith_json *object, const char *key);

/* Text of a string member; NULL when absent or not a string. */
const char *kith_json_string(const struct kith_json *object, const char *key);

/*
 * A member that must be a JSON integer (no fraction, no exponent) of 0 to 2^53.
 * 1 and *value; 0 when absent; -1 when it is anything else.
 */
int kith_json_integer(const struct kith_json *object, const char *key, int64_t *value);

/* Appends text as a JSON string, quotes included; escapes what to_json() escapes, in the same way. */
void kith_json_write_string(struct kith_buf *out, const char *s, size_t n);

/* Appends a text member to an object that is being written; nothing when value is NULL. */
void kith_json_write_member(struct kith_buf *out, const char *name, const char *value);

#endif
