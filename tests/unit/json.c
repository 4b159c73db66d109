/* Goal: small documents are read exactly, and strings written as PostgreSQL writes them. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "json.h"

static const struct kith_json *
parse(const char *text, const char **error)
{
	return kith_json_parse(unit_request()->arena, text, strlen(text), error);
}

static void
parsed_values(void **state)
{
	const struct kith_json *v, *list;
	const char *error;
	int64_t n = 7;

	(void)state;
	v = parse("{\"s\":\"a\\u00e9\\n\\ud83d\\ude00\",\"n\":1e400,\"big\":9007199254740992,\"t\":true,\"z\":null,"
	    "\"list\":[1,[],{\"x\":\"y\"},\"last\"],\"o\":{}}", &error);
	assert_non_null(v);
	assert_null(error);
	assert_string_equal(kith_json_string(v, "s"), "a\xc3\xa9\n\xf0\x9f\x98\x80");
	assert_string_equal(kith_json_get(v, "n")->text, "1e400");
	assert_int_equal(kith_json_get(v, "t")->type, KITH_JSON_TRUE);
	assert_int_equal(kith_json_get(v, "z")->type, KITH_JSON_NULL);
	assert_null(kith_json_get(v, "absent"));
	assert_null(kith_json_string(v, "t"));
	assert_null(kith_json_string(v, "n"));
	assert_null(kith_json_get(NULL, "s"));
	assert_int_equal(kith_json_integer(v, "big", &n), 1);
	assert_true(n == INT64_C(1) << 53);

	list = kith_json_get(v, "list");
	assert_int_equal(list->type, KITH_JSON_ARRAY);
	assert_null(kith_json_get(list, "x"));
	assert_string_equal(list->first->text, "1");
	assert_null(list->first->key);
	assert_int_equal(list->first->next->type, KITH_JSON_ARRAY);
	assert_string_equal(kith_json_string(list->first->next->next, "x"), "y");
	assert_string_equal(list->first->next->next->next->text, "last");
	assert_null(list->first->next->next->next->next);
	assert_null(kith_json_get(v, "o")->first);
	assert_string_equal(parse(" 12 ", NULL)->text, "12");
	assert_int_equal(parse("[]", NULL)->type, KITH_JSON_ARRAY);
}

static void
integers(void **state)
{
	static const char *const bad[] = {
		"1.0", "1e3", "-1", "-0", "9007199254740993", "99999999999999999999", "\"1\"", "true", "null", "[1]",
	};
	char text[64];
	int64_t n;

	(void)state;
	assert_int_equal(kith_json_integer(parse("{\"a\":0}", NULL), "a", &n), 1);
	assert_true(n == 0);
	n = 42;
	assert_int_equal(kith_json_integer(parse("{\"b\":0}", NULL), "a", &n), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "{\"a\":%s}", bad[i]);
		assert_int_equal(kith_json_integer(parse(text, NULL), "a", &n), -1);
	}
	assert_true(n == 42);
}

static void
refused_by_parse(void **state)
{
	char deep[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";
	const char *error;

	(void)state;
	assert_null(parse("{\"a\":1,\"\\u0061\":2}", &error));
	assert_string_equal(error, "duplicate key");
	assert_null(parse("[{\"a\":{\"b\":1,\"b\":2}}]", &error));
	assert_string_equal(error, "duplicate key");
	assert_non_null(parse("[{\"a\":1},{\"a\":{\"a\":1}}]", &error));
	assert_null(error);
	assert_null(parse("{\"a\":\"\\ud800\"}", &error));
	assert_string_equal(error, "unpaired surrogate");
	assert_null(parse("", NULL));
	assert_null(parse(deep, &error));
	assert_string_equal(error, "nested too deeply");
	deep[sizeof(deep) - 2] = '\0';
	assert_non_null(parse(deep + 1, &error));
}

static void
written_strings(void **state)
{
	struct kith_request *req = unit_request();
	struct kith_buf out, expected;

	(void)state;
	kith_buf_init(&out, req->arena, 0);
	kith_json_write_string(&out, "", 0);
	kith_json_write_string(&out, "plain, and longer than a word: h\xc3\xa9", 34);
	kith_json_write_string(&out, "\"\\/\b\f\n\r\t\x01\x1f\x7f\0", 12);
	assert_string_equal(out.s, "\"\"\"plain, and longer than a word: h\xc3\xa9\""
	    "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000\"");
	assert_int_equal(out.len, strlen(out.s));

	/* Each byte at each place of a word. */
	for (size_t at = 0; at < 16; at++) {
		for (int c = 0; c < 256; c++) {
			char text[17] = "abcdefghijklmnop";
			const char *letter = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;

			text[at] = (char)c;
			out.len = 0;
			kith_json_write_string(&out, text, 16);
			kith_buf_init(&expected, req->arena, 0);
			kith_buf_printf(&expected, "\"%.*s", (int)at, text);
			if (letter && (c < 0x20 || c == '"' || c == '\\'))
				kith_buf_printf(&expected, "\\%c", letter[1]);
			else if (c < 0x20)
				kith_buf_printf(&expected, "\\u%04x", (unsigned)c);
			else
				kith_buf_putc(&expected, (char)c);
			kith_buf_printf(&expected, "%s\"", text + at + 1);
			assert_string_equal(out.s, expected.s);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("parsed values keep text, order and structure", parsed_values),
		unit_that("an integer is only what JSON calls one", integers),
		unit_that("duplicate keys and 33 levels are refused", refused_by_parse),
		unit_that("strings are written as PostgreSQL writes them", written_strings),
	};

	return unit_run(tests);
}
