/* Goal: UTF-8 is what table 3-7 of the Unicode standard says, and nothing else. */
#include "unit.h"

#include <string.h>

#include "utf8.h"

/* Every code point there is, and every sequence of two bytes. */
static void
every_code_point(void **state)
{
	char p[5];

	(void)state;
	for (unsigned c = 0; c <= 0x10ffff; c++) {
		size_t n = kith_utf8_encode(c, p);
		bool surrogate = c >= 0xd800 && c <= 0xdfff;

		assert_int_equal(kith_utf8_sequence(p, n), surrogate ? 0 : n);
		assert_int_equal(kith_utf8_sequence(p, n - 1), 0);
	}
	for (unsigned pair = 0; pair < 0x10000; pair++) {
		p[0] = (char)(pair >> 8);
		p[1] = (char)pair;
		assert_int_equal(kith_utf8_sequence(p, 2) == 2, pair >= 0xc280 && pair <= 0xdfbf && (pair & 0xc0) == 0x80);
	}
}

static void
utf8(void **state)
{
	static const char good[] = "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xef\xbf\xbe \xee\x80\x80 \xf4\x8f\xbf\xbf";
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
		"\xc3", "\xe2\x82", "\xf0\x9f\x98", "12345678\xf0\x9f\x98", "\xe2\x28\xa1", "\xf0\x9f\x28\x80", "\xf0\x9f\x98\x28",
	};

	(void)state;
	assert_true(kith_utf8_valid("", 0));
	assert_true(kith_utf8_valid("a\0b", 3));
	assert_true(kith_utf8_valid("plain text, longer than a word", 30));
	assert_true(kith_utf8_valid(good, strlen(good)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (kith_utf8_valid(bad[i], strlen(bad[i])))
			fail_msg("accepted number %zu", i);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("every code point is valid UTF-8 but the surrogates", every_code_point),
		unit_that("overlong, cut and impossible UTF-8 is refused", utf8),
	};

	return unit_run(tests);
}
