/*
 * What the tests of changeable JSON documents share: an arena of each test's
 * own, and documents from text and back.
 */
#ifndef KITH_JSON_TRY_H
#define KITH_JSON_TRY_H

#include "unit.h"

#include <string.h>

#include "arena.h"
#include "json_value.h"

/* Instead of unit_that(): the test begins with an empty arena. */
#define json_that(sentence, function) { (sentence), (function), json_begin, json_end, NULL }

static struct kith_arena *arena;
static const char *error;	/* of the last try */

static inline struct kith_json_value *
try_parse(const char *text)
{
	return kith_json_value_parse(arena, text, strlen(text), &error);
}

static inline struct kith_json_value *
parse(const char *text)
{
	struct kith_json_value *v = try_parse(text);

	if (!v)
		fail_msg("%s: %s", text, error);
	return v;
}

static inline const char *
written(const struct kith_json_value *v)
{
	struct kith_buf out;

	kith_buf_init(&out, arena, 0);
	kith_json_value_write(&out, v);
	return out.s;
}

static inline int
json_begin(void **state)
{
	(void)state;
	arena = kith_arena_new(0);
	return 0;
}

static inline int
json_end(void **state)
{
	(void)state;
	kith_arena_free(arena);
	return 0;
}

#endif
