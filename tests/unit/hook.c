/* Goal: a hook sees the arguments that PostgreSQL will see. */
#include "unit.h"

#include <string.h>

#include "hook.h"
#include "json.h"
#include "query.h"

static const char *
posted(const char *body, const char *name)
{
	struct kith_request *req = unit_request();
	struct kith_hook_call call = { .req = req, .body = body };
	struct kith_json_scan scan;

	assert_int_equal(kith_json_scan(req->arena, body, strlen(body), &scan), 0);
	return kith_hook_argument(&call, name);
}

static void
bodies(void **state)
{
	static const char *const table[][3] = {
		{ "{\"a\":1}", "a", "1" },
		{ " {\n\"a\" : \"x\" , \"b\" : -1.50e+3 }\n", "a", "x" },
		{ " {\n\"a\" : \"x\" , \"b\" : -1.50e+3 }\n", "b", "-1.50e+3" },
		{ "{\"a\":\"\",\"b\":true}", "a", "" },
		{ "{\"a\":\"\",\"b\":true}", "b", "true" },
		{ "{\"a\":\"q\\\"\\\\,}\\u00e9\"}", "a", "q\"\\,}\xc3\xa9" },
		{ "{\"x\":\"},\\\"a\\\":1\",\"a\":2}", "a", "2" },
		{ "{\"x\":{\"a\":1,\"y\":[{\"a\":\"]}\"}]},\"a\":[1, [\"]\"] ] }", "a", "[1, [\"]\"] ]" },
		{ "{\"a\":{\"b\":[]},\"c\":0}", "a", "{\"b\":[]}" },
		{ "{\"a\":{\"b\":[]},\"c\":0}", "c", "0" },
		{ "{\"\\u0061\":1}", "a", "1" },
		{ "{\"a\":1,\"a\":2}", "a", "2" },
		{ "{\"\":1}", "", "1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_string_equal(posted(table[i][0], table[i][1]), table[i][2]);
}

static void
absent(void **state)
{
	static const char *const table[][2] = {
		{ "{}", "a" }, { "{ }", "a" }, { "{\"a\":null}", "a" }, { "{\"a\" : null }", "a" }, { "{\"a\":1,\"a\":null}", "a" },
		{ "{\"A\":1}", "a" }, { "{\"b\":{\"a\":1}}", "a" }, { "{\"b\":\"a\"}", "a" }, { "[{\"a\":1}]", "a" }, { "7", "a" },
	};
	struct kith_hook_call none = { .req = unit_request() };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_null(posted(table[i][0], table[i][1]));
	assert_null(kith_hook_argument(&none, "a"));
}

static void
queries(void **state)
{
	struct kith_argument third = { .name = "a", .value = "null" };
	struct kith_argument second = { .name = "b", .value = "[1,2]", .next = &third };
	struct kith_argument first = { .name = "a", .value = "1", .next = &second };
	struct kith_hook_call call = { .req = unit_request(), .query = &first };

	(void)state;
	assert_string_equal(kith_hook_argument(&call, "a"), "null");
	assert_string_equal(kith_hook_argument(&call, "b"), "[1,2]");
	assert_null(kith_hook_argument(&call, "c"));
}

static void
found_by_name(void **state)
{
	static const struct kith_hook hooks[] = { { .function = "one" }, { .function = "two" }, { 0 } };

	(void)state;
	assert_ptr_equal(kith_hook_find(hooks, "two"), &hooks[1]);
	assert_null(kith_hook_find(hooks, "three"));
	assert_null(kith_hook_find(NULL, "one"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("an argument of a body is found as it is meant, the last one of its name", bodies),
		unit_that("an argument that is null or elsewhere is none", absent),
		unit_that("an argument of a query is its last value", queries),
		unit_that("a hook is found by its function", found_by_name),
	};

	return unit_run(tests);
}
