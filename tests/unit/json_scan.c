/* Goal: what the scanner lets through is JSON that PostgreSQL can store, and what it says about it is true. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "json.h"

static struct kith_json_scan result;

static int
scan_bytes(const char *p, size_t n)
{
	return kith_json_scan(unit_request()->arena, p, n, &result);
}

static int
scan(const char *text)
{
	return scan_bytes(text, strlen(text));
}

/* text, repeated; for depth and size. */
static char *
times(const char *text, size_t n)
{
	size_t len = strlen(text);
	char *all = test_malloc(n * len + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(all + i * len, text, len);
	all[n * len] = '\0';
	return all;
}

static void
valid_documents(void **state)
{
	static const struct {
		const char *text;
		enum kith_json_type type;
	} good[] = {
		{ "null", KITH_JSON_NULL },
		{ " true ", KITH_JSON_TRUE },
		{ "false\n", KITH_JSON_FALSE },
		{ "0", KITH_JSON_NUMBER },
		{ "-0", KITH_JSON_NUMBER },
		{ "-0.0e-0", KITH_JSON_NUMBER },
		{ "1e400", KITH_JSON_NUMBER },
		{ "1E+1000000", KITH_JSON_NUMBER },
		{ "9223372036854775808", KITH_JSON_NUMBER },
		{ "0.10", KITH_JSON_NUMBER },
		{ "\"\"", KITH_JSON_STRING },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\"", KITH_JSON_STRING },
		{ "\"\x7f\"", KITH_JSON_STRING },
		{ "[]", KITH_JSON_ARRAY },
		{ "[ ]", KITH_JSON_ARRAY },
		{ "[1,[2,[3]],{\"a\":[]}]", KITH_JSON_ARRAY },
		{ "{}", KITH_JSON_OBJECT },
		{ "\t{ \"a\" : 1 , \"\" : { } }\r\n", KITH_JSON_OBJECT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		if (scan(good[i].text))
			fail_msg("%s: %s at %zu", good[i].text, result.error, result.offset);
		assert_int_equal(result.type, good[i].type);
		assert_null(result.error);
	}
}

static void
invalid_documents(void **state)
{
	static const struct {
		const char *text;
		const char *error;
		size_t offset;
	} bad[] = {
		{ "", "unexpected end of input", 0 },
		{ " \n\t\r", "unexpected end of input", 4 },
		{ "{", "unexpected end of input", 1 },
		{ "[1,", "unexpected end of input", 3 },
		{ "{\"a\"", "unexpected end of input", 4 },
		{ "{\"a\":", "unexpected end of input", 5 },
		{ "\"abc", "unexpected end of input", 4 },
		{ "-", "unexpected end of input", 1 },
		{ "1.", "unexpected end of input", 2 },
		{ "1e", "unexpected end of input", 2 },
		{ "1e+", "unexpected end of input", 3 },
		{ "{} {}", "unexpected text behind the document", 3 },
		{ "1 2", "unexpected text behind the document", 2 },
		{ "[1]x", "unexpected text behind the document", 3 },
		{ "nul", "expected a value", 0 },
		{ "NaN", "expected a value", 0 },
		{ "Infinity", "expected a value", 0 },
		{ "+1", "expected a value", 0 },
		{ ".5", "expected a value", 0 },
		{ "'a'", "expected a value", 0 },
		{ "[,1]", "expected a value", 1 },
		{ "[1,]", "expected a value", 3 },
		{ "// no\n1", "expected a value", 0 },
		{ "/* no */1", "expected a value", 0 },
		{ "\xef\xbb\xbf{}", "expected a value", 0 },
		{ "\xff\xfe{", "expected a value", 0 },
		{ "\v1", "expected a value", 0 },
		{ "\f1", "expected a value", 0 },
		{ "\xc2\xa0" "1", "expected a value", 0 },
		{ "]", "expected a value", 0 },
		{ "01", "invalid number", 1 },
		{ "-01", "invalid number", 2 },
		{ "-a", "invalid number", 1 },
		{ "1.e1", "invalid number", 2 },
		{ "1e1.5", "unexpected text behind the document", 3 },
		{ "0x10", "unexpected text behind the document", 1 },
		{ "1e1000001", "numbers too long when written out", 0 },
		{ "[1,1e-99999999999999999999]", "numbers too long when written out", 3 },
		{ "[1e500000, -2.5E-499999, 10e2]", "numbers too long when written out", 25 },
		{ "[1 2]", "expected ',' or ']'", 3 },
		{ "[1}", "expected ',' or ']'", 2 },
		{ "{\"a\":1]", "expected ',' or '}'", 6 },
		{ "{\"a\":1 \"b\":2}", "expected ',' or '}'", 7 },
		{ "{a:1}", "expected a member name", 1 },
		{ "{1:1}", "expected a member name", 1 },
		{ "{\"a\":1,}", "expected a member name", 7 },
		{ "{,}", "expected a member name", 1 },
		{ "{\"a\" 1}", "expected ':'", 5 },
		{ "{\"a\",1}", "expected ':'", 4 },
		{ "\"\\x\"", "invalid escape", 1 },
		{ "\"\\u12\"", "invalid escape", 1 },
		{ "\"\\u12g4\"", "invalid escape", 1 },
		{ "\"\\U0041\"", "invalid escape", 1 },
		{ "\"\\", "invalid escape", 1 },
		{ "\"\\u0000\"", "\\u0000 cannot be stored", 1 },
		{ "{\"\\u0000\":1}", "\\u0000 cannot be stored", 2 },
		{ "\"\\ud800\"", "unpaired surrogate", 1 },
		{ "\"\\ud800\\ud800\"", "unpaired surrogate", 1 },
		{ "\"\\ud800\\u0041\"", "unpaired surrogate", 1 },
		{ "\"\\ud800\\n\"", "unpaired surrogate", 1 },
		{ "\"\\udc00\"", "unpaired surrogate", 1 },
		{ "\"\\ude00\\ud83d\"", "unpaired surrogate", 1 },
		{ "\"\\udc00\\udc00\"", "unpaired surrogate", 1 },
		{ "\"\\ud83d\\ude0\"", "unpaired surrogate", 1 },
		{ "\"a\nb\"", "control character in a string", 2 },
		{ "\"long enough for a word\x1f\"", "control character in a string", 23 },
		{ "\"\xc0\xaf\"", "invalid UTF-8", 1 },
		{ "\"ok \xed\xa0\x80\"", "invalid UTF-8", 4 },
		{ "\"\xf4\x90\x80\x80\"", "invalid UTF-8", 1 },
		{ "\"\xff\"", "invalid UTF-8", 1 },
		{ "\"\xc3\"", "invalid UTF-8", 1 },
		{ "{\"\x80\":1}", "invalid UTF-8", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (!scan(bad[i].text))
			fail_msg("accepted: %s", bad[i].text);
		assert_string_equal(result.error, bad[i].error);
		if (result.offset != bad[i].offset)
			fail_msg("%s: at %zu", bad[i].text, result.offset);
	}
}

static void
raw_nul(void **state)
{
	(void)state;
	assert_int_equal(scan_bytes("\"a\0b\"", 5), -1);
	assert_string_equal(result.error, "control character in a string");
	assert_int_equal(scan_bytes("{}\0", 3), -1);
	assert_int_equal(scan_bytes("\0", 1), -1);
	assert_false(result.blank);
}

static void
blank(void **state)
{
	(void)state;
	assert_int_equal(scan(" \r\n"), -1);
	assert_true(result.blank);
	assert_int_equal(scan("1"), 0);
	assert_false(result.blank);
}

static void
depth(void **state)
{
	char *open = times("[", 10 * 1000 * 1000);
	char *most = times("[", 2 * KITH_JSON_DEPTH);
	char *objects = times("{\"a\":", KITH_JSON_DEPTH + 1);

	(void)state;
	assert_int_equal(scan(open), -1);
	assert_string_equal(result.error, "nested too deeply");
	assert_int_equal(result.offset, KITH_JSON_DEPTH);
	memset(most + KITH_JSON_DEPTH, ']', KITH_JSON_DEPTH);
	assert_int_equal(scan(most), 0);
	assert_int_equal(scan(objects), -1);
	assert_string_equal(result.error, "nested too deeply");
	test_free(open);
	test_free(most);
	test_free(objects);
}

static void
long_number(void **state)
{
	char *digits = times("7", 100 * 1000);

	(void)state;
	assert_int_equal(scan(digits), 0);
	test_free(digits);
}

/* Every byte at every place of a word: the fast path may not overlook one. */
static void
every_byte_everywhere(void **state)
{
	char text[] = "\"abcdefghijklmnopqrstuvw\"";

	(void)state;
	for (size_t at = 1; at < sizeof(text) - 2; at++) {
		for (int c = 0; c < 256; c++) {
			char was = text[at];
			bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
			bool accepted;

			text[at] = (char)c;
			accepted = scan_bytes(text, sizeof(text) - 1) == 0;
			text[at] = was;
			/* A quote ends the string early, a backslash makes \d or the like. */
			if (c == '\\')
				good = strchr("bfnrt/\\", text[at + 1]) || text[at + 1] == '"';
			if (c == '\\' && text[at + 1] == '"')
				good = false;
			if (accepted != good)
				fail_msg("byte 0x%02x at %zu: %s", (unsigned)c, at, accepted ? "accepted" : "refused");
		}
	}
}

static void
keys_are(const char *expected)
{
	struct kith_buf all;

	kith_buf_init(&all, kith_arena_new(0), 0);
	for (size_t i = 0; i < result.nkeys; i++)
		kith_buf_printf(&all, "%s%s", i ? "," : "", result.keys[i]);
	assert_null(result.keys[result.nkeys]);
	assert_string_equal(all.s, expected);
	kith_arena_free(all.arena);
}

static void
rows(void **state)
{
	static const struct {
		const char *text;
		size_t rows;
		bool all_objects;
		bool uniform;
		const char *keys;
	} table[] = {
		{ "1", 1, false, true, "" },
		{ "{}", 1, true, true, "" },
		{ "{\"b\":1,\"a\":{\"c\":[{\"d\":1}]}}", 1, true, true, "b,a" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", 1, true, true, "a,b" },
		{ "{\"\":1,\"a\":2}", 1, true, true, ",a" },
		{ "[]", 0, true, true, "" },
		{ "[1]", 1, false, true, "" },
		{ "[[{\"a\":1}]]", 1, false, true, "" },
		{ "[{}]", 1, true, true, "" },
		{ "[{},{}]", 2, true, true, "" },
		{ "[{},{\"a\":1}]", 2, true, false, "" },
		{ "[{\"a\":1},{}]", 2, true, false, "a" },
		{ "[{\"a\":1},2]", 2, false, true, "a" },
		{ "[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]", 2, true, true, "a,b" },
		{ "[{\"a\":1,\"b\":2},{\"b\":3,\"a\":4}]", 2, true, true, "a,b" },
		{ "[{\"a\":1,\"b\":2},{\"a\":3}]", 2, true, false, "a,b" },
		{ "[{\"a\":1},{\"a\":3,\"b\":4}]", 2, true, false, "a" },
		{ "[{\"a\":1,\"b\":2},{\"a\":3,\"a\":4}]", 2, true, false, "a,b" },
		{ "[{\"a\":1,\"b\":2},{\"a\":3,\"b\":0,\"a\":4}]", 2, true, true, "a,b" },
		{ "[{\"a\":1,\"a\":2},{\"a\":3}]", 2, true, true, "a" },
		{ "[{\"a\":{\"x\":1}},{\"a\":{\"y\":1}}]", 2, true, true, "a" },
		{ "[{\"ab\":1,\"a\":1,\"abc\":1},{\"abc\":1,\"ab\":1,\"a\":1}]", 2, true, true, "ab,a,abc" },
		{ "[{\"a\":1},{\"b\":1},{\"a\":1}]", 3, true, false, "a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		assert_int_equal(scan(table[i].text), 0);
		if (result.rows != table[i].rows || result.all_objects != table[i].all_objects ||
		    result.uniform != table[i].uniform)
			fail_msg("%s: %zu rows, objects %d, uniform %d", table[i].text, result.rows, result.all_objects,
			    result.uniform);
		keys_are(table[i].keys);
	}
}

static void
escaped_keys(void **state)
{
	(void)state;
	assert_int_equal(scan("[{\"a\":1,\"h\xc3\xa9\":2},{\"\\u0061\":1,\"h\\u00E9\":2}]"), 0);
	assert_true(result.uniform);
	keys_are("a,h\xc3\xa9");
	assert_int_equal(scan("{\"\\u0061\":1,\"a\":2,\"\\ud83d\\ude00\\n\":3}"), 0);
	keys_are("a,\xf0\x9f\x98\x80\n");
	assert_int_equal(scan("[{\"a\":1},{\"\\u0062\":1}]"), 0);
	assert_false(result.uniform);
}

/* 3000 keys, of which the same ones are kept whatever their order. */
static void
many_keys(void **state)
{
	struct kith_request *req = unit_request();
	struct kith_buf text;

	(void)state;
	kith_buf_init(&text, req->arena, 0);
	for (int row = 0; row < 2; row++) {
		kith_buf_puts(&text, row ? ",{" : "[{");
		for (int i = 0; i < 1500; i++)
			kith_buf_printf(&text, "%s\"k%d\":0", i ? "," : "", row ? 1499 - i : i);
		kith_buf_puts(&text, "}");
	}
	kith_buf_puts(&text, "]");
	assert_int_equal(kith_json_scan(req->arena, text.s, text.len, &result), 0);
	assert_true(result.uniform);
	assert_int_equal(result.nkeys, 1500);

	text.len = 0;
	for (int i = 0; i < 3000; i++)
		kith_buf_printf(&text, "%s\"k%d\":0", i ? "," : "{", i);
	kith_buf_puts(&text, "}");
	assert_int_equal(kith_json_scan(req->arena, text.s, text.len, &result), 0);
	assert_int_equal(result.nkeys, KITH_JSON_KEYS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("every form of RFC 8259 is accepted", valid_documents),
		unit_that("what is not JSON is refused, and where", invalid_documents),
		unit_that("a raw NUL is refused", raw_nul),
		unit_that("white space only is told apart", blank),
		unit_that("ten million levels are refused at 500", depth),
		unit_that("a number of 100,000 digits is passed on", long_number),
		unit_that("no byte is overlooked at any place of a word", every_byte_everywhere),
		unit_that("rows and keys are counted right", rows),
		unit_that("an escaped key equals the plain one", escaped_keys),
		unit_that("1500 keys in any order are uniform, 2000 are kept", many_keys),
	};

	return unit_run(tests);
}
