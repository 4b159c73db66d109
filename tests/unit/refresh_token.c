/* Goal: a refresh token says its session and counter to whoever holds the key, and nothing that was changed is believed. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "refresh_token.h"

#define SESSION "0123abcd-89ab-4def-8123-456789abcdef"

static const char key[32] = "the key of one session";
static const char other[32] = "the key of another session";

static void
and_back(void **state)
{
	static const int64_t counters[] = { 0, 1, 127, 128, 300, INT64_C(1) << 40, INT64_MAX };
	struct kith_arena *a = unit_request()->arena;
	struct kith_refresh_token token;

	(void)state;
	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
		const char *text = kith_refresh_token_make(a, SESSION, counters[i], key, sizeof(key));

		assert_int_equal(kith_refresh_token_parse(a, text, &token), 0);
		assert_string_equal(token.session, SESSION);
		assert_int_equal(token.counter, counters[i]);
		assert_true(kith_refresh_token_signed(&token, key, sizeof(key)));
		assert_false(kith_refresh_token_signed(&token, other, sizeof(other)));
	}
}

static void
changed(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	char *text = kith_strdup(a, kith_refresh_token_make(a, SESSION, 300, key, sizeof(key)));
	struct kith_refresh_token token;

	(void)state;
	for (size_t i = 0; text[i]; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(kith_refresh_token_parse(a, text, &token), -1);
		text[i] = '\0';
		assert_int_equal(kith_refresh_token_parse(a, text, &token), -1);
		text[i] = was;
	}
	assert_int_equal(kith_refresh_token_parse(a, kith_format(a, "%sA", text), &token), -1);
	assert_int_equal(kith_refresh_token_parse(a, kith_format(a, "%s%s", text, text), &token), -1);
}

/* As other servers stored them, and what is no token at all. */
static void
others(void **state)
{
	static const char *const texts[] = { "", "a1b2c3d4e5f6", "-", "AAAA" };
	struct kith_refresh_token token;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(kith_refresh_token_parse(unit_request()->arena, texts[i], &token), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("session and counter come back", and_back),
		unit_that("a token that was changed in any place is none", changed),
		unit_that("other texts are none", others),
	};

	return unit_run(tests);
}
