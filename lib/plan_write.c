/*
 * Writes.  The body goes to PostgreSQL as one JSON parameter and is typed
 * there by json_to_record; what comes back is shaped by select=, directly by
 * "returning" or, for embeds, from a common table expression.
 */
#include <string.h>

#include "arena.h"
#include "error.h"
#include "plan_internal.h"
#include "request.h"

struct write {
	const struct kith_query_string *qs;
	const struct kith_write *w;
	const struct kith_column **columns;	/* what is set; ends with NULL */
	bool several;		/* the body is an array */
	bool default_by_row;	/* rows differ in the keys they have, and missing ones take the default */
	bool by_returning;	/* "returning" can say all of select= */
};

static int
find_columns(struct kith_plan *plan, const struct kith_relation *r, struct write *s)
{
	const char **names = s->qs->columns ? s->qs->columns : s->w->scan->keys;
	size_t n = 0;

	while (names && names[n])
		n++;
	s->columns = kith_new_array(plan->req->arena, const struct kith_column *, n + 1);
	for (size_t i = 0; i < n; i++) {
		s->columns[i] = kith_catalog_column(r, names[i]);
		if (!s->columns[i]) {
			const char *near = kith_catalog_nearest_column(r, names[i]);

			kith_fail(plan->req, 400, "PGRST204",
			    "Could not find the '%.200s' column of '%s' in the schema cache", names[i], r->name);
			return near ? kith_fail_hint(plan->req, "Perhaps you meant the column '%s'.", near) : -1;
		}
	}
	return 0;
}

/* A key that no row has: with missing=default PostgreSQL is not told of its column at all. */
static bool
is_missing(const struct write *s, const struct kith_column *column)
{
	return s->w->missing_default && !s->default_by_row && !kith_plan_is_among(column->name, s->w->scan->keys);
}

static int
begin(struct kith_plan *plan, const struct kith_node *root, struct write *s)
{
	const struct kith_json_scan *scan = s->w->scan;

	s->several = scan->type == KITH_JSON_ARRAY;
	s->default_by_row = s->w->missing_default && s->several && !scan->uniform;
	s->by_returning = root->noutputs && !root->first && !root->counts && !root->query->order;
	return find_columns(plan, root->relation, s);
}

/* r("a" uuid, "b" text); a vector stays JSON until vector_in reads its text. */
static void
write_record(struct kith_plan *plan, const struct write *s)
{
	bool first = true;

	kith_sql_text(plan->q, " as r(");
	for (const struct kith_column **c = s->columns; *c; c++) {
		if (is_missing(s, *c))
			continue;
		kith_plan_comma(plan, &first);
		kith_sql_ident(plan->q, (*c)->name);
		kith_sql_text(plan->q, " ");
		if ((*c)->type.form == KITH_FORM_VECTOR)
			kith_sql_text(plan->q, "json");
		else
			kith_sql_catalog_type(plan->q, (*c)->type.name);
	}
	kith_sql_text(plan->q, ")");
}

static void
write_value(struct kith_plan *plan, const struct write *s, const struct kith_column *column)
{
	bool by_row = s->default_by_row && column->default_sql;

	if (by_row) {
		kith_sql_text(plan->q, "case when ");
		kith_sql_param(plan->q, column->name);
		kith_sql_text(plan->q, " = any (k.keys) then ");
	}
	if (column->type.form == KITH_FORM_VECTOR)
		kith_sql_text(plan->q, "extensions.vector_in(");
	kith_sql_text(plan->q, "r.");
	kith_sql_ident(plan->q, column->name);
	if (column->type.form == KITH_FORM_VECTOR)
		kith_sql_text(plan->q, " #>> '{}')");
	if (by_row) {
		kith_sql_text(plan->q, " else ");
		kith_sql_catalog_expression(plan->q, column->default_sql);
		kith_sql_text(plan->q, " end");
	}
}

static void
write_rows(struct kith_plan *plan, const struct write *s)
{
	struct kith_sql *q = plan->q;

	if (s->default_by_row) {
		kith_sql_text(q, "json_array_elements(");
		kith_sql_param(q, s->w->body);
		kith_sql_text(q, ") as b(row) cross join lateral json_to_record(b.row)");
		write_record(plan, s);
		kith_sql_text(q, " cross join lateral (select array(select json_object_keys(b.row)) as keys) as k");
		return;
	}
	if (s->several)
		kith_sql_text(q, "json_to_recordset(");
	else
		kith_sql_text(q, "json_to_record(");
	kith_sql_param(q, s->w->body);
	kith_sql_text(q, ")");
	write_record(plan, s);
}

static bool
sets_anything(const struct write *s)
{
	for (const struct kith_column **c = s->columns; *c; c++)
		if (!is_missing(s, *c))
			return true;
	return false;
}

/* "insert into t as t0" and its rows. */
static void
write_insert(struct kith_plan *plan, const struct kith_node *root, const struct write *s)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	kith_sql_text(q, "insert into ");
	kith_plan_from_table(plan, root, NULL);
	if (!sets_anything(s)) {
		/* {} is one row of defaults; [{},{}] are two, and "default values" cannot say that. */
		if (!s->several) {
			kith_sql_text(q, " default values");
			return;
		}
		kith_sql_text(q, " select from json_array_elements(");
		kith_sql_param(q, s->w->body);
		kith_sql_text(q, ")");
		return;
	}
	kith_sql_text(q, " (");
	for (const struct kith_column **c = s->columns; *c; c++)
		if (!is_missing(s, *c)) {
			kith_plan_comma(plan, &first);
			kith_sql_ident(q, (*c)->name);
		}
	kith_sql_text(q, ") select ");
	first = true;
	for (const struct kith_column **c = s->columns; *c; c++)
		if (!is_missing(s, *c)) {
			kith_plan_comma(plan, &first);
			write_value(plan, s, *c);
		}
	kith_sql_text(q, " from ");
	write_rows(plan, s);
}

static void
write_excluded(struct kith_plan *plan, const struct write *s, const char *const *target, bool of_target, bool *first)
{
	for (const struct kith_column **c = s->columns; *c; c++) {
		if (is_missing(s, *c) || kith_plan_is_among((*c)->name, target) != of_target)
			continue;
		kith_plan_comma(plan, first);
		kith_sql_ident(plan->q, (*c)->name);
		kith_sql_text(plan->q, " = excluded.");
		kith_sql_ident(plan->q, (*c)->name);
	}
}

/*
 * The target's own columns are equal anyway, and often not granted, so they are
 * not set; unless there is nothing else, since a row is only returned when
 * something of it is set.
 */
static void
write_conflict(struct kith_plan *plan, const struct write *s, const char *const *target)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	kith_sql_text(q, " on conflict (");
	for (const char *const *name = target; *name; name++) {
		kith_plan_comma(plan, &first);
		kith_sql_ident(q, *name);
	}
	if (s->w->resolution == KITH_IGNORE_DUPLICATES || !sets_anything(s)) {
		kith_sql_text(q, ") do nothing");
		return;
	}
	kith_sql_text(q, ") do update set ");
	first = true;
	write_excluded(plan, s, target, false, &first);
	if (first)
		write_excluded(plan, s, target, true, &first);
}

/*
 * A row that an upsert replaced was locked first, which its xmax still tells.
 * Views and partitioned tables have none: there every row counts as new.
 */
static void
write_inserted(struct kith_plan *plan, const struct kith_node *root, bool first)
{
	kith_plan_comma(plan, &first);
	if (root->relation->has_xmax)
		kith_sql_text(plan->q, "(t0.xmax = 0) as \"" KITH_PLAN_INSERTED "\"");
	else
		kith_sql_text(plan->q, "true as \"" KITH_PLAN_INSERTED "\"");
}

/* Before a statement whose rows are selected from once more. */
static void
write_with(struct kith_plan *plan, const struct write *s, bool returning)
{
	if (returning && !s->by_returning)
		kith_sql_text(plan->q, "with kith_written as (");
}

static void
from_written(struct kith_plan *plan, const struct kith_node *root, const void *arg)
{
	(void)root;
	(void)arg;
	kith_sql_text(plan->q, "kith_written as t0");
}

static void
write_returning(struct kith_plan *plan, const struct kith_node *root, const struct write *s, bool returning,
    bool inserted)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	if (returning || inserted)
		kith_sql_text(q, " returning ");
	if (returning && s->by_returning)
		kith_plan_outputs(plan, root);
	for (size_t i = 0; returning && !s->by_returning && i < root->relation->ncolumns; i++) {
		kith_plan_comma(plan, &first);
		kith_plan_name(plan, root, root->relation->columns[i].name);
	}
	if (returning && !s->by_returning)
		kith_plan_computed(plan, root, &first);
	if (inserted)
		write_inserted(plan, root, !returning);
	if (!returning || s->by_returning)
		return;
	kith_sql_text(q, ") ");
	plan->from = from_written;
	plan->derived = true;
	plan->also = inserted ? KITH_PLAN_INSERTED : NULL;
	kith_plan_select(plan, root, true);
}

static void
from_nothing(struct kith_plan *plan, const struct kith_node *root, const void *arg)
{
	bool first = true;

	(void)arg;
	kith_sql_text(plan->q, "(select ");
	for (size_t i = 0; i < root->relation->ncolumns; i++) {
		kith_plan_comma(plan, &first);
		kith_plan_name(plan, root, root->relation->columns[i].name);
	}
	plan->derived = false;
	kith_plan_computed(plan, root, &first);
	plan->derived = true;
	if (plan->also)
		kith_sql_text(plan->q, ", true as \"" KITH_PLAN_INSERTED "\"");
	kith_sql_text(plan->q, " from ");
	kith_plan_from_table(plan, root, NULL);
	kith_sql_text(plan->q, " where false) as t0");
}

/* A body that writes nothing is answered with the right columns and no row. */
static struct kith_sql *
write_nothing(struct kith_plan *plan, const struct kith_node *root, bool returning, bool inserted)
{
	plan->from = from_nothing;
	plan->derived = true;
	plan->also = inserted ? KITH_PLAN_INSERTED : NULL;
	if (returning)
		kith_plan_select(plan, root, true);
	else
		kith_sql_text(plan->q, "select true as \"" KITH_PLAN_INSERTED "\" where false");
	return kith_plan_end(plan);
}

struct kith_sql *
kith_plan_insert(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query_string *qs, const struct kith_write *w)
{
	struct write s = { .qs = qs, .w = w };
	struct kith_plan plan;
	struct kith_node *root = kith_plan_begin(&plan, req, c, r, &qs->query);
	const char **target = qs->on_conflict ? qs->on_conflict : r->primary_key;
	bool inserted = w->resolution == KITH_MERGE_DUPLICATES;

	if (!root || begin(&plan, root, &s))
		return NULL;
	if (s.several && !w->scan->rows)
		return write_nothing(&plan, root, w->returning, inserted);
	for (const char **name = qs->on_conflict; name && *name; name++)
		if (!kith_plan_column(&plan, r, *name))
			return NULL;
	write_with(&plan, &s, w->returning);
	write_insert(&plan, root, &s);
	if (w->resolution != KITH_INSERT && *target)
		write_conflict(&plan, &s, target);
	write_returning(&plan, root, &s, w->returning, inserted);
	return kith_plan_end(&plan);
}

/* A write without conditions reaches every row that the caller may write: nobody means that. */
static int
refuse_unbounded(struct kith_request *req, const struct kith_query_string *qs, const char *verb, const char *method)
{
	if (!qs->filtered) {
		kith_fail(req, 400, "21000", "%s requires a WHERE clause", verb);
		return kith_fail_hint(req,
		    "Add a filter, such as id=eq.1; to reach every row, one that is always true.");
	}
	if (qs->query.limit || qs->query.offset) {
		kith_fail(req, 400, "PGRST114", "limit/offset querystring parameters are not allowed for %s", method);
		return kith_fail_hint(req, "Choose the rows by filters, or by their keys: id=in.(1,2).");
	}
	return 0;
}

static void
write_set(struct kith_plan *plan, const struct write *s)
{
	struct kith_sql *q = plan->q;
	bool first = true, from_body = false;

	kith_sql_text(q, " set ");
	for (const struct kith_column **c = s->columns; *c; c++) {
		kith_plan_comma(plan, &first);
		kith_sql_ident(q, (*c)->name);
		kith_sql_text(q, " = ");
		if (is_missing(s, *c)) {
			kith_sql_text(q, "default");
		} else {
			write_value(plan, s, *c);
			from_body = true;
		}
	}
	if (!from_body)
		return;
	kith_sql_text(q, " from ");
	write_rows(plan, s);
}

struct kith_sql *
kith_plan_update(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query_string *qs, const struct kith_write *w)
{
	struct write s = { .qs = qs, .w = w };
	struct kith_plan plan;
	struct kith_node *root;
	bool first = true;

	if (refuse_unbounded(req, qs, "UPDATE", "PATCH"))
		return NULL;
	root = kith_plan_begin(&plan, req, c, r, &qs->query);
	if (!root || begin(&plan, root, &s))
		return NULL;
	if (w->scan->rows > 1) {
		kith_fail(req, 400, "PGRST102", "An update takes one object, not %zu", w->scan->rows);
		return NULL;
	}
	if (!s.columns[0] || !w->scan->rows)
		return write_nothing(&plan, root, w->returning, false);
	write_with(&plan, &s, w->returning);
	kith_sql_text(plan.q, "update ");
	kith_plan_from_table(&plan, root, NULL);
	write_set(&plan, &s);
	kith_plan_conditions(&plan, root, qs->query.where, &first);
	write_returning(&plan, root, &s, w->returning, false);
	return kith_plan_end(&plan);
}

struct kith_sql *
kith_plan_delete(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query_string *qs, bool returning)
{
	struct write s = { .qs = qs };
	struct kith_plan plan;
	struct kith_node *root;
	bool first = true;

	if (refuse_unbounded(req, qs, "DELETE", "DELETE"))
		return NULL;
	root = kith_plan_begin(&plan, req, c, r, &qs->query);
	if (!root)
		return NULL;
	s.by_returning = root->noutputs && !root->first && !root->counts && !root->query->order;
	write_with(&plan, &s, returning);
	kith_sql_text(plan.q, "delete from ");
	kith_plan_from_table(&plan, root, NULL);
	kith_plan_conditions(&plan, root, qs->query.where, &first);
	write_returning(&plan, root, &s, returning, false);
	return kith_plan_end(&plan);
}
