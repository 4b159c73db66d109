#include "catalog.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "catalog_internal.h"
#include "db.h"
#include "log.h"
#include "request.h"
#include "settings.h"
#include "sql.h"

#define RETRY_SECONDS 1	/* after a reload that failed, while the old catalog serves */

static struct kith_catalog *current;
static long long told;		/* the schema's version by the last word of the database */
static unsigned notices;	/* how many came */
static unsigned notices_read;	/* how many of them the catalog in force knows of */
static time_t retry_at;

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static struct kith_catalog *
load(struct kith_request *req)
{
	const PGresult *results[KITH_CATALOG_QUERIES];
	struct kith_catalog *c;
	unsigned seen = 0;

	for (int i = 0; i < KITH_CATALOG_QUERIES; i++) {
		results[i] = kith_db_catalog(req, kith_catalog_query(req->arena, (enum kith_catalog_query)i,
		    kith_settings.schemas));
		if (!results[i])
			return NULL;
		/* What is announced from here on may be missing in a result. */
		if (!i)
			seen = notices;
	}
	c = kith_catalog_build(req->arena, results);
	told = c->version;
	notices_read = seen;
	return c;
}

static void
forget(void *old)
{
	kith_arena_free(((struct kith_catalog *)old)->arena);
}

/* 503 in any case; the codes that tell of the connection are let through. */
static void
refuse(struct kith_request *req)
{
	struct kith_error why = req->error;

	if (why.code && !strncmp(why.code, "PGRST0", 6))
		return;
	memset(&req->error, 0, sizeof(req->error));
	kith_fail(req, 503, "PGRST002", "Could not query the database for the schema cache. Retrying.");
	kith_fail_log(req, "catalog: %s", why.message ? why.message : "no result");
}

/* 0 when a fresh catalog is in force. */
static int
reload(struct kith_request *req)
{
	struct kith_catalog *c = load(req);

	if (!c && !current) {
		refuse(req);
		return -1;
	}
	if (!c) {
		kith_log(KITH_LOG_WARNING, "could not reload the catalog: %s", req->error.message);
		memset(&req->error, 0, sizeof(req->error));
		retry_at = now() + RETRY_SECONDS;
		return -1;
	}
	/* The request may hold pointers into the old one. */
	if (current)
		kith_arena_later(req->arena, forget, current);
	current = c;
	return 0;
}

const struct kith_catalog *
kith_catalog_get(struct kith_request *req)
{
	bool outdated = !current || told != current->version || notices != notices_read;

	if (outdated && (!current || now() >= retry_at))
		reload(req);
	return current;
}

void
kith_catalog_expire(void)
{
	notices++;
}

void
kith_catalog_version(long long version)
{
	told = version;
}

/* Asks for the version first: unknown names must not make anybody read the whole catalog. */
bool
kith_catalog_refresh(struct kith_request *req)
{
	struct kith_sql *q = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(q, "select last_value from kith.schema_version");
	result = kith_db_catalog(req, q);
	if (result && PQntuples(result) == 1)
		told = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	memset(&req->error, 0, sizeof(req->error));
	if (current && told == current->version && notices == notices_read)
		return false;
	return !reload(req);
}

static int
compare_names(const char *schema, const char *name, const char *other_schema, const char *other_name)
{
	int order = strcmp(schema, other_schema);

	return order ? order : strcmp(name, other_name);
}

const struct kith_relation *
kith_catalog_relation(const struct kith_catalog *c, const char *schema, const char *name)
{
	size_t low = 0, high = c->nrelations;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kith_relation *r = &c->relations[middle];
		int order = compare_names(schema, name, r->schema, r->name);

		if (!order)
			return r;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct kith_column *
kith_catalog_column(const struct kith_relation *r, const char *name)
{
	for (size_t i = 0; i < r->ncolumns; i++)
		if (!strcmp(r->columns[i].name, name))
			return &r->columns[i];
	return NULL;
}

const struct kith_column *
kith_catalog_field(const struct kith_relation *r, const char *name)
{
	const struct kith_column *column = kith_catalog_column(r, name);

	for (const struct kith_computed *c = r->computed; !column && c; c = c->next)
		if (!strcmp(c->column.name, name))
			column = &c->column;
	return column;
}

size_t
kith_catalog_relationships(const struct kith_catalog *c, const struct kith_relation *from,
    const struct kith_relationship **first)
{
	size_t low = 0, high = c->nrelationships, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->relationships[middle].from < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < c->nrelationships && c->relationships[end].from == from; end++)
		;
	*first = c->relationships + low;
	return end - low;
}

size_t
kith_catalog_functions(const struct kith_catalog *c, const char *schema, const char *name,
    const struct kith_function **first)
{
	size_t low = 0, high = c->nfunctions, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kith_function *f = &c->functions[middle];

		if (compare_names(f->schema, f->name, schema, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < c->nfunctions; end++)
		if (compare_names(c->functions[end].schema, c->functions[end].name, schema, name) != 0)
			break;
	*first = c->functions + low;
	return end - low;
}

/*
 * The built-in types by every name that SQL has for them and clients use, with
 * the numbers they have had since PostgreSQL had them.
 */
static const struct kith_type builtin[] = {
	/* clang-format off */
	{ 20,   "bigint",	KITH_FORM_PLAIN, false, false, false },
	{ 16,   "bool",		KITH_FORM_PLAIN, false, false, false },
	{ 16,   "boolean",	KITH_FORM_PLAIN, false, false, false },
	{ 17,   "bytea",	KITH_FORM_PLAIN, false, false, false },
	{ 1043, "character varying", KITH_FORM_PLAIN, false, false, false },
	{ 1082, "date",		KITH_FORM_PLAIN, false, false, false },
	{ 1700, "decimal",	KITH_FORM_PLAIN, false, false, false },
	{ 701,  "double precision", KITH_FORM_PLAIN, false, false, false },
	{ 700,  "float4",	KITH_FORM_PLAIN, false, false, false },
	{ 701,  "float8",	KITH_FORM_PLAIN, false, false, false },
	{ 869,  "inet",		KITH_FORM_PLAIN, false, false, false },
	{ 23,   "int",		KITH_FORM_PLAIN, false, false, false },
	{ 21,   "int2",		KITH_FORM_PLAIN, false, false, false },
	{ 23,   "int4",		KITH_FORM_PLAIN, false, false, false },
	{ 20,   "int8",		KITH_FORM_PLAIN, false, false, false },
	{ 23,   "integer",	KITH_FORM_PLAIN, false, false, false },
	{ 1186, "interval",	KITH_FORM_PLAIN, false, false, false },
	{ 114,  "json",		KITH_FORM_PLAIN, false, true,  false },
	{ 3802, "jsonb",	KITH_FORM_PLAIN, false, true,  false },
	{ 1700, "numeric",	KITH_FORM_PLAIN, false, false, false },
	{ 700,  "real",		KITH_FORM_PLAIN, false, false, false },
	{ 21,   "smallint",	KITH_FORM_PLAIN, false, false, false },
	{ 25,   "text",		KITH_FORM_PLAIN, false, false, false },
	{ 1083, "time",		KITH_FORM_PLAIN, false, false, false },
	{ 1083, "time without time zone", KITH_FORM_PLAIN, false, false, false },
	{ 1114, "timestamp",	KITH_FORM_PLAIN, false, false, false },
	{ 1184, "timestamp with time zone", KITH_FORM_PLAIN, false, false, false },
	{ 1114, "timestamp without time zone", KITH_FORM_PLAIN, false, false, false },
	{ 1184, "timestamptz",	KITH_FORM_PLAIN, false, false, false },
	{ 1266, "timetz",	KITH_FORM_PLAIN, false, false, false },
	{ 3614, "tsvector",	KITH_FORM_PLAIN, false, false, true  },
	{ 2950, "uuid",		KITH_FORM_PLAIN, false, false, false },
	{ 1043, "varchar",	KITH_FORM_PLAIN, false, false, false },
	/* clang-format on */
};

const struct kith_type *
kith_catalog_cast(const struct kith_catalog *c, const char *name)
{
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		if (!strcmp(builtin[i].name, name))
			return &builtin[i];
	for (size_t i = 0; i < c->ncasts; i++)
		if (!strcmp(c->casts[i].name, name))
			return &c->casts[i].type;
	return NULL;
}
