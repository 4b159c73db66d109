#include "rest_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "plan.h"
#include "rows.h"
#include "settings.h"

#define FEW_ITEMS 8

static long
at_most(long a, long b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* "0-9", "10-": false for anything else, which RFC 9110 says to ignore. */
static bool
parse_range(struct kith_request *req, const char *s, long *lower, long *upper)
{
	const char *hyphen;

	if (!strncmp(s, "items=", 6))
		s += 6;
	hyphen = strchr(s, '-');
	*upper = -1;
	return hyphen && kith_parse_long(kith_strndup(req->arena, s, (size_t)(hyphen - s)), 0, LONG_MAX, lower) &&
	    (!hyphen[1] || kith_parse_long(hyphen + 1, 0, LONG_MAX, upper));
}

int
kith_rest_range(struct kith_rest *rest, struct kith_query *query, struct kith_range *range)
{
	struct kith_request *req = rest->req;
	const char *header = kith_request_header(req, "range");
	long lower, upper;

	range->offset = 0;
	range->limit = -1;
	if (query->limit)
		kith_parse_long(query->limit, 0, LONG_MAX, &range->limit);
	if (query->offset)
		kith_parse_long(query->offset, 0, LONG_MAX, &range->offset);
	if (!header || req->method != KITH_GET || !parse_range(req, header, &lower, &upper))
		return 0;
	if (upper >= 0 && lower > upper) {
		kith_fail(req, 416, "PGRST103", "Requested range not satisfiable");
		return kith_fail_details(req,
		    "The lower boundary must be lower than or equal to the upper boundary in the Range header.");
	}
	/* Both say what is wanted: rows that one of them leaves out are not. */
	if (lower > range->offset) {
		if (range->limit >= 0)
			range->limit = range->limit > lower - range->offset ? range->limit - (lower - range->offset) : 0;
		range->offset = lower;
	}
	if (upper >= 0)
		range->limit = at_most(range->limit, upper < range->offset ? 0 : upper - range->offset + 1);
	query->offset = range->offset ? kith_format(req->arena, "%ld", range->offset) : NULL;
	query->limit = range->limit >= 0 ? kith_format(req->arena, "%ld", range->limit) : NULL;
	return 0;
}

int
kith_rest_fail_singular(struct kith_request *req, long nrows)
{
	kith_fail(req, 406, "PGRST116", "Cannot coerce the result to a single JSON object");
	return kith_fail_details(req,
	    "The result contains %ld rows. Results contain %ld rows, application/vnd.pgrst.object+json requires 1 row",
	    nrows, nrows);
}

void
kith_rest_write_rows(struct kith_rest *rest, const PGresult *result, int nrows, int ncolumns)
{
	struct kith_request *req = rest->req;
	struct kith_rows rows = {
		.result = result,
		.nrows = nrows,
		.ncolumns = ncolumns,
		.strip_nulls = rest->media.strip_nulls,
	};

	/* Its memory and its text differ little. */
	kith_buf_reserve(&req->reply.body, PQresultMemorySize(result));
	kith_reply_header(req, "Content-Type", "%s", rest->media.content_type);
	if (rest->media.form == KITH_MEDIA_OBJECT)
		kith_rows_object(&req->reply.body, &rows);
	else if (rest->media.form == KITH_MEDIA_CSV)
		kith_rows_csv(&req->reply.body, &rows);
	else
		kith_rows_array(&req->reply.body, &rows);
}

bool
kith_rest_plain(const struct kith_rest *rest)
{
	int n = 0;

	for (const struct kith_item *item = rest->query->query.items; item; item = item->next)
		if (item->kind == KITH_ITEM_EMBED || ++n > FEW_ITEMS)
			return false;
	return true;
}

static void
content_range(struct kith_request *req, long first, long nrows, long total)
{
	const char *of = total >= 0 ? kith_format(req->arena, "%ld", total) : "*";

	if (nrows > 0)
		kith_reply_header(req, "Content-Range", "%ld-%ld/%s", first, first + nrows - 1, of);
	else
		kith_reply_header(req, "Content-Range", "*/%s", of);
}

long
kith_rest_answer_page(struct kith_rest *rest, long offset, long found, long total)
{
	struct kith_request *req = rest->req;
	bool cut = kith_settings.max_rows && found > kith_settings.max_rows;
	long nrows = cut ? kith_settings.max_rows : found;

	/* Rows may have come between the page and its count. */
	if (total >= 0 && nrows && total < offset + nrows)
		total = offset + nrows;
	content_range(req, offset, nrows, total);
	if (total >= 0 && offset > total) {
		kith_fail(req, 416, "PGRST103", "Requested range not satisfiable");
		return kith_fail_details(req, "An offset of %ld was requested, but there are only %ld rows.", offset,
		    total);
	}
	if (rest->media.form == KITH_MEDIA_OBJECT && nrows != 1)
		return kith_rest_fail_singular(req, nrows);
	if (cut)
		kith_reply_header(req, "Kith-Row-Limit", "%ld", kith_settings.max_rows);
	req->rows = nrows;
	req->reply.status = total >= 0 && nrows < total ? 206 : 200;
	return nrows;
}

long
kith_rest_affected(const PGresult *result)
{
	int n = PQntuples(result), found;

	/* PQcmdTuples does not promise const, and changes nothing. */
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return strtol(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
	if (n != 1)
		return n;
	found = PQfnumber(result, "\"" KITH_PLAN_FOUND "\"");
	return found < 0 || !PQgetisnull(result, 0, found);
}

int
kith_rest_check_affected(struct kith_request *req, const PGresult **results, void *arg)
{
	const struct kith_rest *rest = arg;
	long n = kith_rest_affected(results[0]);

	if (rest->prefer.max_affected >= 0 && n > rest->prefer.max_affected) {
		kith_fail(req, 400, "PGRST124", "Query result exceeds max-affected preference constraint");
		return kith_fail_details(req, "The query affects %ld rows", n);
	}
	if (rest->media.form == KITH_MEDIA_OBJECT && n != 1)
		return kith_rest_fail_singular(req, n);
	return 0;
}
