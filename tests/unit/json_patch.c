/* Goal: a patch does what RFC 6902 says, or nothing. */
#include "json_try.h"

#include "json_patch.h"

/* The patched document, or what was wrong behind an exclamation mark. */
static const char *
patched(const char *document, const char *patch)
{
	struct kith_json_value *v = document ? parse(document) : NULL;

	if (kith_json_patch_apply(arena, &v, parse(patch), &error))
		return kith_format(arena, "! %s", error);
	return written(v);
}

struct example {
	const char *document, *patch, *result;
};

static void
check(const struct example *examples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_string_equal(patched(examples[i].document, examples[i].patch), examples[i].result);
}

#define check_all(examples) check((examples), sizeof(examples) / sizeof(*(examples)))

static void
examples_of_the_rfc(void **state)
{
	static const struct example examples[] = {
		{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
		    "{\"baz\":\"qux\",\"foo\":\"bar\"}" },
		{ "{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
		    "{\"foo\":[\"bar\",\"qux\",\"baz\"]}" },
		{ "{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}" },
		{ "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
		    "{\"foo\":[\"bar\",\"baz\"]}" },
		{ "{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
		    "{\"baz\":\"boo\",\"foo\":\"bar\"}" },
		{ "{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
		    "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
		    "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"thud\":\"fred\",\"corge\":\"grault\"}}" },
		{ "{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
		    "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
		    "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}" },
		{ "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
		    "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
		    "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}" },
		{ "{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", "! operation 0: a test failed" },
		{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
		    "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}" },
		{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
		    "{\"baz\":\"qux\",\"foo\":\"bar\"}" },
		{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]",
		    "! operation 0: something on the way of a pointer does not exist" },
		{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"op\":\"remove\"}]",
		    "! operation 0: what a pointer leads to does not exist" },
		{ "{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]", "{\"/\":9,\"~1\":10}" },
		{ "{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", "! operation 0: a test failed" },
		{ "{\"foo\":[\"bar\"]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
		    "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}" },
	};

	(void)state;
	check_all(examples);
}

static void
whole_documents(void **state)
{
	static const struct example examples[] = {
		{ NULL, "[{\"op\":\"add\",\"path\":\"\",\"value\":{\"a\":1}},{\"op\":\"add\",\"path\":\"/b\",\"value\":2}]",
		    "{\"a\":1,\"b\":2}" },
		{ NULL, "[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]", "[]" },
		{ "[1]", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{}}]", "{}" },
		{ "[1]", "[{\"op\":\"test\",\"path\":\"\",\"value\":[1.0]}]", "[1]" },
		{ "{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"\"}]", "[1]" },
		{ "{\"a\":[1]}", "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"\"}]", "1" },
		{ "[1]", "[{\"op\":\"move\",\"from\":\"\",\"path\":\"\"}]", "[1]" },
		{ "[1]", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/-\"}]", "[1,[1]]" },
		{ "[1]", "[{\"op\":\"remove\",\"path\":\"\"}]", "! operation 0: the whole document cannot be removed" },
		{ NULL, "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]",
		    "! operation 0: something on the way of a pointer does not exist" },
		{ NULL, "[{\"op\":\"test\",\"path\":\"\",\"value\":null}]", "! operation 0: what a pointer leads to does not exist" },
	};

	(void)state;
	check_all(examples);
}

static void
pointers(void **state)
{
	static const struct example examples[] = {
		{ "{\"a/b\":{\"m~n\":{\"\":1}}}", "[{\"op\":\"remove\",\"path\":\"/a~1b/m~0n/\"}]", "{\"a/b\":{\"m~n\":{}}}" },
		{ "{\"\xc3\xa9\":1}", "[{\"op\":\"remove\",\"path\":\"/\\u00e9\"}]", "{}" },
		{ "{\"0\":1}", "[{\"op\":\"replace\",\"path\":\"/0\",\"value\":2}]", "{\"0\":2}" },
		{ "{\"-\":1}", "[{\"op\":\"remove\",\"path\":\"/-\"}]", "{}" },
		{ "[1]", "[{\"op\":\"remove\",\"path\":\"/-\"}]", "! operation 0: what a pointer leads to does not exist" },
		{ "[1]", "[{\"op\":\"remove\",\"path\":\"/1\"}]", "! operation 0: what a pointer leads to does not exist" },
		{ "[1]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":1}]",
		    "! operation 0: an index is greater than the number of elements" },
		{ "[1]", "[{\"op\":\"add\",\"path\":\"/00\",\"value\":1}]",
		    "! operation 0: an element is named by something that is no index" },
		{ "[1]", "[{\"op\":\"add\",\"path\":\"/4294967296\",\"value\":1}]",
		    "! operation 0: an element is named by something that is no index" },
		{ "[1]", "[{\"op\":\"add\",\"path\":\"/\",\"value\":1}]",
		    "! operation 0: an element is named by something that is no index" },
		{ "{\"~\":1}", "[{\"op\":\"remove\",\"path\":\"/~\"}]", "! operation 0: a ~ in a pointer is neither ~0 nor ~1" },
		{ "{\"~\":1}", "[{\"op\":\"remove\",\"path\":\"/~2\"}]", "! operation 0: a ~ in a pointer is neither ~0 nor ~1" },
		{ "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"a\"}]", "! operation 0: a pointer does not begin with /" },
		{ "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/a/b\"}]",
		    "! operation 0: a pointer leads into what is neither object nor array" },
	};

	(void)state;
	check_all(examples);
}

static void
operations(void **state)
{
	static const struct example examples[] = {
		{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
		    "! operation 0: a value cannot move into itself" },
		{ "{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/ab\"}]", "{\"ab\":1}" },
		{ "{\"a\":1,\"b\":2}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"b\":1}" },
		{ "[1,2,3]", "[{\"op\":\"move\",\"from\":\"/2\",\"path\":\"/0\"}]", "[3,1,2]" },
		{ "[1,2,3]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/3\"}]",
		    "! operation 0: an index is greater than the number of elements" },
		{ "{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},{\"op\":\"add\",\"path\":\"/b/-\",\"value\":2}]",
		    "{\"a\":[1],\"b\":[1,2]}" },
		{ "{\"a\":12345678901234567890}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":12345678901234567890.0},"
		    "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"a\":12345678901234567890,\"b\":12345678901234567890}" },
		{ "{\"a\":12345678901234567890}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":12345678901234567891}]",
		    "! operation 0: a test failed" },
		{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null},{\"op\":\"test\",\"path\":\"/a\",\"value\":0}]",
		    "! operation 1: a test failed" },
		{ "{}", "{\"op\":\"add\"}", "! a patch is an array of operations" },
		{ "{}", "[1]", "! operation 0: \"op\" is missing, or not what it must be" },
		{ "{}", "[{\"op\":7}]", "! operation 0: \"op\" is missing, or not what it must be" },
		{ "{}", "[{\"op\":\"add\",\"path\":null}]", "! operation 0: \"path\" is missing, or not what it must be" },
		{ "{}", "[{\"op\":\"add\",\"path\":\"\"}]", "! operation 0: \"value\" is missing, or not what it must be" },
		{ "{}", "[{\"op\":\"copy\",\"path\":\"\"}]", "! operation 0: \"from\" is missing, or not what it must be" },
		{ "{}", "[{\"op\":\"Add\",\"path\":\"\",\"value\":1}]", "! operation 0: \"op\" is unknown" },
	};

	(void)state;
	check_all(examples);
}

static void
no_patch_makes_what_cannot_be_held(void **state)
{
	struct kith_buf doubling, deepening;

	(void)state;
	kith_buf_init(&doubling, arena, 0);
	kith_buf_init(&deepening, arena, 0);
	for (int i = 0; i < 60; i++)
		kith_buf_printf(&doubling, "%s{\"op\":\"copy\",\"from\":\"\",\"path\":\"/-\"}", i ? "," : "[");
	kith_buf_putc(&doubling, ']');
	assert_string_equal(patched("[]", doubling.s), "! operation 17: too many values");
	for (int i = 0; i < 501; i++) {
		kith_buf_printf(&deepening, "%s{\"op\":\"add\",\"path\":\"", i ? "," : "[");
		for (int k = 0; k < i; k++)
			kith_buf_puts(&deepening, "/0");
		kith_buf_puts(&deepening, "\",\"value\":[]}");
	}
	kith_buf_putc(&deepening, ']');
	assert_string_equal(patched("[]", deepening.s), "! operation 500: nested too deeply");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		json_that("the examples of RFC 6902, appendix A", examples_of_the_rfc),
		json_that("whole documents are set, tested and copied", whole_documents),
		json_that("pointers are those of RFC 6901", pointers),
		json_that("operations do what they say, or nothing", operations),
		json_that("no patch makes a document that cannot be held", no_patch_makes_what_cannot_be_held),
	};

	return unit_run(tests);
}
