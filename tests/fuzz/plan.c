/*
 * Goal: whatever the query string, the SQL that comes of it holds only what we
 * wrote ourselves: words of a list, names of the catalog, parameters, and
 * quoted aliases where a name is given to a result.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sample.h"
#include "arena.h"
#include "plan.h"
#include "query.h"
#include "request.h"
#include "sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kith_catalog *catalog;

static const char *const words[] = {
	"all", "and", "any", "as", "asc", "bigint", "bool", "boolean", "by", "bytea", "c", "cast", "character",
	"coalesce", "count", "cross", "date", "decimal", "desc", "distinct", "double", "exists", "extensions",
	"false", "first", "float4", "float8", "from", "ilike", "inet", "inner", "int", "int2", "int4", "int8",
	"integer", "interval", "is", "join", "json", "json_agg", "jsonb", "kith_called", "label", "last", "lateral",
	"left", "like", "limit", "materialized", "mood", "not", "null", "nulls", "numeric", "offset", "on", "or", "order",
	"p", "phraseto_tsquery", "plainto_tsquery", "precision", "public", "r", "real", "regconfig", "row_to_json",
	"select", "smallint", "text", "time", "timestamp", "timestamptz", "timetz", "to_json", "to_jsonb",
	"to_tsquery", "to_tsvector", "true", "tsvector", "unknown", "uuid", "varchar", "variadic", "varying",
	"vector_in", "vector_out", "websearch_to_tsquery", "where", "with", "without", "zone", NULL
};

/* Longer ones first, since the first that fits is taken. */
static const char *const operators[] = { "->>", "-|-", "::", "=>", "->", "<>", ">=", "<=", "~*", "@>", "<@", "&&", "<<",
	">>", "&>", "&<", "@@", "=", "<", ">", "~", ".", ",", "(", ")", "*", "[", "]", "'[]'", NULL };

static void
must(bool true_by_contract)
{
	if (!true_by_contract)
		abort();
}

static bool
is_known(const char *name)
{
	if (!strcmp(name, "rows"))
		return true;
	for (size_t i = 0; i < catalog->nrelations; i++) {
		const struct kith_relation *r = &catalog->relations[i];

		if (!strcmp(r->schema, name) || !strcmp(r->name, name) || kith_catalog_column(r, name))
			return true;
	}
	for (size_t i = 0; i < catalog->nfunctions; i++) {
		const struct kith_function *f = &catalog->functions[i];

		if (!strcmp(f->name, name))
			return true;
		for (size_t k = 0; k < f->narguments; k++)
			if (!strcmp(f->arguments[k].name, name))
				return true;
		for (size_t k = 0; k < f->ncolumns; k++)
			if (!strcmp(f->columns[k].name, name))
				return true;
	}
	return false;
}

/* Reads "na""me" at *s. */
static const char *
read_name(struct kith_arena *a, const char **s)
{
	char *name = kith_alloc(a, strlen(*s)), *end = name;

	for (++*s;; ++*s) {
		must(**s);
		if (**s == '"' && *++*s != '"')
			return name;
		*end++ = **s;
	}
}

/* t0, e1, j2: aliases that the planner counts. */
static bool
is_alias(const char *s, size_t n)
{
	return n > 1 && strchr("tej", *s) && strspn(s + 1, "0123456789") == n - 1;
}

static size_t
read_word(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (is_alias(s, n))
		return n;
	for (size_t i = 0; words[i]; i++)
		if (strlen(words[i]) == n && !memcmp(words[i], s, n))
			return n;
	abort();
}

static size_t
read_operator(const char *s, int *depth)
{
	for (size_t i = 0; operators[i]; i++)
		if (!strncmp(operators[i], s, strlen(operators[i]))) {
			*depth += *s == '(';
			*depth -= *s == ')';
			must(*depth >= 0);
			return strlen(operators[i]);
		}
	abort();
}

/* Names that the statement gives by "as"; the result's keys are the client's choice. */
static bool
is_given(struct kith_arena *a, const char *text, const char *name)
{
	for (const char *s = text; (s = strstr(s, " as \"")); ) {
		s += 4;
		if (!strcmp(read_name(a, &s), name))
			return true;
	}
	return false;
}

static void
check(struct kith_arena *a, const struct kith_sql *q)
{
	const char *text = q->text.s;
	int depth = 0;

	must(q->text.len == strlen(text));
	for (const char *s = text; *s;) {
		if (*s == ' ') {
			s++;
		} else if (*s == '"') {
			bool named = s - text >= 4 && !strncmp(s - 4, " as ", 4);
			bool of_embed = s - text >= 3 && s[-1] == '.' && strchr("0123456789", s[-2]);
			const char *name = read_name(a, &s);

			must(named || is_known(name) || (of_embed && is_given(a, text, name)));
		} else if (*s == '$') {
			char *end;
			long n = strtol(s + 1, &end, 10);

			must(n >= 1 && n <= q->nparams);
			s = end;
		} else if (*s >= '0' && *s <= '9') {
			must(s - text > 6 && !strncmp(s - 6, "limit ", 6));
			s += strspn(s, "0123456789");
		} else if ((*s >= 'a' && *s <= 'z') || *s == '_') {
			s += read_word(s);
		} else {
			s += read_operator(s, &depth);
		}
	}
	must(!depth);
	for (int i = 0; i < q->nparams; i++)
		must(q->params[i] != NULL);
}

static void
check_refusal(const struct kith_request *req)
{
	must(req->error.status >= 300 && req->error.status < 500);
	must(req->error.code && req->error.message && strlen(req->error.message) < 1000);
}

/* Plans the one thing that the input's first byte picks. */
static struct kith_sql *
plan(struct kith_request *req, unsigned what)
{
	size_t nfunctions = catalog->nfunctions, n = catalog->nrelations + nfunctions;
	bool count = what & 0x80;
	bool call = what % n < nfunctions;
	const struct kith_query_string *qs = kith_query_parse(req, call);

	if (!qs)
		return NULL;
	if (call) {
		const struct kith_function *f = &catalog->functions[what % n];
		const char *body = f->narguments && !*f->arguments[0].name ? "[]" : NULL;

		return kith_plan_call(req, catalog, f, qs, body, NULL, 100, count);
	}
	return count ? kith_plan_count(req, catalog, &catalog->relations[what % n - nfunctions], &qs->query)
		     : kith_plan_read(req, catalog, &catalog->relations[what % n - nfunctions], &qs->query, 100);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_request req = { .fd = -1, .id = "fuzz", .method = KITH_GET };
	struct kith_sql *q;

	if (!catalog)
		catalog = sample_catalog();
	if (!size)
		return 0;
	req.arena = kith_arena_new(0);
	req.query = kith_strndup(req.arena, (const char *)data + 1, size - 1);
	q = plan(&req, *data);
	if (q)
		check(req.arena, q);
	else
		check_refusal(&req);
	kith_arena_free(req.arena);
	return 0;
}
