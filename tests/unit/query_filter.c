/* Goal: conditions become the tree that their author meant, or an error that says where and why not. */
#include "query_try.h"

static void
operators(void **state)
{
	static const struct good table[] = {
		{ "a=eq.1", "where(a eq '1')" },
		{ "a=neq.1", "where(a neq '1')" },
		{ "a=gt.1", "where(a gt '1')" },
		{ "a=gte.2026-01-01T00:00:00Z", "where(a gte '2026-01-01T00:00:00Z')" },
		{ "a=lt.1", "where(a lt '1')" },
		{ "a=lte.1", "where(a lte '1')" },
		{ "a=like.*b*", "where(a like '%b%')" },
		{ "a=ilike.%25b_*", "where(a ilike '%b_%')" },
		{ "a=match.^b.*", "where(a match '^b.*')" },
		{ "a=imatch.b*", "where(a imatch 'b*')" },
		{ "a=in.(1,2)", "where(a in ['1', '2'])" },
		{ "a=is.null", "where(a is null)" },
		{ "a=is.NULL", "where(a is null)" },
		{ "a=is.not_null", "where(a is not_null)" },
		{ "a=is.True", "where(a is true)" },
		{ "a=is.false", "where(a is false)" },
		{ "a=is.unknown", "where(a is unknown)" },
		{ "a=is.null+", "where(a is null)" },
		{ "a=isdistinct.1", "where(a isdistinct '1')" },
		{ "tags=cs.{family,work}", "where(tags cs '{family,work}')" },
		{ "e=cs.{\"people\":[\"Ann\"]}", "where(e cs '{\"people\":[\"Ann\"]}')" },
		{ "a=cd.{1}", "where(a cd '{1}')" },
		{ "a=ov.[1,2)", "where(a ov '[1,2)')" },
		{ "a=sl.(1,2)", "where(a sl '(1,2)')" },
		{ "a=sr.(1,2)", "where(a sr '(1,2)')" },
		{ "a=nxl.(1,2)", "where(a nxl '(1,2)')" },
		{ "a=nxr.(1,2)", "where(a nxr '(1,2)')" },
		{ "a=adj.(1,2)", "where(a adj '(1,2)')" },
		{ "a=fts.cat", "where(a fts 'cat')" },
		{ "a=fts(english).cat", "where(a fts(english) 'cat')" },
		{ "a=plfts(pg_catalog.english).fat+cat", "where(a plfts(pg_catalog.english) 'fat cat')" },
		{ "a=phfts.fat+cat", "where(a phfts 'fat cat')" },
		{ "a=wfts(german).a+-b", "where(a wfts(german) 'a -b')" },
		{ "a=eq(any).{1,2}", "where(a eq any '{1,2}')" },
		{ "a=gt(all).{1,2}", "where(a gt all '{1,2}')" },
		{ "a=gte(any).{1}", "where(a gte any '{1}')" },
		{ "a=lt(any).{1}", "where(a lt any '{1}')" },
		{ "a=lte(any).{1}", "where(a lte any '{1}')" },
		{ "a=like(any).{a*,*b}", "where(a like any '{a%,%b}')" },
		{ "a=ilike(all).{a*,*b}", "where(a ilike all '{a%,%b}')" },
		{ "a=match(any).{a*}", "where(a match any '{a*}')" },
		{ "a=imatch(all).{a*}", "where(a imatch all '{a*}')" },
	};

	(void)state;
	all_become(table);
	/* And each with not. in front. */
	foreach (table, i) {
		const char *equals = strchr(table[i].query, '=');
		char query[100], tree[100];

		snprintf(
		    query, sizeof(query), "%.*s=not.%s", (int)(equals - table[i].query), table[i].query, equals + 1);
		snprintf(tree, sizeof(tree), "where(not %s", table[i].tree + strlen("where("));
		becomes(query, false, tree);
	}
}

static void
filters(void **state)
{
	static const struct good table[] = {
		{ "a=gte.1&a=lt.9&b=eq.x", "where(a gte '1'; a lt '9'; b eq 'x')" },
		{ "a->b->>c=eq.1", "where(a->b->>c eq '1')" },
		{ "a->0->>\"b.c\"=is.null", "where(a->#0->>\"b.c\" is null)" },
		{ "\"a.b\"=eq.1", "where(\"a.b\" eq '1')" },
		{ "\"order\"=eq.1&\"a.or\"=eq.2", "where(order eq '1'; \"a.or\" eq '2')" },
		{ "first+name=eq.Ann", "where(\"first name\" eq 'Ann')" },
		{ "na%C3%AFve=eq.%C3%A9", "where(\"na\u00efve\" eq '\u00e9')" },
		{ "limits=eq.1&selected=eq.2", "where(limits eq '1'; selected eq '2')" },
		{ "a=eq.", "where(a eq '')" },
		{ "a=eq.not.eq.1", "where(a eq 'not.eq.1')" },
		{ "a=eq.b=c%26d", "where(a eq 'b=c&d')" },
		{ "messages=not.is.null", "where(not messages is null)" },
	};

	(void)state;
	all_become(table);
}

/* What the client libraries send for the same thing: the contract's table. */
static void
quoting(void **state)
{
	static const struct good table[] = {
		/* a plain filter's value is everything, quotes are data */
		{ "a=eq.\"x\"", "where(a eq '\"x\"')" },
		{ "a=eq.x,y)z", "where(a eq 'x,y)z')" },
		{ "a=eq.%5C%22", "where(a eq '\\\"')" },
		{ "a=eq.+x+", "where(a eq ' x ')" },
		/* lists: JS, Kotlin and Python quote what needs it, Dart every string; Swift and Dart escape */
		{ "a=in.(chat,\"a,b\")", "where(a in ['chat', 'a,b'])" },
		{ "a=in.(\"chat\",\"a:b\")", "where(a in ['chat', 'a:b'])" },
		{ "a=in.(\"a%5C%22b\",\"c%5C%5Cd\")", "where(a in ['a\"b', 'c\\d'])" },
		{ "a=in.(\"a(b)\",c.d)", "where(a in ['a(b)', 'c.d'])" },
		{ "a=in.(\"\")", "where(a in [''])" },
		{ "a=in.()", "where(a in [])" },
		{ "a=in.(+)", "where(a in [])" },
		{ "a=in.(,)", "where(a in ['', ''])" },
		{ "a=in.+(1,+2)+", "where(a in ['1', ' 2'])" },
		{ "a=in.(\"a\"b,c)", "where(a in ['\"a\"b', 'c'])" },
		{ "a=in.(\"a,b)", "where(a in ['\"a', 'b'])" },
		{ "a=in.(a\"b,c)", "where(a in ['a\"b', 'c'])" },
		{ "a=in.(\u00e9,\"\u00fc,\")", "where(a in ['\u00e9', '\u00fc,'])" },
		{ "a=in.(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17)",
		    "where(a in ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', "
		    "'16', '17'])" },
		/* logic trees: raw up to the comma, quoted, or in braces */
		{ "or=(a.eq.x,b.eq.\"y,z)\")", "where(or(a eq 'x'; b eq 'y,z)'))" },
		{ "or=(a.eq.\"x%5C%22y\")", "where(or(a eq 'x\"y'))" },
		{ "or=(a.eq.\"x\"y)", "where(or(a eq '\"x\"y'))" },
		{ "or=(a.eq.x+y+,b.eq.)", "where(or(a eq 'x y '; b eq ''))" },
		{ "or=(tags.cs.{a,b},b.eq.1)", "where(or(tags cs '{a,b}'; b eq '1'))" },
		{ "or=(e.cs.{\"a\":{\"b\":\"}\"}},b.eq.1)", "where(or(e cs '{\"a\":{\"b\":\"}\"}}'; b eq '1'))" },
		{ "or=(a.cs.{{1,2},{3}}+,b.eq.1)", "where(or(a cs '{{1,2},{3}}'; b eq '1'))" },
		{ "or=(a.eq.{x,b.eq.y)", "where(or(a eq '{x'; b eq 'y'))" },
		{ "or=(a.eq.{\"%5C\"}\",b.eq.1)", "where(or(a eq '{\"\\\"}\"'; b eq '1'))" },
		{ "or=(a.like(any).{x*,*y},b.eq.1)", "where(or(a like any '{x%,%y}'; b eq '1'))" },
		{ "or=(a.in.(1,\"2,3\"),b.in.())", "where(or(a in ['1', '2,3']; b in []))" },
		{ "or=(\"a.b\".eq.1,a->>\"c,d\".eq.2)", "where(or(\"a.b\" eq '1'; a->>\"c,d\" eq '2'))" },
		/* columns: JS quotes, Kotlin does not */
		{ "columns=\"conversation_id\",\"content\"", "columns(conversation_id, content)" },
		{ "columns=conversation_id,content", "columns(conversation_id, content)" },
	};

	(void)state;
	all_become(table);
}

static void
logic(void **state)
{
	static const struct good table[] = {
		{ "or=(a.eq.1,b.is.null)", "where(or(a eq '1'; b is null))" },
		{ "and=(a.eq.1,b.eq.2)", "where(and(a eq '1'; b eq '2'))" },
		{ "not.or=(a.eq.1)", "where(not or(a eq '1'))" },
		{ "not.and=(a.eq.1)", "where(not and(a eq '1'))" },
		{ "or=(a.eq.1)&or=(b.eq.2)&c=eq.3", "where(or(a eq '1'); or(b eq '2'); c eq '3')" },
		{ "or=(importance.gte.0.8,and(is_active.is.true,content.ilike.\"*tea, please*\"))",
		    "where(or(importance gte '0.8'; and(is_active is true; content ilike '%tea, please%')))" },
		{ "or=(not.and(a.eq.1,not.or(b.not.eq.2)),c.not.in.(3))",
		    "where(or(not and(a eq '1'; not or(not b eq '2')); not c in ['3']))" },
		{ "or=+(+a.eq.1+,+and+(+b.is.null+,+c.in.+(+1,2)+)+)+",
		    "where(or(a eq '1 '; and(b is null; c in ['1', '2'])))" },
		{ "or=(not.eq.1,and.eq.2,or->x.eq.3,order.eq.4)",
		    "where(or(not eq '1'; and eq '2'; or->x eq '3'; order eq '4'))" },
		{ "or=(a.fts(english).cat,a->0->>b.eq.1)", "where(or(a fts(english) 'cat'; a->#0->>b eq '1'))" },
		{ "or=(messages.not.is.null)", "where(or(not messages is null))" },
	};

	(void)state;
	all_become(table);
}

static void
rejections(void **state)
{
	static const struct bad table[] = {
		{ "a=xx", "\"failed to parse filter (xx)\" (line 1, column 1)",
		    "unexpected \"x\" expecting \"not\" or operator (eq, gt, ...) in the value of \"a\"" },
		{ "a=", "filter ()\" (line 1, column 1)", "unexpected end of input expecting \"not\" or operator" },
		{ "a=eq", "filter (eq)\" (line 1, column 3)", "unexpected end of input expecting delimiter (.)" },
		{ "a=EQ.1", "column 1)", "operator" },
		{ "a=noop.1", "column 1)", "unexpected \"n\"" },
		{ "a=not.noop.1", "column 5)", "expecting operator (eq, gt, ...)" },
		{ "a=not.not.eq.1", "column 5)", "expecting operator" },
		{ "a=neq(any).{1}", "column 4)", "unexpected \"(\" expecting delimiter (.)" },
		{ "a=eq(some).{1}", "column 4)", "expecting \"any\" or \"all\"" },
		{ "a=eq().{1}", "column 4)", "expecting \"any\" or \"all\"" },
		{ "a=eq(any.{1}", "column 7)", "expecting \")\"" },
		{ "a=fts().x", "column 5)", "expecting a text search configuration" },
		{ "a=fts(x.y", "column 8)", "end of input expecting \")\"" },
		{ "a=in.1,2", "column 4)", "unexpected \"1\" expecting \"(\"" },
		{ "a=in.(1,2", "column 8)", "unexpected end of input expecting \",\" or \")\"" },
		{ "a=in.(1)2", "column 7)", "unexpected \"2\" expecting end of input" },
		{ "a=is.nul", "column 4)", "isVal: (null, not_null, true, false, unknown)" },
		{ "a=is.null,b", "column 8)", "expecting end of input" },
		{ "a=is.", "column 4)", "unexpected end of input" },
		{ "or=()", "failed to parse logic tree (())\" (line 1, column 2)", "expecting field name" },
		{ "or=a.eq.1", "column 1)", "expecting \"(\"" },
		{ "or=(a.eq.1", "column 8)", "expecting \",\" or \")\"" },
		{ "or=(a.eq.1))", "column 9)", "unexpected \")\" expecting end of input" },
		{ "or=(a.eq.1,)", "column 9)", "field name" },
		{ "or=(a.eq)", "column 6)", "delimiter (.)" },
		{ "or=(a)", "column 3)", "delimiter (.)" },
		{ "or=(xor(a.eq.1))", "column 5)", "unexpected \"(\"" },
		{ "or=(a.in.1,2)", "column 7)", "expecting \"(\"" },
		{ "or=(a.is.maybe)", "column 7)", "isVal" },
		{ "or=(a.is.nullx)", "column 7)", "isVal" },
	};

	(void)state;
	all_refused(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("every operator is understood, also negated", operators),
		unit_that("filters keep their order and their values", filters),
		unit_that("each place has its own quoting", quoting),
		unit_that("conditions nest", logic),
		unit_that("errors say where they are and what was expected", rejections),
	};

	return unit_run(tests);
}
