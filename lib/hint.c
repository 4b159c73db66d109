#include "hint.h"

#include <string.h>

#include "arena.h"
#include "auth.h"
#include "db.h"
#include "request.h"
#include "sql.h"

static const char *
field(struct kith_request *req, const PGresult *result, int code)
{
	const char *text = PQresultErrorField(result, code);

	return text ? kith_strdup(req->arena, text) : NULL;
}

struct kith_refusal
kith_hint_refusal(struct kith_request *req, const PGresult *result)
{
	return (struct kith_refusal){
		.schema = field(req, result, PG_DIAG_SCHEMA_NAME),
		.table = field(req, result, PG_DIAG_TABLE_NAME),
		.constraint = field(req, result, PG_DIAG_CONSTRAINT_NAME),
		.column = field(req, result, PG_DIAG_COLUMN_NAME),
	};
}

/*
 * The words of the constraint, and what the columns that it is about are called
 * by the views of the schema that the client has chosen.  A view's parse tree
 * tells where its columns come from, as in catalog_load.c.
 */
static void
hint_rule(struct kith_request *req, const struct kith_refusal *refusal)
{
	const char *profile = kith_request_header(req, "content-profile");
	struct kith_sql *sql = kith_sql_new(req->arena);
	struct kith_error refused = req->error;
	const PGresult *result;

	kith_sql_text(sql, "select pg_catalog.concat_ws(' ', pg_catalog.obj_description(k.oid, 'pg_constraint'),"
	    " (select 'Here ' || pg_catalog.string_agg(distinct a.attname || ' is called ' || m.words[1], ', ') || '.'"
	    " from pg_catalog.pg_attribute a join pg_catalog.pg_rewrite w on w.rulename = '_RETURN'"
	    " join pg_catalog.pg_class v on v.oid = w.ev_class"
	    " join pg_catalog.pg_namespace p on p.oid = v.relnamespace,"
	    " pg_catalog.regexp_matches(w.ev_action::text, pg_catalog.format("
	    "':resname (\\w+) :ressortgroupref \\d+ :resorigtbl %s :resorigcol %s ', a.attrelid, a.attnum), 'g')"
	    " as m (words) where a.attrelid = c.oid and m.words[1] <> a.attname and p.nspname = ");
	kith_sql_param(sql, profile ? profile : "");
	kith_sql_text(sql, " and (a.attnum = any (k.conkey) or a.attname = ");
	kith_sql_param(sql, refusal->column ? refusal->column : "");
	kith_sql_text(sql, ")))"
	    " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
	    " left join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.conname = ");
	kith_sql_param(sql, refusal->constraint ? refusal->constraint : "");
	kith_sql_text(sql, " where n.nspname = ");
	kith_sql_param(sql, refusal->schema);
	kith_sql_text(sql, " and c.relname = ");
	kith_sql_param(sql, refusal->table);
	memset(&req->error, 0, sizeof(req->error));
	result = kith_db_catalog(req, sql);
	/* Whatever happens here, the refusal is what the client is told. */
	req->error = refused;
	if (result && PQntuples(result) && *PQgetvalue(result, 0, 0))
		kith_fail_hint(req, "%s", PQgetvalue(result, 0, 0));
}

/* The comments of the policies that a row did not pass; PostgreSQL names their table in the message alone. */
static void
hint_policy(struct kith_request *req)
{
	static const char generic[] = "The row, and every row that it refers to, must be your own.";
	const char *table = strstr(req->error.message, " for table \""), *comment = NULL;
	size_t n = table ? strlen(table += strlen(" for table \"")) : 0;
	struct kith_sql *sql = kith_sql_new(req->arena);
	struct kith_error refused = req->error;
	const PGresult *result;

	kith_sql_text(sql, "select pg_catalog.string_agg(distinct pg_catalog.obj_description(p.oid, 'pg_policy'), ' ')"
	    " from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid"
	    " where p.polcmd <> 'r' and c.relname = ");
	kith_sql_param(sql, n ? kith_strndup(req->arena, table, n - 1) : "");
	memset(&req->error, 0, sizeof(req->error));
	result = kith_db_catalog(req, sql);
	req->error = refused;
	if (result && PQntuples(result) && *PQgetvalue(result, 0, 0))
		comment = PQgetvalue(result, 0, 0);
	kith_fail_hint(req, "%s%s%s", generic, comment ? " " : "", comment ? comment : "");
}

static void
hint_right(struct kith_request *req)
{
	if (strstr(req->error.message, "violates row-level security policy"))
		hint_policy(req);
	else if (!strncmp(req->error.message, "permission denied for ", 22) && req->identity->role == KITH_AUTHENTICATED)
		kith_fail_hint(req, "The server keeps it, or some of its columns: GET /rest/v1/ lists what you may do.");
}

void
kith_hint(struct kith_request *req, const struct kith_refusal *refusal)
{
	if (req->error.hint || !req->error.code)
		return;
	if ((refusal->constraint || refusal->column) && refusal->table && refusal->schema)
		hint_rule(req, refusal);
	else if (!strcmp(req->error.code, "42501"))
		hint_right(req);
}
