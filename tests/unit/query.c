/* Goal: each parameter of a query string goes where it belongs, and nothing in one can do harm. */
#include "query_try.h"

static void
paging(void **state)
{
	static const struct good table[] = {
		{ "limit=10&offset=20", "limit 10 offset 20" },
		{ "limit=0", "limit 0" },
		{ "limit=-0", "limit 0" },
		{ "limit=007", "limit 7" },
		{ "limit=9223372036854775807", "limit 9223372036854775807" },
		{ "limit=1&limit=2", "limit 2" },
		{ "offset=1&offset=2", "offset 2" },
	};
	static const char *const negative[] = { "limit=-1", "offset=-1", "limit=-99999999999999999999" };

	(void)state;
	all_become(table);
	foreach (negative, i) {
		assert_null(parse(negative[i], false));
		assert_int_equal(req->error.status, 416);
		assert_string_equal(req->error.code, "PGRST103");
		assert_string_equal(req->error.message, "Requested range not satisfiable");
	}
}

static void
embed_paths(void **state)
{
	static const struct good table[] = {
		{ "select=id,c:conversations!inner(id,title)&c.title=eq.Morning",
		    "select(id, c:conversations!inner{select(id, title) where(title eq 'Morning')})" },
		{ "select=messages(id)&messages.order=created_at.desc&messages.limit=1&messages.offset=2&order=id",
		    "select(messages{select(id) order(created_at desc) limit 1 offset 2}) order(id)" },
		{ "messages.limit=1&select=messages(id)", "select(messages{select(id) limit 1})" },
		{ "select=m:messages(id)&messages.id=eq.1", "select(m:messages{select(id) where(id eq '1')})" },
		{ "select=a:m(*),m(*)&m.x=eq.1", "select(a:m{select(*)}, m{select(*) where(x eq '1')})" },
		{ "select=a:m(*),b:m(*)&b.x=eq.1&a.x=eq.2&m.x=eq.3",
		    "select(a:m{select(*) where(x eq '2'; x eq '3')}, b:m{select(*) where(x eq '1')})" },
		{ "select=a(b(c(*)))&a.b.c.d->>e=eq.1&a.b.order=x",
		    "select(a{select(b{select(c{select(*) where(d->>e eq '1')}) order(x)})})" },
		{ "select=m(*)&m.or=(a.eq.1,b.eq.2)&m.not.and=(c.eq.3)",
		    "select(m{select(*) where(or(a eq '1'; b eq '2'); not and(c eq '3'))})" },
		{ "select=\"a.b\"(*)&\"a.b\".c=eq.1", "select(\"a.b\"{select(*) where(c eq '1')})" },
		{ "select=...c(t)&c.t=eq.1", "select(...c{select(t) where(t eq '1')})" },
		{ "select=m()&m=is.null", "select(m{select()}) where(m is null)" },
		{ "select=not(*)&not.a=eq.1&not.or=(b.eq.2)",
		    "select(not{select(*) where(a eq '1')}) where(not or(b eq '2'))" },
	};

	(void)state;
	all_become(table);
}

static void
not_embedded(void **state)
{
	static const char *const table[] = { "m.a=eq.1", "select=id&m.order=a", "m.limit=1", "m.or=(a.eq.1)",
		"select=a(b(*))&b.c=eq.1", "select=m&m.a=eq.1", "select=a(b(*))&a.x.c=eq.1" };

	(void)state;
	foreach (table, i) {
		if (parse(table[i], false))
			fail_msg("accepted: %s", table[i]);
		assert_int_equal(req->error.status, 400);
		assert_string_equal(req->error.code, "PGRST108");
	}
	parse(table[0], false);
	assert_string_equal(req->error.message, "'m' is not an embedded resource in this request");
	assert_string_equal(req->error.hint, "Verify that 'm' is included in the 'select' query parameter.");
}

static void
repeated(void **state)
{
	static const struct good table[] = {
		{ "select=a&select=b", "select(a)" },
		{ "columns=a&columns=b", "columns(a)" },
		{ "on_conflict=a&on_conflict=b", "on_conflict(a)" },
		{ "select=m(*)&m.order=a&m.order=b&m.limit=1&m.limit=2", "select(m{select(*) order(a) limit 2})" },
		{ "columns=a,b,a", "columns(a, b)" },
	};

	(void)state;
	all_become(table);
}

static void
writes(void **state)
{
	static const struct good table[] = {
		{ "columns=\"a,b\",+c-d+,\"e\"", "columns(\"a,b\", \"c-d\", e)" },
		{ "on_conflict=user_id,category,key&select=*", "select(*) on_conflict(user_id, category, key)" },
		{ "on_conflict=\"first name\"", "on_conflict(\"first name\")" },
	};

	(void)state;
	all_become(table);
}

static void
arguments(void **state)
{
	static const struct good table[] = {
		{ "a=1&b=x+y", "call(a '1', b 'x y')" },
		{ "a=", "call(a '')" },
		{ "a=1&a=2", "call(a '1', a '2')" },
		{ "q=hello&id=eq.3&select=id&limit=2", "select(id) where(id eq '3') limit 2 call(q 'hello')" },
		{ "a={1,2}&b=eq&c=not.b&d=eq(hello&e=equal.x",
		    "call(a '{1,2}', b 'eq', c 'not.b', d 'eq(hello', e 'equal.x')" },
		{ "a=not.eq.1&b=fts(x).y", "where(not a eq '1'; b fts(x) 'y')" },
		{ "\"a b\"=1", "call(\"a b\" '1')" },
		{ "or=(a.eq.1)&x=1", "where(or(a eq '1')) call(x '1')" },
	};

	(void)state;
	foreach (table, i)
		becomes(table[i].query, true, table[i].tree);
	assert_null(parse("a->b=1", true));
	assert_null(parse("a=in.1", true));
	assert_null(parse("a.b=1", true));
	assert_string_equal(req->error.code, "PGRST108");
}

static void
filtered(void **state)
{
	static const struct {
		const char *query;
		bool filtered;
	} table[] = {
		{ "", false },
		{ "select=id,m(*)&m.a=eq.1&order=id&limit=1", false },
		{ "a=eq.1", true },
		{ "not.or=(a.eq.1)", true },
	};

	(void)state;
	foreach (table, i)
		assert_int_equal(parse(table[i].query, false)->filtered, table[i].filtered);
	assert_false(parse("a=1", true)->filtered);
}

static void
rejections(void **state)
{
	static const struct bad table[] = {
		{ "a", "failed to parse query parameter (a)\" (line 1, column 2)", "expecting \"=\"" },
		{ "=eq.1", "failed to parse tree path ()\" (line 1, column 1)", "expecting field name" },
		{ "select=a(b)&a.=eq.1", "tree path (a.)\" (line 1, column 3)", "expecting field name" },
		{ "a!b=eq.1", "tree path (a!b)\" (line 1, column 2)", "unexpected \"!\"" },
		{ "a->=eq.1", "column 4)", "any non reserved character" },
		{ "a->b.c=eq.1", "column 5)", "unexpected \".\"" },
		{ "a->>-x=eq.1", "column 6)", "unexpected \"x\" expecting digit" },
		{ "\"a=eq.1", "column 3)", "expecting closing \"" },
		{ "\"a\"b=eq.1", "column 4)", "unexpected \"b\"" },
		{ "a--b=eq.1", "column 2)", "unexpected \"-\"" },
		{ "a->>b.or=(c.eq.1)", "tree path", "unexpected \"-\"" },
		{ "\"\"=eq.1", "column 1)", "expecting field name" },
		{ "limit=abc", "failed to parse limit (abc)\" (line 1, column 1)",
		    "unexpected \"a\" expecting integer" },
		{ "limit=", "column 1)", "expecting integer" },
		{ "limit=1.5", "column 2)", "unexpected \".\"" },
		{ "limit=1e3", "column 2)", "unexpected \"e\"" },
		{ "limit=--1", "column 2)", "unexpected \"-\"" },
		{ "offset=+1", "failed to parse offset", "unexpected \" \"" },
		{ "limit=9223372036854775808", "limit", "larger than 9223372036854775807" },
		{ "limit=99999999999999999999", "limit", "larger than" },
		{ "columns=", "failed to parse columns parameter", "field name" },
		{ "columns=a;b", "column 2)", "expecting \",\" or end of input" },
		{ "on_conflict=a,", "failed to parse on_conflict parameter", "field name" },
	};

	(void)state;
	all_refused(table);
}

static void
undecodable(void **state)
{
	static const char *const table[] = { "a=eq.%00", "%00=eq.1", "a=eq.%", "a=eq.%4", "a=eq.%zz", "a=eq.%ff",
		"a=eq.%C0%AF", "a=eq.%ED%A0%80", "a=eq.%F4%90%80%80", "select=%C3", "or=(a.eq.%80)" };

	(void)state;
	foreach (table, i) {
		if (parse(table[i], false))
			fail_msg("accepted: %s", table[i]);
		assert_int_equal(req->error.status, 400);
		assert_string_equal(req->error.code, "PGRST100");
	}
	becomes("a=eq.%EF%BF%BE%E2%80%AE", false, "where(a eq '\xef\xbf\xbe\xe2\x80\xae')");
}

/* n times open, then middle, then n times close.  Lives until the next call. */
static const char *
nested(const char *start, const char *open, const char *middle, const char *close, size_t n)
{
	static char text[KITH_QUERY_MAX_LENGTH + 1000];
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert_non_null(f);
	fputs(start, f);
	for (size_t i = 0; i < n; i++)
		fputs(open, f);
	fputs(middle, f);
	for (size_t i = 0; i < n; i++)
		fputs(close, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void
limits(void **state)
{
	(void)state;
	assert_non_null(parse(nested("or=", "(and", "(a.eq.1)", ")", KITH_QUERY_MAX_LOGIC - 1), false));
	refused(nested("or=", "(and", "(a.eq.1)", ")", KITH_QUERY_MAX_LOGIC), "logic tree", "at most 50 deep");
	refused(nested("or=", "(or", "", "", 8000), "logic tree", "at most 50 deep");
	assert_non_null(parse(nested("select=", "a(", "b", ")", KITH_QUERY_MAX_EMBEDS), false));
	refused(nested("select=", "a(", "b", ")", KITH_QUERY_MAX_EMBEDS + 1), "select", "at most 10 deep");
	refused(nested("select=", "a(", "", "", 8000), "select", "at most 10 deep");
	assert_non_null(parse(nested("select=a", "->b", "", "", KITH_QUERY_MAX_PATH), false));
	refused(nested("select=a", "->b", "", "", 800), "select", "at most 50 steps");
	refused(nested("a", "->b", "=eq.1", "", 51), "tree path", "at most 50 steps");
	refused(nested("or=((((", "(", "", "", 8000), "logic tree", "field name");

	assert_non_null(parse(nested("a=eq.", "", "", "x", KITH_QUERY_MAX_LENGTH - 5), false));
	assert_null(parse(nested("a=eq.", "", "", "x", KITH_QUERY_MAX_LENGTH - 4), false));
	assert_int_equal(req->error.status, 414);
}

/* columns= with n different names, and then more. */
static const char *
columns(int n, const char *more)
{
	static char text[KITH_QUERY_MAX_LENGTH];
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert_non_null(f);
	fputs("columns=c0", f);
	for (int i = 1; i < n; i++)
		fprintf(f, ",c%d", i);
	fputs(more, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void
many_columns(void **state)
{
	(void)state;
	assert_non_null(parse(columns(KITH_QUERY_MAX_COLUMNS, ""), false));
	assert_non_null(parse(columns(KITH_QUERY_MAX_COLUMNS, ",c1,c2,c3"), false));
	refused(columns(KITH_QUERY_MAX_COLUMNS, ",one_more"), "columns", "1600");
}

static size_t
count(const char *s)
{
	size_t n = 0;

	while (s && (s = strchr(s, 'Q'))) {
		s++;
		n++;
	}
	return n;
}

/* How many of the client's Qs come back. */
static size_t
echoed(const char *query)
{
	assert_null(parse(query, false));
	return count(req->error.message) + count(req->error.details) + count(req->error.hint);
}

static void
echo(void **state)
{
	/* The smiley's four bytes, cut at every place. */
	static const char *const starts[] = { "a=", "a=x", "a=xx", "a=xxx" };
	static const char smiley[] = "\xf0\x9f\x98\x80";

	(void)state;
	assert_in_range(echoed(nested("", "Q", "=", "Q", 1000)), 100, 200);
	assert_in_range(echoed(nested("", "Q", ".a=eq.1", "", 1000)), 100, 200);
	assert_in_range(echoed(nested("select=", "Q", "[", "", 1000)), 100, 200);
	assert_in_range(echoed(nested("", "Q", "", "", 1000)), 100, 200);
	foreach (starts, i) {
		const char *end;

		assert_null(parse(nested(starts[i], smiley, "", "", 100), false));
		end = strstr(req->error.message, "...");
		assert_non_null(end);
		assert_memory_equal(end - strlen(smiley), smiley, strlen(smiley));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("limit and offset are integers from zero", paging),
		unit_that("what is said about an embed goes to it", embed_paths),
		unit_that("a path to something not embedded is refused", not_embedded),
		unit_that("of repeated parameters the documented one counts", repeated),
		unit_that("columns and on_conflict are lists of names", writes),
		unit_that("without an operator a value is a function's argument", arguments),
		unit_that("only conditions on the table itself count as filters", filtered),
		unit_that("errors say where they are and what was expected", rejections),
		unit_that("NUL, broken escapes and bad UTF-8 are refused", undecodable),
		unit_that("depth and length are limited", limits),
		unit_that("columns are limited and counted once", many_columns),
		unit_that("errors echo little, and whole characters", echo),
	};

	return unit_run(tests);
}
