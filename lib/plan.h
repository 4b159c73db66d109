/*
 * From a parsed query and the catalog to SQL.
 *
 * Every function returns NULL (or -1) with the error set when a name does not
 * exist or a thing cannot be done; see contract REST, sections 3 to 8.
 */
#ifndef KITH_PLAN_H
#define KITH_PLAN_H

#include <stdbool.h>

#include "json.h"
#include "query.h"

struct kith_catalog;
struct kith_function;
struct kith_relation;
struct kith_request;
struct kith_sql;

/*
 * select ... from table: the page.  cap: most rows of it and of each embedded
 * list (0: no cap); the page may bring one row more, which tells that the cap
 * has cut it.
 */
struct kith_sql *kith_plan_read(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query *query, long cap);

/* select count(*) of the same rows, without limit and offset. */
struct kith_sql *kith_plan_count(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query *query);

enum kith_resolution { KITH_INSERT, KITH_MERGE_DUPLICATES, KITH_IGNORE_DUPLICATES };

/* What a write is to do. */
struct kith_write {
	const char *body;		/* the JSON text; bound as one parameter */
	const struct kith_json_scan *scan;	/* what kith_json_scan said of it */
	enum kith_resolution resolution;
	bool missing_default;		/* Prefer: missing=default */
	bool returning;			/* rows come back, shaped by select */
};

/*
 * insert / upsert.  With returning, a result's columns are the selected ones;
 * for KITH_MERGE_DUPLICATES one more comes last, named by KITH_PLAN_INSERTED:
 * true for rows that are new (also without returning, then it is the only one).
 */
struct kith_sql *kith_plan_insert(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query_string *qs, const struct kith_write *w);

#define KITH_PLAN_INSERTED "kith.inserted"

struct kith_sql *kith_plan_update(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query_string *qs, const struct kith_write *w);

struct kith_sql *kith_plan_delete(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query_string *qs, bool returning);

/*
 * Chooses among the functions of one name by the names of the arguments given:
 * NULL with 404 PGRST202 or 300 PGRST203.  For POST, keys of scan; for GET,
 * qs->arguments.  NULL names: the body is JSON but no object, which is for a
 * function that takes it whole; 400 PGRST102 when there is none.
 */
const struct kith_function *kith_plan_choose_function(struct kith_request *req, const struct kith_catalog *c,
    const char *schema, const char *name, const char *const *argument_names, bool get);

/*
 * A call.  body: the JSON object with the arguments (POST), NULL when there are
 * none or for GET (then qs->arguments).  The rows are shaped by select, filters,
 * order and paging, with one row of a set beyond the cap as in kith_plan_read; a
 * value is a row of one column.
 *
 * With count two columns come last: KITH_PLAN_FOUND, which is true, and the
 * number of rows there are without limit and offset.  When the page is empty
 * there is one row all the same: for that number, and with null as FOUND.
 */
struct kith_sql *kith_plan_call(struct kith_request *req, const struct kith_catalog *c, const struct kith_function *f,
    const struct kith_query_string *qs, const char *body, const struct kith_json_scan *scan, long cap, bool count);

#define KITH_PLAN_FOUND "kith.found"

#endif
