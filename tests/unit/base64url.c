/* Goal: each sequence of bytes has exactly one text. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "base64url.h"

static const char *
decode(const char *text, size_t *n)
{
	return kith_base64url_decode(unit_request()->arena, text, strlen(text), n);
}

/* RFC 4648, section 10. */
static void
vectors(void **state)
{
	static const char *const table[][2] = {
		{ "", "" }, { "Zg", "f" }, { "Zm8", "fo" }, { "Zm9v", "foo" }, { "Zm9vYg", "foob" }, { "Zm9vYmE", "fooba" },
		{ "Zm9vYmFy", "foobar" }, { "_-8", "\xff\xef" },
	};
	const char *bytes;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		bytes = decode(table[i][0], &n);
		assert_string_equal(bytes, table[i][1]);
		assert_int_equal(n, strlen(table[i][1]));
		assert_string_equal(kith_base64url_encode(unit_request()->arena, table[i][1], n), table[i][0]);
	}
	bytes = decode("AGE", &n);
	assert_int_equal(n, 2);
	assert_memory_equal(bytes, "\0a", 2);
}

static void
refused(void **state)
{
	static const char *const table[] = { "Z", "Zm9vY", "Zg==", "Zm8=", "Z g", "Zm9v\n", "Zm9+", "Zm9/", "Zm.v", "Zh", "Zm9", "Zm9vYg=",
		"\xc3\xa9" };
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (decode(table[i], &n))
			fail_msg("accepted: %s", table[i]);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("the vectors of RFC 4648 decode, and back", vectors),
		unit_that("padding, other alphabets and left-over bits are refused", refused),
	};

	return unit_run(tests);
}
