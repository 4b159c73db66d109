#include <string.h>
#include <strings.h>

#include "arena.h"
#include "query_internal.h"
#include "request.h"

/* Deeper than any array; what nests deeper has to be quoted.  Keeps the search for the end linear. */
#define MAX_BRACES 50

/* What may stand in brackets between an operator and its dot. */
enum bracket { NOTHING, QUANTIFIER, CONFIG };

struct operation {
	const char *name;
	enum kith_operator op;
	enum bracket bracket;
};

/* clang-format off */
static const struct operation operations[] = {
	{ "eq", KITH_OP_EQ, QUANTIFIER },
	{ "neq", KITH_OP_NEQ, NOTHING },
	{ "gt", KITH_OP_GT, QUANTIFIER },
	{ "gte", KITH_OP_GTE, QUANTIFIER },
	{ "lt", KITH_OP_LT, QUANTIFIER },
	{ "lte", KITH_OP_LTE, QUANTIFIER },
	{ "in", KITH_OP_IN, NOTHING },
	{ "is", KITH_OP_IS, NOTHING },
	{ "like", KITH_OP_LIKE, QUANTIFIER },
	{ "ilike", KITH_OP_ILIKE, QUANTIFIER },
	{ "match", KITH_OP_MATCH, QUANTIFIER },
	{ "imatch", KITH_OP_IMATCH, QUANTIFIER },
	{ "isdistinct", KITH_OP_ISDISTINCT, NOTHING },
	{ "cs", KITH_OP_CS, NOTHING },
	{ "cd", KITH_OP_CD, NOTHING },
	{ "ov", KITH_OP_OV, NOTHING },
	{ "sl", KITH_OP_SL, NOTHING },
	{ "sr", KITH_OP_SR, NOTHING },
	{ "nxl", KITH_OP_NXL, NOTHING },
	{ "nxr", KITH_OP_NXR, NOTHING },
	{ "adj", KITH_OP_ADJ, NOTHING },
	{ "fts", KITH_OP_FTS, CONFIG },
	{ "plfts", KITH_OP_PLFTS, CONFIG },
	{ "phfts", KITH_OP_PHFTS, CONFIG },
	{ "wfts", KITH_OP_WFTS, CONFIG },
};

static const struct {
	const char *name;
	enum kith_is is;
} truths[] = {
	{ "null", KITH_IS_NULL },
	{ "not_null", KITH_IS_NOT_NULL },
	{ "true", KITH_IS_TRUE },
	{ "false", KITH_IS_FALSE },
	{ "unknown", KITH_IS_UNKNOWN },
};
/* clang-format on */

static size_t
word_length(const char *s)
{
	size_t n = 0;

	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_')
		n++;
	return n;
}

static const struct operation *
find_operator(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (!strncmp(operations[i].name, s, n) && !operations[i].name[n])
			return &operations[i];
	}
	return NULL;
}

/* "(any)", "(all)" or "(config)", the opening bracket being read.  NULL, or what was expected. */
static const char *
bracketed(struct kith_query_text *t, struct kith_condition *c, enum bracket bracket)
{
	const char *start = t->p;

	if (bracket == CONFIG) {
		while (*t->p && *t->p != ')')
			t->p++;
		c->config = kith_strndup(t->req->arena, start, (size_t)(t->p - start));
		if (t->p == start)
			return "a text search configuration";
	} else if (kith_query_eat(t, "any")) {
		c->quantifier = KITH_QUANTIFIER_ANY;
	} else if (kith_query_eat(t, "all")) {
		c->quantifier = KITH_QUANTIFIER_ALL;
	} else {
		return "\"any\" or \"all\"";
	}
	return kith_query_eat(t, ")") ? NULL : "\")\"";
}

const char *
kith_query_operator(struct kith_query_text *t, struct kith_condition *c)
{
	const struct operation *o;
	size_t n;

	c->kind = KITH_COND_TEST;
	c->negated = kith_query_eat(t, "not.");
	n = word_length(t->p);
	o = find_operator(t->p, n);
	if (!o)
		return c->negated ? "operator (eq, gt, ...)" : "\"not\" or operator (eq, gt, ...)";
	t->p += n;
	c->op = o->op;
	if (o->bracket != NOTHING && kith_query_eat(t, "(")) {
		const char *expected = bracketed(t, c, o->bracket);

		if (expected)
			return expected;
	}
	return kith_query_eat(t, ".") ? NULL : "delimiter (.)";
}

/* Text up to "," or ")": they end a value in a list and in a logic tree. */
static const char *
raw(struct kith_query_text *t)
{
	size_t n = strcspn(t->p, ",)");
	const char *value = kith_strndup(t->req->arena, t->p, n);

	t->p += n;
	return value;
}

/* "(" [ element *( "," element ) ] ")" with the blanks around the brackets. */
static int
list(struct kith_query_text *t, struct kith_condition *c)
{
	const size_t size = sizeof(*c->values);
	struct kith_arena *a = t->req->arena;
	size_t n = 0;
	size_t room = 8;

	kith_query_blanks(t);
	if (!kith_query_eat(t, "("))
		return kith_query_expected(t, "\"(\"");
	kith_query_blanks(t);
	c->values = kith_new_array(a, const char *, room);
	if (*t->p != ')') {
		do {
			const char *element = kith_query_quoted(t, ",)");

			if (n + 1 == room) {
				c->values = kith_realloc(a, c->values, room * size, 2 * room * size);
				room *= 2;
			}
			c->values[n++] = element ? element : raw(t);
		} while (kith_query_eat(t, ","));
	}
	c->values[n] = NULL;
	if (!kith_query_eat(t, ")"))
		return kith_query_expected(t, "\",\" or \")\"");
	kith_query_blanks(t);
	return 0;
}

static int
truth(struct kith_query_text *t, struct kith_condition *c)
{
	size_t n = word_length(t->p);

	for (size_t i = 0; i < sizeof(truths) / sizeof(*truths); i++) {
		if (!strncasecmp(truths[i].name, t->p, n) && !truths[i].name[n]) {
			t->p += n;
			c->is = truths[i].is;
			kith_query_blanks(t);
			return 0;
		}
	}
	return kith_query_expected(t, "isVal: (null, not_null, true, false, unknown)");
}

/* URLs have a use of their own for "%", so "*" stands for it in patterns. */
static const char *
pattern(struct kith_arena *a, const char *value)
{
	char *copy;

	if (!strchr(value, '*'))
		return value;
	copy = kith_strdup(a, value);
	for (char *p = copy; (p = strchr(p, '*')); p++)
		*p = '%';
	return copy;
}

static void
set_value(struct kith_query_text *t, struct kith_condition *c, const char *value)
{
	if (c->op == KITH_OP_LIKE || c->op == KITH_OP_ILIKE)
		value = pattern(t->req->arena, value);
	c->value = value;
}

int
kith_query_value(struct kith_query_text *t, struct kith_condition *c)
{
	if (c->op == KITH_OP_IN || c->op == KITH_OP_IS) {
		if ((c->op == KITH_OP_IN ? list(t, c) : truth(t, c)) < 0)
			return -1;
		return *t->p ? kith_query_expected(t, "end of input") : 0;
	}
	set_value(t, c, t->p);
	t->p += strlen(t->p);
	return 0;
}

/*
 * Behind the "}" that closes the "{" at p, minding quotes, if the value ends
 * there; NULL otherwise.  PostgREST stops at the first "}"; going on to the
 * matching one lets JSON objects and arrays of arrays through as well.
 */
static const char *
braces_end(const char *p)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			for (p++; *p && *p != '"'; p++)
				p += *p == '\\' && p[1];
		}
		if (!*p || depth > MAX_BRACES)
			return NULL;
		depth += *p == '{';
		depth -= *p == '}';
		p++;
	} while (depth);
	return strchr(",)", p[strspn(p, " \t")]) ? p : NULL;
}

/* A value in a logic tree: quoted, in braces, or raw up to "," or ")". */
static void
tree_value(struct kith_query_text *t, struct kith_condition *c)
{
	const char *value = kith_query_quoted(t, ",)");
	const char *end = value || *t->p != '{' ? NULL : braces_end(t->p);

	if (end) {
		value = kith_strndup(t->req->arena, t->p, (size_t)(end - t->p));
		t->p = end;
	} else if (!value) {
		value = raw(t);
	}
	set_value(t, c, value);
}

/* Reads "and" or "or" if an opening bracket follows; false, nothing read, otherwise. */
static bool
joiner(struct kith_query_text *t, struct kith_condition *c)
{
	const char *start = t->p;

	c->kind = kith_query_eat(t, "and") ? KITH_COND_AND : KITH_COND_OR;
	if (c->kind == KITH_COND_AND || kith_query_eat(t, "or")) {
		kith_query_blanks(t);
		if (*t->p == '(')
			return true;
	}
	t->p = start;
	return false;
}

static int group(struct kith_query_text *t, struct kith_condition *c, int depth);

/* cond = name [ jsonpath ] "." [ "not." ] opvalue  /  [ "not." ] ( "or" / "and" ) "(" ... ")" */
static int
condition(struct kith_query_text *t, struct kith_condition *c, int depth)
{
	const char *start = t->p;
	const char *expected;

	c->negated = kith_query_eat(t, "not.");
	if (joiner(t, c))
		return group(t, c, depth);
	/* Not a negation then, but perhaps a column of that name. */
	t->p = start;
	if (kith_query_field(t, &c->field) < 0)
		return -1;
	if (!kith_query_eat(t, "."))
		return kith_query_expected(t, "delimiter (.), \"->>\" or \"->\"");
	expected = kith_query_operator(t, c);
	if (expected)
		return kith_query_expected(t, expected);
	if (c->op == KITH_OP_IN)
		return list(t, c);
	if (c->op == KITH_OP_IS)
		return truth(t, c);
	tree_value(t, c);
	return 0;
}

/* "(" cond *( "," cond ) ")"; the recursion is bounded by the count. */
static int
group(struct kith_query_text *t, struct kith_condition *c, int depth)
{
	struct kith_condition **tail = &c->first;

	if (depth == KITH_QUERY_MAX_LOGIC)
		return kith_query_refuse(t, "Conditions are nested at most 50 deep.");
	if (!kith_query_eat(t, "("))
		return kith_query_expected(t, "\"(\"");
	do {
		struct kith_condition *inner = kith_new(t->req->arena, struct kith_condition);

		kith_query_blanks(t);
		if (condition(t, inner, depth + 1) < 0)
			return -1;
		*tail = inner;
		tail = &inner->next;
		kith_query_blanks(t);
	} while (kith_query_eat(t, ","));
	if (!kith_query_eat(t, ")"))
		return kith_query_expected(t, "\",\" or \")\"");
	kith_query_blanks(t);
	return 0;
}

int
kith_query_logic(struct kith_query_text *t, struct kith_condition *c)
{
	kith_query_blanks(t);
	if (group(t, c, 0) < 0)
		return -1;
	return *t->p ? kith_query_expected(t, "end of input") : 0;
}
