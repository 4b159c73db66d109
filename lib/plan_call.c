/*
 * Calls.  Arguments of a POST are typed by json_to_record, like rows; those of
 * a GET are parameters cast to the argument's type.
 */
#include <string.h>

#include "arena.h"
#include "error.h"
#include "plan_internal.h"
#include "request.h"

struct call {
	const struct kith_function *f;
	const struct kith_argument *arguments;	/* GET */
	const char *body;			/* POST; NULL without arguments */
	const char *const *keys;		/* of the body; NULL without arguments */
};

static bool
is_given(const struct call *call, const char *name)
{
	for (const struct kith_argument *a = call->arguments; a; a = a->next)
		if (!strcmp(a->name, name))
			return true;
	return kith_plan_is_among(name, call->keys);
}

/* True when arguments come out of the body. */
static bool
has_record(const struct call *call)
{
	for (size_t i = 0; call->body && !kith_plan_takes_body(call->f) && i < call->f->narguments; i++)
		if (kith_plan_is_among(call->f->arguments[i].name, call->keys))
			return true;
	return false;
}

/* json_to_record($1) as a("x" int) */
static void
write_record(struct kith_plan *plan, const struct call *call)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	kith_sql_text(q, "json_to_record(");
	kith_sql_param(q, call->body);
	kith_sql_text(q, ") as a(");
	for (size_t i = 0; i < call->f->narguments; i++) {
		const struct kith_function_argument *argument = &call->f->arguments[i];

		if (!kith_plan_is_among(argument->name, call->keys))
			continue;
		kith_plan_comma(plan, &first);
		kith_sql_ident(q, argument->name);
		kith_sql_text(q, " ");
		if (argument->type.form == KITH_FORM_VECTOR)
			kith_sql_text(q, "json");
		else
			kith_sql_catalog_type(q, argument->type.name);
	}
	kith_sql_text(q, ")");
}

/*
 * What a GET says of one argument: its last value, or all of them as an array
 * for a variadic one.  supabase-js does not know which one is variadic and
 * writes any array as {1,2}.
 */
static const char *
given_value(struct kith_plan *plan, const struct call *call, const struct kith_function_argument *argument)
{
	const char **values, *value = NULL;
	struct kith_buf list;
	size_t n = 0;

	for (const struct kith_argument *a = call->arguments; a; a = a->next)
		if (!strcmp(a->name, argument->name)) {
			value = a->value;
			n++;
		}
	if (!argument->variadic || (n == 1 && *value == '{'))
		return value;
	values = kith_new_array(plan->req->arena, const char *, n + 1);
	n = 0;
	for (const struct kith_argument *a = call->arguments; a; a = a->next)
		if (!strcmp(a->name, argument->name))
			values[n++] = a->value;
	kith_buf_init(&list, plan->req->arena, 100);
	kith_sql_array(&list, values);
	return list.s;
}

static void
write_argument(struct kith_plan *plan, const struct call *call, const struct kith_function_argument *argument)
{
	struct kith_sql *q = plan->q;
	bool vector = argument->type.form == KITH_FORM_VECTOR;

	if (argument->variadic)
		kith_sql_text(q, "variadic ");
	kith_sql_ident(q, argument->name);
	kith_sql_text(q, " => ");
	if (vector)
		kith_sql_text(q, "extensions.vector_in(");
	if (call->body) {
		kith_sql_text(q, "a.");
		kith_sql_ident(q, argument->name);
		if (vector)
			kith_sql_text(q, " #>> '{}'");
	} else {
		kith_sql_param(q, given_value(plan, call, argument));
		if (!vector) {
			kith_sql_text(q, "::");
			kith_sql_catalog_type(q, argument->type.name);
		}
	}
	if (vector)
		kith_sql_text(q, ")");
}

/* "public"."fn"("x" => a."x") */
static void
write_call(struct kith_plan *plan, const struct call *call)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	kith_sql_qualified(q, call->f->schema, call->f->name);
	kith_sql_text(q, "(");
	if (kith_plan_takes_body(call->f)) {
		kith_sql_param(q, call->body);
		kith_sql_text(q, "::");
		kith_sql_catalog_type(q, call->f->arguments[0].type.name);
	}
	for (size_t i = 0; i < call->f->narguments; i++) {
		const struct kith_function_argument *argument = &call->f->arguments[i];

		if (!*argument->name || !is_given(call, argument->name))
			continue;
		kith_plan_comma(plan, &first);
		write_argument(plan, call, argument);
	}
	kith_sql_text(q, ")");
}

/* Rows as they are; a value becomes a row of one column, which has the function's name. */
static void
from_call(struct kith_plan *plan, const struct kith_node *root, const void *arg)
{
	const struct call *call = arg;
	struct kith_sql *q = plan->q;

	(void)root;
	if (!call->f->composite) {
		kith_sql_text(q, "(select ");
		write_call(plan, call);
		kith_sql_text(q, " as ");
		kith_sql_ident(q, call->f->name);
		if (has_record(call)) {
			kith_sql_text(q, " from ");
			write_record(plan, call);
		}
		kith_sql_text(q, ") as t0");
		return;
	}
	if (has_record(call)) {
		write_record(plan, call);
		kith_sql_text(q, " cross join lateral ");
	}
	write_call(plan, call);
	kith_sql_text(q, " as t0");
}

static void
from_called(struct kith_plan *plan, const struct kith_node *root, const void *arg)
{
	(void)root;
	(void)arg;
	kith_sql_text(plan->q, "kith_called as t0");
}

/* A page and its total from one call: a function may be slow, or do something. */
static void
write_counted(struct kith_plan *plan, const struct kith_node *root, const struct call *call)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	kith_sql_text(q, "with kith_called as materialized (select t0.*, true as \"" KITH_PLAN_FOUND "\"");
	kith_plan_computed(plan, root, &(bool){ false });
	kith_sql_text(q, " from ");
	from_call(plan, root, call);
	plan->derived = true;
	kith_sql_text(q, ") select p.*, c.* from (select count(*) from kith_called as t0");
	kith_plan_conditions(plan, root, root->query->where, &first);
	kith_plan_inner(plan, root, &first);
	kith_sql_text(q, ") as c left join (");
	plan->from = from_called;
	plan->also = KITH_PLAN_FOUND;
	kith_plan_select(plan, root, false);
	kith_sql_text(q, ") as p on true");
}

/* What a function's rows look like. */
static const struct kith_relation *
rows_of(struct kith_request *req, const struct kith_function *f)
{
	static const char *no_key[] = { NULL };
	struct kith_relation *r;
	struct kith_column *value;

	if (f->returns)
		return f->returns;
	r = kith_new(req->arena, struct kith_relation);
	r->schema = f->schema;
	r->name = f->name;
	r->columns = f->columns;
	r->ncolumns = f->ncolumns;
	r->primary_key = no_key;
	if (!f->composite) {
		r->columns = value = kith_new(req->arena, struct kith_column);
		r->ncolumns = 1;
		value->name = f->name;
		value->type = f->type;
	}
	return r;
}

struct kith_sql *
kith_plan_call(struct kith_request *req, const struct kith_catalog *c, const struct kith_function *f,
    const struct kith_query_string *qs, const char *body, const struct kith_json_scan *scan, long cap, bool count)
{
	struct call call = { .f = f, .arguments = body ? NULL : qs->arguments, .body = body };
	struct kith_query *query = kith_new(req->arena, struct kith_query);
	struct kith_plan plan;
	struct kith_node *root;

	*query = qs->query;
	if (!f->composite) {
		/* select= says nothing about a value. */
		query->items = NULL;
		query->select_given = false;
	}
	if (body && scan) {
		call.keys = scan->keys;
		if (scan->type == KITH_JSON_NULL && !kith_plan_takes_body(f))
			call.body = NULL;
	}
	if (!call.body)
		call.keys = NULL;
	root = kith_plan_begin(&plan, req, c, rows_of(req, f), query);
	if (!root)
		return NULL;
	plan.cap = f->set ? cap : 0;
	plan.from = from_call;
	plan.from_arg = &call;
	if (count)
		write_counted(&plan, root, &call);
	else
		kith_plan_select(&plan, root, false);
	return kith_plan_end(&plan);
}
