/*
 * Functions: POST with named arguments in an object, GET with them in the query.
 */
#include "rest_internal.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog.h"
#include "hook.h"
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

/* A value is itself, a set of them an array; a single row is an object. */
static void
write_result(struct kith_rest *rest, const struct kith_function *f, const PGresult *result, int nrows, int ncolumns)
{
	struct kith_buf *body = &rest->req->reply.body;
	bool one = !f->set || rest->media.form == KITH_MEDIA_OBJECT;
	bool strip = rest->media.strip_nulls;
	struct kith_rows values = { .result = result, .nrows = nrows, .ncolumns = 1, .strip_nulls = strip };

	if (rest->media.form == KITH_MEDIA_CSV || (f->composite && f->set)) {
		kith_rest_write_rows(rest, result, nrows, ncolumns);
		return;
	}
	if (f->composite && nrows) {
		rest->media.form = KITH_MEDIA_OBJECT;
		kith_rest_write_rows(rest, result, nrows, ncolumns);
		return;
	}
	kith_reply_header(rest->req, "Content-Type", "application/json; charset=utf-8");
	if (one && !nrows)
		kith_buf_lit(body, "null");
	else
		kith_rows_values(body, &values, one);
}

static int
answer(struct kith_rest *rest, const struct kith_function *f, const PGresult *result, long offset, bool counted)
{
	int ncolumns = PQnfields(result);
	long nrows = kith_rest_affected(result), total = -1;

	if (counted) {
		total = strtol(PQgetvalue(result, 0, ncolumns - 1), NULL, 10);
		ncolumns -= 2;
	} else if (rest->prefer.count) {
		total = nrows;
	}
	nrows = kith_rest_answer_page(rest, offset, nrows, total);
	if (nrows < 0)
		return -1;
	write_result(rest, f, result, (int)nrows, ncolumns);
	/* supabase-js asks so for {head: true} when the arguments need a body. */
	if (f->set && rest->prefer.returning == KITH_RETURN_MINIMAL)
		rest->req->reply.no_body = true;
	return 0;
}

static int
call(struct kith_rest *rest, const struct kith_function *f)
{
	struct kith_request *req = rest->req;
	struct kith_query_string qs = *rest->query;
	const char *body = rest->has_body ? req->body : NULL;
	bool counted = rest->prefer.count && f->set;
	bool checked = req->method == KITH_POST && f->is_volatile && !f->is_void &&
	    (rest->prefer.max_affected >= 0 || rest->media.form == KITH_MEDIA_OBJECT);
	struct kith_hook_call given = { .req = req, .body = body, .query = body ? NULL : qs.arguments };
	struct kith_range range;
	struct kith_sql *sql;
	const PGresult *result;

	rest->transaction.read_only = req->method != KITH_POST || !f->is_volatile;
	if (rest->prefer.max_affected >= 0 && !f->set) {
		kith_fail(req, 400, "PGRST128", "Query result exceeds max-affected preference constraint");
		return kith_fail_details(req, "Only functions that return a set of rows can be bounded");
	}
	rest->transaction.hold = !rest->transaction.read_only && (f->set || !kith_rest_plain(rest));
	if (kith_rest_range(rest, &qs.query, &range))
		return -1;
	sql = kith_plan_call(req, rest->catalog, f, &qs, body, &rest->body, kith_settings.max_rows, counted);
	if (!sql)
		return -1;
	rest->transaction.hook = kith_hook_find(rest->hooks, f->name);
	rest->transaction.call = &given;
	if (kith_db_run(req, &rest->transaction, &sql, 1, &result, checked ? kith_rest_check_affected : NULL, rest))
		return -1;
	kith_prefer_applied(req, &rest->prefer, 1 << KITH_PREFER_COUNT | 1 << KITH_PREFER_HANDLING |
	    1 << KITH_PREFER_TIMEZONE | 1 << KITH_PREFER_MAX_AFFECTED);
	if (f->is_void) {
		req->reply.status = 204;
		return 0;
	}
	return answer(rest, f, result, range.offset, counted);
}

int
kith_rest_rpc(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	bool get = req->method != KITH_POST;
	const struct kith_function *f;

	if (!(rest->query = kith_query_parse(req, get)))
		return -1;
	rest->query->query.as_text = rest->media.form == KITH_MEDIA_CSV;
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
