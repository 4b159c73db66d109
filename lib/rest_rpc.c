/*
 * Functions: POST with named arguments in an object, GET with them in the query.
 */
#include "rest_internal.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog.h"
#include "plan.h"
#include "rows.h"
#include "settings.h"
#include "sql.h"

/* Swift sends nothing and Dart `null` when there are no arguments. */
static int
check_body(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;

	if (kith_media_json_body(req))
		return -1;
	if (!kith_json_scan(req->arena, req->body, req->body_len, &rest->body)) {
		rest->has_body = rest->body.type != KITH_JSON_NULL;
		return 0;
	}
	if (rest->body.blank) {
		memset(&rest->body, 0, sizeof(rest->body));
		return 0;
	}
	kith_fail(req, 400, "PGRST102", "Invalid JSON body");
	return kith_fail_details(req, "%s at byte %zu", rest->body.error, rest->body.offset);
}

static const char *const *
argument_names(struct kith_rest *rest)
{
	static const char *const none[] = { NULL };
	const char **names;
	size_t n = 0;

	if (rest->has_body && rest->body.type != KITH_JSON_OBJECT)
		return NULL;
	if (rest->has_body)
		return rest->body.keys ? rest->body.keys : none;
	for (const struct kith_argument *a = rest->query->arguments; a; a = a->next)
		n++;
	names = kith_new_array(rest->req->arena, const char *, n + 1);
	n = 0;
	for (const struct kith_argument *a = rest->query->arguments; a; a = a->next)
		names[n++] = a->name;
	return names;
}

/* A function's answer, when its rows have no columns of their own. */
static int
answer_values(struct kith_rest *rest, const PGresult *result, bool set)
{
	struct kith_request *req = rest->req;
	struct kith_rows rows = { .result = result, .nrows = PQntuples(result), .ncolumns = 1 };

	req->rows = rows.nrows;
	req->reply.status = 200;
	kith_reply_header(req, "Content-Range", rows.nrows ? "0-%d/*" : "*/*", rows.nrows - 1);
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
	if (set || rows.nrows)
		kith_rows_values(&req->reply.body, &rows, !set);
	else
		kith_buf_lit(&req->reply.body, "null");
	return 0;
}

static int
answer_object(struct kith_rest *rest, const PGresult *result)
{
	struct kith_request *req = rest->req;

	/* `returns a_table` gives its one row as an object, whatever was accepted, unless that is CSV. */
	if (rest->media.form == KITH_MEDIA_ARRAY && PQntuples(result) == 1)
		rest->media.form = KITH_MEDIA_OBJECT;
	req->rows = PQntuples(result);
	req->reply.status = 200;
	if (PQntuples(result))
		kith_reply_header(req, "Content-Range", "0-%d/*", PQntuples(result) - 1);
	else
		kith_reply_header(req, "Content-Range", "*/*");
	kith_rest_write_rows(rest, result, PQntuples(result), PQnfields(result));
	return 0;
}

static int
call(struct kith_rest *rest, const struct kith_function *f)
{
	struct kith_request *req = rest->req;
	struct kith_query_string qs = *rest->query;
	const char *body = rest->has_body ? req->body : NULL;
	bool rows = f->set && f->composite;
	bool count = rest->prefer.count && rows;
	bool checked = req->method == KITH_POST && f->is_volatile && rows &&
	    (rest->prefer.max_affected >= 0 || rest->media.form == KITH_MEDIA_OBJECT);
	struct kith_range range;
	struct kith_sql *sql[2];
	const PGresult *results[2];
	long nrows, total = -1;
	bool cut = false;

	rest->transaction.read_only = req->method != KITH_POST || !f->is_volatile;
	if (rest->prefer.max_affected >= 0 && !f->set) {
		kith_fail(req, 400, "PGRST128", "Query result exceeds max-affected preference constraint");
		return kith_fail_details(req, "Only functions that return a set of rows can be bounded");
	}
	if (kith_rest_range(rest, &qs.query, &range))
		return -1;
	sql[0] = kith_plan_call(req, rest->catalog, f, &qs, body, &rest->body, kith_settings.max_rows);
	if (!sql[0])
		return -1;
	/* Calling a volatile function once more to count would do its work twice. */
	count = count && !f->is_volatile;
	if (count && !(sql[1] = kith_plan_call_count(req, rest->catalog, f, &qs, body, &rest->body)))
		return -1;
	if (kith_db_run(req, &rest->transaction, sql, count ? 2 : 1, results, checked ? kith_rest_check_affected : NULL,
		rest))
		return -1;
	kith_prefer_applied(req, &rest->prefer, 1 << KITH_PREFER_COUNT | 1 << KITH_PREFER_HANDLING |
	    1 << KITH_PREFER_TIMEZONE | 1 << KITH_PREFER_MAX_AFFECTED);
	if (f->is_void) {
		req->reply.status = 204;
		return 0;
	}
	if (!f->composite)
		return answer_values(rest, results[0], f->set);
	if (!f->set)
		return answer_object(rest, results[0]);
	nrows = PQntuples(results[0]);
	if (kith_settings.max_rows && nrows > kith_settings.max_rows) {
		nrows = kith_settings.max_rows;
		cut = true;
	}
	if (count)
		total = strtol(PQgetvalue(results[1], 0, 0), NULL, 10);
	else if (rest->prefer.count && !cut && range.limit < 0)
		total = range.offset + nrows;
	if (kith_rest_answer_read(rest, results[0], &range, nrows, total, cut))
		return -1;
	/* supabase-js asks so for {head: true} when the arguments need a body. */
	if (rest->prefer.returning == KITH_RETURN_MINIMAL)
		req->reply.no_body = true;
	return 0;
}

int
kith_rest_rpc(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	bool get = req->method != KITH_POST;
	const struct kith_function *f;

	if (!(rest->query = kith_query_parse(req, get)))
		return -1;
	if (!get && check_body(rest))
		return -1;
	if (!rest->catalog && !(rest->catalog = kith_catalog_get(req)))
		return -1;
	f = kith_plan_choose_function(req, rest->catalog, rest->schema, rest->name, argument_names(rest), get);
	if (!f)
		return -1;
	kith_rest_known(rest);
	return call(rest, f);
}
