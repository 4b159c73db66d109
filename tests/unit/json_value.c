/* Goal: a document comes back as it went in, and two are equal when they say the same. */
#include "json_try.h"

#include <stdlib.h>

/* text, n times. */
static char *
times(const char *text, size_t n)
{
	char *all = kith_alloc(arena, strlen(text) * n + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(all + i * strlen(text), text, strlen(text));
	return all;
}

static void
documents_come_back(void **state)
{
	static const char *const pairs[][2] = {
		{ " null ", "null" },
		{ "true", "true" },
		{ "[ false , [ ] , { } ]", "[false,[],{}]" },
		{ "12345678901234567890123456789", "12345678901234567890123456789" },
		{ "[0.10, -0, 1E+2]", "[0.10,-0,1E+2]" },
		{ "\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80\\n\\\"\\\\/\"" },
		/* jsonb's order: shorter names first. */
		{ "{\"bb\":1,\"a\":2,\"ab\":3,\"\":4}", "{\"\":4,\"a\":2,\"ab\":3,\"bb\":1}" },
		{ "{\"a\\/b\":1}", "{\"a/b\":1}" },
		{ "{\"a\":1,\"b\":2,\"\\u0061\":3,\"a\":4}", "{\"a\":4,\"b\":2}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		assert_string_equal(written(parse(pairs[i][0])), pairs[i][1]);
}

static void
bounds_hold(void **state)
{
	(void)state;
	assert_null(try_parse("{"));
	assert_string_equal(error, "unexpected end of input");
	assert_null(try_parse(kith_format(arena, "%s1%s", times("[", 501), times("]", 501))));
	assert_string_equal(error, "nested too deeply");
	assert_int_equal(kith_json_value_depth(parse(kith_format(arena, "%s1%s", times("[", 500), times("]", 500)))), 500);
	assert_int_equal(parse(kith_format(arena, "[%s1]", times("1,", KITH_JSON_VALUES - 2)))->n, KITH_JSON_VALUES - 1);
	assert_null(try_parse(kith_format(arena, "{\"a\":[%s1]}", times("[[]],", KITH_JSON_VALUES / 2))));
	assert_string_equal(error, "too many values");
	assert_non_null(parse("1e16383"));
	assert_null(try_parse("[[1e16384],2]"));
	assert_string_equal(error, "number out of range");
	assert_null(try_parse("-1e-99999999999999999999999999"));
	assert_null(try_parse(kith_format(arena, "[%s1]", times("1e-9999,", 101))));
	assert_string_equal(error, "numbers too long when written out");
}

struct pair {
	const char *a, *b;
	bool equal;
};

/* What is equal has the same hash, and of these nothing else has. */
static void
compare(const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kith_json_value *a = parse(pairs[i].a), *b = parse(pairs[i].b);

		kith_json_value_digest(a);
		kith_json_value_digest(b);
		if (kith_json_value_equal(a, b) != pairs[i].equal || (a->hash == b->hash) != pairs[i].equal)
			fail_msg("%s and %s", pairs[i].a, pairs[i].b);
	}
}

static void
numbers_are_compared_by_worth(void **state)
{
	static const struct pair pairs[] = {
		{ "1", "1.0", true },
		{ "10e-1", "1", true },
		{ "-0", "0.000e5", true },
		{ "100", "1e2", true },
		{ "0.00120", "12E-4", true },
		{ "12.5", "0.125e+2", true },
		{ "9007199254740993", "9007199254740992", false },
		{ "9007199254740993", "9007199254740993.0", true },
		{ "123456789012345678901234567890.1", "123456789012345678901234567890.10", true },
		{ "123456789012345678901234567890.1", "123456789012345678901234567890.2", false },
		{ "1", "-1", false },
		{ "1", "10", false },
		{ "0.1", "0.01", false },
		{ "0", "1e-400", false },
		{ "101", "1001", false },
	};

	(void)state;
	compare(pairs, sizeof(pairs) / sizeof(*pairs));
}

static void
equality_is_of_values(void **state)
{
	static const struct pair pairs[] = {
		{ "{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true },
		{ "\"\\u0061\"", "\"a\"", true },
		{ "\"1\"", "1", false },
		{ "null", "false", false },
		{ "[]", "{}", false },
		{ "[1,2]", "[2,1]", false },
		{ "[1,2]", "[1]", false },
		{ "{\"a\":1}", "{\"b\":1}", false },
		{ "{\"a\":null}", "{}", false },
		{ "[[1],2]", "[1,[2]]", false },
		{ "[\"a\",\"b\"]", "[\"ab\",\"\"]", false },
	};

	(void)state;
	compare(pairs, sizeof(pairs) / sizeof(*pairs));
}

static void
size_is_that_of_the_text(void **state)
{
	static const char *const texts[] = {
		"12.50", "\"a\\n\\u0001\\\"\"", "[[],{},\"\"]", "{\"a\\tb\":[1,22,{\"c\":\"d\"}],\"e\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct kith_json_value *v = parse(texts[i]);
		size_t n = strlen(written(v));

		kith_json_value_digest(v);
		/* A comma behind the last of each array and object is one too many. */
		assert_in_range(v->size, n, n + 3);
	}
}

/* Against an array without a gap. */
static void
items_go_in_and_out_anywhere(void **state)
{
	struct kith_json_value *v = parse("[]"), *model[400];
	size_t n = 0;

	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		size_t i = (size_t)random() % (n + 1);
		bool grow = n < 400 && (round / 1000 % 2 ? random() % 3 == 0 : random() % 3 > 0);

		if (grow) {
			memmove(model + i + 1, model + i, (n - i) * sizeof(*model));
			model[i] = parse(kith_format(arena, "%d", round));
			kith_json_value_insert(arena, v, i, model[i]);
			n++;
		} else if (n) {
			i %= n;
			memmove(model + i, model + i + 1, (n - i - 1) * sizeof(*model));
			kith_json_value_remove(v, i);
			n--;
		}
		assert_int_equal(v->n, n);
		for (i = 0; i < n; i++)
			assert_ptr_equal(kith_json_value_at(v, i), model[i]);
	}
}

static void
members_are_found_by_name(void **state)
{
	struct kith_json_value *v = parse("{\"b\":1,\"cc\":2,\"\":3,\"a\":4}");
	size_t where;

	(void)state;
	assert_string_equal(kith_json_value_get(v, "cc")->text, "2,\"\":3,\"a\":4}");
	assert_int_equal(kith_json_value_get(v, "cc")->n, 1);
	assert_non_null(kith_json_value_get(v, ""));
	assert_null(kith_json_value_get(v, "c"));
	assert_null(kith_json_value_get(parse("[1]"), "0"));
	assert_false(kith_json_value_find(v, "aa", 2, &where));
	assert_int_equal(where, 3);
}

static void
copies_share_nothing(void **state)
{
	struct kith_json_value *v = parse("{\"a\":[1,{\"b\":2}]}");
	size_t values = 0;
	struct kith_json_value *copy = kith_json_value_copy(arena, v, &values);

	(void)state;
	assert_int_equal(values, 5);
	kith_json_value_remove(kith_json_value_get(copy, "a"), 0);
	assert_string_equal(written(v), "{\"a\":[1,{\"b\":2}]}");
	assert_string_equal(written(copy), "{\"a\":[{\"b\":2}]}");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		json_that("documents come back, members in jsonb's order", documents_come_back),
		json_that("depth, values and numbers are bounded", bounds_hold),
		json_that("numbers are compared by worth, not by text", numbers_are_compared_by_worth),
		json_that("equality is of values", equality_is_of_values),
		json_that("the size is that of the text", size_is_that_of_the_text),
		json_that("items go in and out anywhere", items_go_in_and_out_anywhere),
		json_that("members are found by name", members_are_found_by_name),
		json_that("copies share nothing", copies_share_nothing),
	};

	return unit_run(tests);
}
