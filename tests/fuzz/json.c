/*
 * Any bytes into the scanner and the parser.
 *
 * What the scanner accepts yajl must accept, and what it says of rows and keys
 * must be what the parsed tree says.  With PGHOST set, PostgreSQL is asked too:
 * it must agree about every text, but for what only we refuse.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "arena.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
demand(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static bool
yajl_accepts(const unsigned char *data, size_t size)
{
	yajl_handle yajl = yajl_alloc(NULL, NULL, NULL);
	bool ok = yajl_parse(yajl, data, size) == yajl_status_ok && yajl_complete_parse(yajl) == yajl_status_ok;

	yajl_free(yajl);
	return ok;
}

static size_t
count(const struct kith_json *first)
{
	size_t n = 0;

	for (; first; first = first->next)
		n++;
	return n;
}

/* The keys of a row are those of the scan; in their order for the first row. */
static bool
same_keys(const struct kith_json *row, const struct kith_json_scan *scan)
{
	if (count(row->first) != scan->nkeys)
		return false;
	for (size_t i = 0; i < scan->nkeys; i++) {
		if (!kith_json_get(row, scan->keys[i]))
			return false;
	}
	return true;
}

static void
compare(const struct kith_json *v, const struct kith_json_scan *scan)
{
	bool objects = true, uniform = true;
	const struct kith_json *first = v->type == KITH_JSON_ARRAY ? v->first : v;
	size_t i = 0;

	demand(v->type == scan->type, "type");
	demand(scan->rows == (v->type == KITH_JSON_ARRAY ? count(v->first) : 1), "rows");
	for (const struct kith_json *row = first; row; row = row->next) {
		objects &= row->type == KITH_JSON_OBJECT;
		uniform &= row->type == KITH_JSON_OBJECT && same_keys(row, scan);
	}
	demand(scan->all_objects == objects, "all_objects");
	if (objects)
		demand(scan->uniform == uniform, "uniform");
	if (!first || first->type != KITH_JSON_OBJECT)
		return;
	demand(count(first->first) == scan->nkeys, "nkeys");
	for (const struct kith_json *member = first->first; member; member = member->next)
		demand(!strcmp(member->key, scan->keys[i++]), "order of keys");
}

/* Every string comes back from what we write of it. */
static void
write_and_read(struct kith_arena *a, const char *text)
{
	const struct kith_json *again;
	struct kith_buf out;

	kith_buf_init(&out, a, 0);
	kith_json_write_string(&out, text, strlen(text));
	again = kith_json_parse(a, out.s, out.len, NULL);
	demand(again && again->type == KITH_JSON_STRING && !strcmp(again->text, text), "written string");
}

/* One value of one statement with the text as its parameter; NULL when PostgreSQL refuses. */
static const char *
ask(struct kith_arena *a, const char *statement, const char *text)
{
	static PGconn *connection;
	const char *value = NULL;
	PGresult *result;

	if (!connection)
		connection = PQconnectdb("");
	demand(PQstatus(connection) == CONNECTION_OK, "no connection");
	result = PQexecParams(connection, statement, 1, NULL, &text, NULL, NULL, 0);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		value = kith_strdup(a, PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

static void
ask_postgresql(struct kith_arena *a, const char *text, size_t n, const struct kith_json_scan *scan)
{
	static const char *const ours[] = { "\\u0000 cannot be stored", "unpaired surrogate", "nested too deeply",
		"numbers too long when written out" };
	struct kith_buf out;
	bool accepted;

	if (strlen(text) != n)
		return; /* a parameter ends at a NUL */
	accepted = ask(a, "select $1::json", text) != NULL;
	for (size_t i = 0; scan->error && i < sizeof(ours) / sizeof(*ours); i++) {
		if (!strcmp(scan->error, ours[i]))
			return;
	}
	demand(accepted == !scan->error, "PostgreSQL does not agree");
	if (accepted && scan->type == KITH_JSON_STRING)
		demand(ask(a, "select $1::jsonb", text) != NULL, "jsonb does not agree");
	if (!kith_utf8_valid(text, n))
		return;
	kith_buf_init(&out, a, 0);
	kith_json_write_string(&out, text, n);
	demand(!strcmp(out.s, ask(a, "select to_json($1::text)", text)), "to_json writes it otherwise");
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct kith_arena *a = kith_arena_new(0);
	/* Of exactly this size, so that a byte read too many is seen. */
	char *text = kith_strndup(a, (const char *)data, size);
	struct kith_json_scan scan;
	const struct kith_json *parsed;
	int rc = kith_json_scan(a, (const char *)data, size, &scan);

	demand(rc == (scan.error ? -1 : 0), "error without text");
	demand(scan.offset <= size, "offset");
	if (!rc)
		demand(yajl_accepts(data, size), "yajl does not agree");
	parsed = kith_json_parse(a, text, size, NULL);
	demand(!parsed || !rc, "parsed what the scan refused");
	if (parsed)
		compare(parsed, &scan);
	if (parsed && parsed->type == KITH_JSON_STRING)
		write_and_read(a, parsed->text);
	if (getenv("PGHOST"))
		ask_postgresql(a, text, size, &scan);
	kith_arena_free(a);
	return 0;
}
