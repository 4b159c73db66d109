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

/* What a GET says of one argument: its last value, or all of them as an array for a variadic one. */
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
	if (!argument->variadic)
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

static void
from_call(struct kith_plan *plan, const struct kith_node *root, const void *arg)
{
	const struct call *call = arg;

	(void)root;
	if (has_record(call)) {
		write_record(plan, call);
		kith_sql_text(plan->q, " cross join lateral ");
	}
	write_call(plan, call);
	kith_sql_text(plan->q, " as t0");
}

/* select fn(...) from its arguments: a value, or one in each row. */
static void
write_values(struct kith_plan *plan, const struct kith_node *root, const struct call *call)
{
	struct kith_sql *q = plan->q;
	enum kith_form form = call->f->is_void ? KITH_FORM_PLAIN : call->f->type.form;
	bool first = true;

	kith_sql_text(q, "select ");
	if (form == KITH_FORM_TO_JSON)
		kith_sql_text(q, "to_json(");
	else if (form == KITH_FORM_VECTOR)
		kith_sql_text(q, "extensions.vector_out(");
	write_call(plan, call);
	if (form != KITH_FORM_PLAIN)
		kith_sql_text(q, ")");
	kith_sql_text(q, " as ");
	kith_sql_ident(q, call->f->name);
	if (has_record(call)) {
		kith_sql_text(q, " from ");
		write_record(plan, call);
	}
	/* A value has no columns, so any condition is refused by its column's name. */
	kith_plan_conditions(plan, root, root->query->where, &first);
}

/* What a function's rows look like; without columns for values. */
static const struct kith_relation *
rows_of(struct kith_request *req, const struct kith_function *f)
{
	static const char *no_key[] = { NULL };
	struct kith_relation *r;

	if (f->returns)
		return f->returns;
	r = kith_new(req->arena, struct kith_relation);
	r->schema = f->schema;
	r->name = f->name;
	r->columns = f->columns;
	r->ncolumns = f->composite ? f->ncolumns : 0;
	r->primary_key = no_key;
	return r;
}

static struct kith_node *
begin(struct kith_plan *plan, struct kith_request *req, const struct kith_catalog *c, struct call *call,
    const struct kith_query_string *qs, const struct kith_json_scan *scan)
{
	/* select= says nothing about a value. */
	struct kith_query *query = kith_new(req->arena, struct kith_query);
	struct kith_node *root;

	*query = qs->query;
	if (!call->f->composite) {
		query->items = NULL;
		query->select_given = false;
		query->order = NULL;
	}
	if (call->body && scan) {
		call->keys = scan->keys;
		if (scan->type == KITH_JSON_NULL && !kith_plan_takes_body(call->f))
			call->body = NULL;
	}
	if (!call->body)
		call->keys = NULL;
	root = kith_plan_begin(plan, req, c, rows_of(req, call->f), query);
	plan->from = from_call;
	plan->from_arg = call;
	return root;
}

struct kith_sql *
kith_plan_call(struct kith_request *req, const struct kith_catalog *c, const struct kith_function *f,
    const struct kith_query_string *qs, const char *body, const struct kith_json_scan *scan, long cap)
{
	struct call call = { .f = f, .arguments = body ? NULL : qs->arguments, .body = body };
	struct kith_plan plan;
	struct kith_node *root = begin(&plan, req, c, &call, qs, scan);

	if (!root)
		return NULL;
	plan.cap = cap;
	if (f->composite) {
		kith_plan_select(&plan, root, false);
	} else {
		write_values(&plan, root, &call);
		kith_plan_page(&plan, root->query, f->set ? cap : 0);
	}
	return kith_plan_end(&plan);
}

struct kith_sql *
kith_plan_call_count(struct kith_request *req, const struct kith_catalog *c, const struct kith_function *f,
    const struct kith_query_string *qs, const char *body, const struct kith_json_scan *scan)
{
	struct call call = { .f = f, .arguments = body ? NULL : qs->arguments, .body = body };
	struct kith_plan plan;
	struct kith_node *root = begin(&plan, req, c, &call, qs, scan);
	bool first = true;

	if (!root)
		return NULL;
	kith_sql_text(plan.q, "select count(*) from ");
	if (f->composite) {
		from_call(&plan, root, &call);
		kith_plan_conditions(&plan, root, root->query->where, &first);
		kith_plan_inner(&plan, root, &first);
	} else {
		kith_sql_text(plan.q, "(");
		write_values(&plan, root, &call);
		kith_sql_text(plan.q, ") as t0");
	}
	return kith_plan_end(&plan);
}
