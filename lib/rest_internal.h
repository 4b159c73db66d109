/*
 * What the parts of the REST dialect share.
 */
#ifndef KITH_REST_INTERNAL_H
#define KITH_REST_INTERNAL_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "db.h"
#include "json.h"
#include "media.h"
#include "prefer.h"
#include "query.h"
#include "request.h"

struct kith_catalog;
struct kith_hook;

/* One REST request, taken apart. */
struct kith_rest {
	struct kith_request *req;
	const char *name;	/* of the table or function; "" at the root */
	bool rpc;
	bool root;		/* what there is, is asked for */
	const struct kith_hook *hooks;	/* of the resource; NULL when it has none */
	const char *schema;
	struct kith_media media;
	struct kith_prefer prefer;
	struct kith_query_string *query;
	struct kith_json_scan body;
	bool has_body;
	const struct kith_catalog *catalog;
	struct kith_transaction transaction;
};

/*
 * Each answers the request, or returns -1 with the error set.  The first two
 * fail with PGRST200, 202, 204 or 205 when a name is not in the catalog: then
 * the caller may reload that and try again.
 */
int kith_rest_table(struct kith_rest *rest);
int kith_rest_rpc(struct kith_rest *rest);
int kith_rest_root(struct kith_rest *rest);

/* The name is one of ours: it goes into the log. */
void kith_rest_known(struct kith_rest *rest);

/* --- answers (rest_answer.c) --- */

/* The part of the rows that was asked for, as numbers; -1 with 416 when Range and limit have nothing in common. */
struct kith_range {
	long offset;
	long limit;	/* -1: none */
};

/* Reads limit and offset of the query and the Range header, and writes the result back into the query. */
int kith_rest_range(struct kith_rest *rest, struct kith_query *query, struct kith_range *range);

/*
 * Status and headers of a page.  found: rows the planner's statement brought,
 * with one beyond the row cap when there are more; total: rows there are in
 * all, -1 when not counted.  Returns how many rows to write; -1 with 406 for a
 * singular answer that is not one row, 416 for an offset beyond the total.
 */
long kith_rest_answer_page(struct kith_rest *rest, long offset, long found, long total);

/* Writes ncolumns of the rows as the negotiated media type, Content-Type included. */
void kith_rest_write_rows(struct kith_rest *rest, const PGresult *result, int nrows, int ncolumns);

/*
 * For kith_db_run: refuses, before the commit, a singular answer that is not
 * one row, and more rows than max-affected.
 */
int kith_rest_check_affected(struct kith_request *req, const PGresult **results, void *rest);

/* True when select makes no more of one row than a few times what is in it. */
bool kith_rest_plain(const struct kith_rest *rest);

/* Rows a call or a write came to: those returned, or those PostgreSQL counted. */
long kith_rest_affected(const PGresult *result);

/* 406 PGRST116, in the words that every SDK looks for. */
int kith_rest_fail_singular(struct kith_request *req, long nrows);

#endif
