/*
 * Tables and views: read, insert, update, delete.
 */
#include "rest_internal.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog.h"
#include "plan.h"
#include "settings.h"
#include "sql.h"

static int
fail_unknown(struct kith_rest *rest)
{
	const char *near = kith_catalog_nearest_relation(rest->catalog, rest->schema, rest->name);

	kith_fail(rest->req, 404, "PGRST205", "Could not find the table '%s.%s' in the schema cache", rest->schema,
	    rest->name);
	if (near)
		kith_fail_hint(rest->req, "Perhaps you meant the table '%s.%s'", rest->schema, near);
	return -1;
}

/* Rows of a page whose total is known, without reading them. */
static long
page_rows(const struct kith_range *range, long total)
{
	long n = total > range->offset ? total - range->offset : 0;

	if (range->limit >= 0 && n > range->limit)
		n = range->limit;
	if (kith_settings.max_rows && n > kith_settings.max_rows)
		n = kith_settings.max_rows;
	return n;
}

static int
read_rows(struct kith_rest *rest, const struct kith_relation *relation)
{
	struct kith_request *req = rest->req;
	struct kith_query query = rest->query->query;
	struct kith_range range;
	struct kith_sql *sql[2];
	const PGresult *results[2];
	/* HEAD with a count asks for numbers only: the rows need not be read. */
	bool count_only = req->method == KITH_HEAD && rest->prefer.count;
	long nrows, total = -1;
	int n = 0;

	if (kith_rest_range(rest, &query, &range))
		return -1;
	if (!count_only && !(sql[n++] = kith_plan_read(req, rest->catalog, relation, &query, kith_settings.max_rows)))
		return -1;
	if (rest->prefer.count && !(sql[n++] = kith_plan_count(req, rest->catalog, relation, &query)))
		return -1;
	rest->transaction.read_only = true;
	if (kith_db_run(req, &rest->transaction, sql, n, results, NULL, NULL))
		return -1;
	if (rest->prefer.count)
		total = strtol(PQgetvalue(results[n - 1], 0, 0), NULL, 10);
	kith_prefer_applied(req, &rest->prefer, 1 << KITH_PREFER_COUNT | 1 << KITH_PREFER_HANDLING |
	    1 << KITH_PREFER_TIMEZONE | 1 << KITH_PREFER_TX);
	nrows = count_only ? page_rows(&range, total) : PQntuples(results[0]);
	nrows = kith_rest_answer_page(rest, range.offset, nrows, total);
	if (nrows < 0)
		return -1;
	if (count_only)
		kith_reply_header(req, "Content-Type", "%s", rest->media.content_type);
	else
		kith_rest_write_rows(rest, results[0], (int)nrows, PQnfields(results[0]));
	return 0;
}

static struct kith_sql *
plan_write(struct kith_rest *rest, const struct kith_relation *relation, bool returning)
{
	struct kith_request *req = rest->req;
	struct kith_write write = {
		.body = req->body,
		.scan = &rest->body,
		.resolution = rest->prefer.merge_duplicates ? KITH_MERGE_DUPLICATES
		    : rest->prefer.ignore_duplicates	    ? KITH_IGNORE_DUPLICATES
							    : KITH_INSERT,
		.missing_default = rest->prefer.missing_default,
		.returning = returning,
	};

	switch (req->method) {
	case KITH_POST:
		return kith_plan_insert(req, rest->catalog, relation, rest->query, &write);
	case KITH_PATCH:
		return kith_plan_update(req, rest->catalog, relation, rest->query, &write);
	default:
		return kith_plan_delete(req, rest->catalog, relation, rest->query, returning);
	}
}

/* True when no row of an upsert is new. */
static bool
nothing_inserted(const PGresult *result)
{
	int column = PQfnumber(result, "\"" KITH_PLAN_INSERTED "\"");

	if (column < 0 || !PQntuples(result))
		return false;
	for (int row = 0; row < PQntuples(result); row++)
		if (*PQgetvalue(result, row, column) == 't')
			return false;
	return true;
}

static void
write_content_range(struct kith_request *req, bool counted, long n)
{
	const char *of = counted ? kith_format(req->arena, "%ld", n) : "*";

	if (req->method == KITH_PATCH && n > 0)
		kith_reply_header(req, "Content-Range", "0-%ld/%s", n - 1, of);
	else
		kith_reply_header(req, "Content-Range", "*/%s", of);
}

/*
 * What a view cannot be told to write.  PostgreSQL's 55000 is a fault of ours,
 * but this one is the request's: a view of groups, say, takes no rows.  And a
 * column that the view computes is the server's like any other: PostgreSQL
 * finds that out before it looks at rights, and calls it not supported.
 */
static void
judge_view(struct kith_request *req)
{
	struct kith_error *error = &req->error;

	if (error->code && !strcmp(error->code, "55000"))
		error->status = 400;
	if (error->code && !strcmp(error->code, "0A000") && error->details &&
	    !strncmp(error->details, "View columns ", strlen("View columns "))) {
		error->status = 403;
		error->code = "42501";
		kith_fail_hint(req, "The server keeps it: GET /rest/v1/ lists what you may do.");
	}
}

static int
run_write(struct kith_rest *rest, const struct kith_relation *relation, struct kith_sql *sql, const PGresult **result,
    bool checked)
{
	struct kith_request *req = rest->req;

	if (!kith_db_run(req, &rest->transaction, &sql, 1, result, checked ? kith_rest_check_affected : NULL, rest))
		return 0;
	if (relation->is_view)
		judge_view(req);
	return -1;
}

static int
write_rows(struct kith_rest *rest, const struct kith_relation *relation)
{
	struct kith_request *req = rest->req;
	bool returning = rest->prefer.returning == KITH_RETURN_REPRESENTATION;
	bool singular = rest->media.form == KITH_MEDIA_OBJECT;
	/* One object makes one row or an error, so there is nothing to hold the commit back for. */
	bool one_row = req->method == KITH_POST && rest->body.type == KITH_JSON_OBJECT && !rest->prefer.ignore_duplicates;
	bool checked = rest->prefer.max_affected >= 0 || (singular && !one_row);
	struct kith_sql *sql = plan_write(rest, relation, returning);
	const PGresult *result;
	unsigned applied = 1 << KITH_PREFER_RETURN | 1 << KITH_PREFER_COUNT | 1 << KITH_PREFER_HANDLING |
	    1 << KITH_PREFER_TIMEZONE | 1 << KITH_PREFER_MAX_AFFECTED | 1 << KITH_PREFER_TX;
	long n;

	if (!sql)
		return -1;
	/* One row as it is cannot be too large; what select makes of it can. */
	rest->transaction.hold = returning && !(one_row && kith_rest_plain(rest));
	if (run_write(rest, relation, sql, &result, checked))
		return -1;
	n = kith_rest_affected(result);
	if (singular && n != 1)
		return kith_rest_fail_singular(req, n);
	req->rows = n;
	if (req->method == KITH_POST)
		applied |= 1 << KITH_PREFER_RESOLUTION | 1 << KITH_PREFER_MISSING;
	kith_prefer_applied(req, &rest->prefer, applied);
	write_content_range(req, rest->prefer.count, n);
	if (req->method == KITH_POST)
		req->reply.status = rest->prefer.merge_duplicates && nothing_inserted(result) ? 200 : 201;
	else
		req->reply.status = returning ? 200 : 204;
	if (returning) {
		int inserted = PQfnumber(result, "\"" KITH_PLAN_INSERTED "\"");

		kith_rest_write_rows(rest, result, (int)n, inserted < 0 ? PQnfields(result) : inserted);
	}
	return 0;
}

static int
check_body(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;

	if (kith_media_json_body(req))
		return -1;
	if (kith_json_scan(req->arena, req->body, req->body_len, &rest->body)) {
		kith_fail(req, 400, "PGRST102", rest->body.blank ? "Empty or invalid json" : "Invalid JSON body");
		return kith_fail_details(req, "%s at byte %zu", rest->body.error, rest->body.offset);
	}
	if (!rest->body.all_objects) {
		kith_fail(req, 400, "PGRST102", "Expected a JSON object or an array of JSON objects");
		return kith_fail_hint(req, "Send the columns as an object: {\"column\": value}.");
	}
	if (!rest->query->columns && !rest->body.uniform) {
		kith_fail(req, 400, "PGRST102", "All object keys must match");
		return kith_fail_hint(req, "List the columns with columns=, and absent ones become null.");
	}
	return 0;
}

int
kith_rest_table(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	const struct kith_relation *relation;
	bool writes = req->method == KITH_POST || req->method == KITH_PATCH;

	if (!(rest->query = kith_query_parse(req, false)))
		return -1;
	rest->query->query.as_text = rest->media.form == KITH_MEDIA_CSV;
	if (writes && check_body(rest))
		return -1;
	if (!rest->catalog && !(rest->catalog = kith_catalog_get(req)))
		return -1;
	relation = kith_catalog_relation(rest->catalog, rest->schema, rest->name);
	if (!relation)
		return fail_unknown(rest);
	kith_rest_known(rest);
	return req->method == KITH_GET || req->method == KITH_HEAD ? read_rows(rest, relation)
								   : write_rows(rest, relation);
}
