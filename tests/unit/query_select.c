/* Goal: select and order become the tree that their author meant, or an error that says where and why not. */
#include "query_try.h"

static void
select_columns(void **state)
{
	static const struct good table[] = {
		{ "", "" },
		{ "&&", "" },
		{ "select=", "select()" },
		{ "select=+", "select()" },
		{ "select=*", "select(*)" },
		{ "select=id", "select(id)" },
		{ "select=*,id,id", "select(*, id, id)" },
		{ "select=+id+,%09name%0A,%0D*+", "select(id, name, *)" },
		{ "select=text:content", "select(text:content)" },
		{ "select=text+:+content", "select(text:content)" },
		{ "select=created_at::date", "select(created_at::date)" },
		{ "select=at:created_at::timestamp+with+time+zone", "select(at:created_at::timestamp with time zone)" },
		{ "select=%22a%20%5C%22b%5C%22%22", "select(\"a \"b\"\")" },
		{ "select=\"*\",\"a,b\":\"c.d\"", "select(\"*\", \"a,b\":\"c.d\")" },
		{ "select=first+name", "select(\"first name\")" },
		{ "select=semi-colon,a-b-c", "select(\"semi-colon\", \"a-b-c\")" },
		{ "select=caf%C3%A9,%E5%90%8D:id", "select(\"caf\u00e9\", \"\u540d\":id)" },
		{ "select=1st,$,_", "select(1st, \"$\", _)" },
		{ "select=count", "select(count)" },
	};

	(void)state;
	all_become(table);
}

static void
select_json_paths(void **state)
{
	static const struct good table[] = {
		{ "select=meta->mood", "select(meta->mood)" },
		{ "select=mood:metadata->>mood", "select(mood:metadata->>mood)" },
		{ "select=a->b->>c", "select(a->b->>c)" },
		{ "select=a->0", "select(a->#0)" },
		{ "select=a->-1", "select(a->#-1)" },
		{ "select=a->0->b::text", "select(a->#0->b::text)" },
		{ "select=a->>0::int,b", "select(a->>#0::int, b)" },
		{ "select=a->0+,b", "select(a->#0, b)" },
		{ "select=m(a->0)", "select(m{select(a->#0)})" },
		{ "select=a->12th", "select(a->12th)" },
		{ "select=a->!@%23$%25%5E%26*_a", "select(a->\"!@#$%^&*_a\")" },
		{ "select=a->two+words", "select(a->\"two words\")" },
		{ "select=a->b-c->d", "select(a->\"b-c\"->d)" },
		{ "select=a->\"\"", "select(a->\"\")" },
		{ "select=a->\"x.y->z\"->>\"0\"", "select(a->\"x.y->z\"->>0)" },
	};

	(void)state;
	all_become(table);
}

static void
select_aggregates(void **state)
{
	static const struct good table[] = {
		{ "select=count()", "select(count())" },
		{ "select=n:count()::text", "select(n:count()::text)" },
		{ "select=a.sum()", "select(a.sum())" },
		{ "select=t:a->b::int.avg()::text", "select(t:a->b::int.avg()::text)" },
		{ "select=a.min(),a.max(),a.count()", "select(a.min(), a.max(), a.count())" },
	};

	(void)state;
	all_become(table);
}

static void
select_embeds(void **state)
{
	static const struct good table[] = {
		{ "select=id,messages(*)", "select(id, messages{select(*)})" },
		{ "select=messages()", "select(messages{select()})" },
		{ "select=messages(count)", "select(messages{select(count)})" },
		{ "select=messages(count())", "select(messages{select(count())})" },
		{ "select=m:messages(id,text)", "select(m:messages{select(id, text)})" },
		{ "select=messages!inner(id)", "select(messages!inner{select(id)})" },
		{ "select=messages!left(id)", "select(messages{select(id)})" },
		{ "select=m:messages!fk(id)", "select(m:messages!fk{select(id)})" },
		{ "select=messages!fk!inner(id)", "select(messages!fk!inner{select(id)})" },
		{ "select=messages!inner!fk(id)", "select(messages!fk!inner{select(id)})" },
		{ "select=messages!leftover(id)", "select(messages!leftover{select(id)})" },
		{ "select=a(b(c(*),d),e),f", "select(a{select(b{select(c{select(*)}, d)}, e)}, f)" },
		{ "select=...conversations(title)", "select(...conversations{select(title)})" },
		{ "select=...a!inner(...b(c))", "select(...a!inner{select(...b{select(c)})})" },
		{ "select=a+(+b+,+c+(+d+)+)+", "select(a{select(b, c{select(d)})})" },
		{ "select=\"a(b)\"(c)", "select(\"a(b)\"{select(c)})" },
		{ "select=counts(a)", "select(counts{select(a)})" },
	};

	(void)state;
	all_become(table);
}

static void
ordering(void **state)
{
	static const struct good table[] = {
		{ "order=a", "order(a)" },
		{ "order=a.asc", "order(a)" },
		{ "order=created_at.desc,id.asc", "order(created_at desc, id)" },
		{ "order=a.nullsfirst,b.desc.nullslast", "order(a nulls first, b desc nulls last)" },
		{ "order=metadata->>rank.desc.nullslast", "order(metadata->>rank desc nulls last)" },
		{ "order=a->0.desc", "order(a->#0 desc)" },
		{ "order=conversations(title).desc,id", "order(conversations.title desc, id)" },
		{ "order=c(a->>b)", "order(c.a->>b)" },
		{ "order=\"a.desc\".asc,first+name.desc", "order(\"a.desc\", \"first name\" desc)" },
		{ "order=+a.desc+,+b+", "order(a desc, b)" },
		{ "order=a&order=b", "order(a)" },
	};

	(void)state;
	all_become(table);
}

static void
rejections(void **state)
{
	static const struct bad table[] = {
		{ "select=,", "select parameter (,)\" (line 1, column 1)", "expecting field name" },
		{ "select=id,", "column 4)", "unexpected end of input expecting field name" },
		{ "select=id)", "column 3)", "unexpected \")\"" },
		{ "select=a(b", "column 4)", "expecting \",\" or \")\"" },
		{ "select=a(b))", "column 5)", "unexpected \")\"" },
		{ "select=a!inner", "column 8)", "expecting \"!\" or \"(\"" },
		{ "select=a!inner!left(b)", "column 9)", "one of \"inner\" and \"left\"" },
		{ "select=a!b!c(d)", "column 5)", "\"inner\" or \"left\"" },
		{ "select=*!x(a)", "column 2)", "unexpected \"!\"" },
		{ "select=x:*", "column 3)", "field name" },
		{ "select=x:...a(b)", "column 3)", "field name" },
		{ "select=..a(b)", "column 1)", "field name" },
		{ "select=...a", "column 5)", "expecting \"!\" or \"(\"" },
		{ "select=a::", "column 4)", "letter or digit" },
		{ "select=a::text;drop", "column 8)", "unexpected \";\"" },
		{ "select=a::numeric(1)", "column 11)", "unexpected \"(\"" },
		{ "select=a.stddev()", "column 3)", "\"sum()\"" },
		{ "select=a.sum", "column 3)", "\"sum()\"" },
		{ "select=a->b(c)", "column 5)", "unexpected \"(\"" },
		{ "select=\"\"", "column 1)", "expecting field name" },
		{ "select=a[]", "column 2)", "unexpected \"[\"" },
		{ "select=\u00e9\u00e9[", "column 3)", "unexpected \"[\"" },
		{ "order=", "failed to parse order ()\" (line 1, column 1)", "expecting field name" },
		{ "order=a,", "column 3)", "field name" },
		{ "order=a.ac", "column 3)", "\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"" },
		{ "order=a.descc", "column 3)", "unexpected \"d\"" },
		{ "order=a.asc.desc", "column 7)", "\"nullsfirst\" or \"nullslast\"" },
		{ "order=a.nullsfirst.asc", "column 14)", "\",\" or end of input" },
		{ "order=a(b,c)", "column 4)", "or \")\"" },
		{ "order=a;b", "column 2)", "unexpected \";\"" },
	};

	(void)state;
	all_refused(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("select names columns, aliases and casts", select_columns),
		unit_that("select reaches into JSON", select_json_paths),
		unit_that("select knows aggregates", select_aggregates),
		unit_that("select nests other tables", select_embeds),
		unit_that("order knows direction, nulls and embeds", ordering),
		unit_that("errors say where they are and what was expected", rejections),
	};

	return unit_run(tests);
}
