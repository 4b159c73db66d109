/*
 * Fields, conditions and order as SQL.  Values are bound untyped, so that
 * PostgreSQL reads them as whatever they are compared with.
 */
#include <string.h>

#include "arena.h"
#include "error.h"
#include "plan_internal.h"
#include "request.h"

const struct kith_column *
kith_plan_field(struct kith_plan *plan, const struct kith_node *node, const struct kith_field *field)
{
	const struct kith_column *column = kith_plan_column(plan, node->relation, field->name);
	struct kith_sql *q = plan->q;

	if (!column)
		return NULL;
	if (!field->path) {
		kith_plan_value(plan, node, column);
		return column;
	}
	kith_sql_text(q, "(");
	if (!column->type.json)
		kith_sql_text(q, "to_jsonb(");
	if (column->type.form == KITH_FORM_VECTOR)
		kith_sql_text(q, "extensions.vector_out(");
	kith_plan_value(plan, node, column);
	if (column->type.form == KITH_FORM_VECTOR)
		kith_sql_text(q, ")");
	if (!column->type.json)
		kith_sql_text(q, ")");
	for (const struct kith_arrow *arrow = field->path; arrow; arrow = arrow->next) {
		if (arrow->text)
			kith_sql_text(q, "->>");
		else
			kith_sql_text(q, "->");
		kith_sql_param(q, arrow->key);
		if (arrow->index)
			kith_sql_text(q, "::int");
		else
			kith_sql_text(q, "::text");
	}
	kith_sql_text(q, ")");
	return column;
}

void
kith_plan_and(struct kith_plan *plan, bool *first)
{
	if (*first)
		kith_sql_text(plan->q, " where ");
	else
		kith_sql_text(plan->q, " and ");
	*first = false;
}

void
kith_plan_comma(struct kith_plan *plan, bool *first)
{
	if (!*first)
		kith_sql_text(plan->q, ", ");
	*first = false;
}

static void
write_operator(struct kith_sql *q, enum kith_operator op)
{
	switch (op) {
	case KITH_OP_EQ:
	case KITH_OP_IN:
		kith_sql_text(q, " = ");
		break;
	case KITH_OP_NEQ:
		kith_sql_text(q, " <> ");
		break;
	case KITH_OP_GT:
		kith_sql_text(q, " > ");
		break;
	case KITH_OP_GTE:
		kith_sql_text(q, " >= ");
		break;
	case KITH_OP_LT:
		kith_sql_text(q, " < ");
		break;
	case KITH_OP_LTE:
		kith_sql_text(q, " <= ");
		break;
	case KITH_OP_LIKE:
		kith_sql_text(q, " like ");
		break;
	case KITH_OP_ILIKE:
		kith_sql_text(q, " ilike ");
		break;
	case KITH_OP_MATCH:
		kith_sql_text(q, " ~ ");
		break;
	case KITH_OP_IMATCH:
		kith_sql_text(q, " ~* ");
		break;
	case KITH_OP_ISDISTINCT:
		kith_sql_text(q, " is distinct from ");
		break;
	case KITH_OP_CS:
		kith_sql_text(q, " @> ");
		break;
	case KITH_OP_CD:
		kith_sql_text(q, " <@ ");
		break;
	case KITH_OP_OV:
		kith_sql_text(q, " && ");
		break;
	case KITH_OP_SL:
		kith_sql_text(q, " << ");
		break;
	case KITH_OP_SR:
		kith_sql_text(q, " >> ");
		break;
	case KITH_OP_NXL:
		kith_sql_text(q, " &> ");
		break;
	case KITH_OP_NXR:
		kith_sql_text(q, " &< ");
		break;
	case KITH_OP_ADJ:
		kith_sql_text(q, " -|- ");
		break;
	case KITH_OP_FTS:
		kith_sql_text(q, " @@ to_tsquery(");
		break;
	case KITH_OP_PLFTS:
		kith_sql_text(q, " @@ plainto_tsquery(");
		break;
	case KITH_OP_PHFTS:
		kith_sql_text(q, " @@ phraseto_tsquery(");
		break;
	case KITH_OP_WFTS:
		kith_sql_text(q, " @@ websearch_to_tsquery(");
		break;
	case KITH_OP_IS:
		kith_sql_text(q, " is ");
		break;
	}
}

static void
write_is(struct kith_sql *q, enum kith_is is)
{
	switch (is) {
	case KITH_IS_NULL:
		kith_sql_text(q, "null");
		break;
	case KITH_IS_NOT_NULL:
		kith_sql_text(q, "not null");
		break;
	case KITH_IS_TRUE:
		kith_sql_text(q, "true");
		break;
	case KITH_IS_FALSE:
		kith_sql_text(q, "false");
		break;
	case KITH_IS_UNKNOWN:
		kith_sql_text(q, "unknown");
		break;
	}
}

static void
write_config(struct kith_sql *q, const char *config)
{
	if (!config)
		return;
	kith_sql_param(q, config);
	kith_sql_text(q, "::regconfig, ");
}

/* A column that is no tsvector is made one, by the same configuration as the query. */
static void
write_search(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c)
{
	const struct kith_column *column = kith_catalog_field(node->relation, c->field.name);
	bool convert = column && (c->field.path || !column->type.tsvector);

	if (convert) {
		kith_sql_text(plan->q, "to_tsvector(");
		write_config(plan->q, c->config);
	}
	kith_plan_field(plan, node, &c->field);
	if (convert)
		kith_sql_text(plan->q, ")");
	write_operator(plan->q, c->op);
	write_config(plan->q, c->config);
	kith_sql_param(plan->q, c->value);
	kith_sql_text(plan->q, ")");
}

static void
write_comparison(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c)
{
	struct kith_sql *q = plan->q;
	const char *value = c->value;
	enum kith_quantifier quantifier = c->quantifier;

	kith_plan_field(plan, node, &c->field);
	write_operator(q, c->op);
	if (c->op == KITH_OP_IN) {
		struct kith_buf list;

		kith_buf_init(&list, plan->req->arena, 100);
		kith_sql_array(&list, c->values);
		value = list.s;
		quantifier = KITH_QUANTIFIER_ANY;
	}
	if (quantifier == KITH_QUANTIFIER_ANY)
		kith_sql_text(q, "any (");
	else if (quantifier == KITH_QUANTIFIER_ALL)
		kith_sql_text(q, "all (");
	kith_sql_param(q, value);
	if (quantifier != KITH_QUANTIFIER_NONE)
		kith_sql_text(q, ")");
}

static void
write_test(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c)
{
	const struct kith_column *column;

	if (c->op == KITH_OP_IS) {
		kith_plan_field(plan, node, &c->field);
		write_operator(plan->q, c->op);
		write_is(plan->q, c->is);
		return;
	}
	column = kith_plan_column(plan, node->relation, c->field.name);
	if (!column)
		return;
	/* The stand-in for pgvector's type orders and compares bytes, not numbers. */
	if (column->type.form == KITH_FORM_VECTOR) {
		kith_fail(plan->req, 400, "PGRST127", "Feature not implemented");
		kith_fail_details(plan->req, "The vector '%s' can only be tested for null.", column->name);
		return;
	}
	if (c->op >= KITH_OP_FTS)
		write_search(plan, node, c);
	else
		write_comparison(plan, node, c);
}

/* messages=is.null: no row is embedded there.  False when the name is a column's. */
static bool
write_embed_test(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c)
{
	const struct kith_node *child = c->field.path ? NULL : kith_plan_child(node, c->field.name);
	bool null = c->op == KITH_OP_IS && (c->is == KITH_IS_NULL || c->is == KITH_IS_NOT_NULL);

	if (!child || (!null && kith_catalog_field(node->relation, c->field.name)))
		return false;
	if (!null) {
		kith_fail(plan->req, 400, "PGRST120", "Bad operator on the '%s' embedded resource", c->field.name);
		kith_fail_details(plan->req, "Only is null or not is null filters are allowed on embedded resources");
		return true;
	}
	if (c->is == KITH_IS_NULL)
		kith_sql_text(plan->q, "not ");
	kith_plan_exists(plan, child);
	return true;
}

/* The parser bounds the depth: KITH_QUERY_MAX_LOGIC. */
static void
write_condition(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c)
{
	if (c->negated)
		kith_sql_text(plan->q, "not ");
	if (c->negated || c->kind != KITH_COND_TEST)
		kith_sql_text(plan->q, "(");
	if (c->kind == KITH_COND_TEST) {
		if (!write_embed_test(plan, node, c))
			write_test(plan, node, c);
	} else {
		for (const struct kith_condition *part = c->first; part; part = part->next) {
			if (part != c->first && c->kind == KITH_COND_OR)
				kith_sql_text(plan->q, " or ");
			else if (part != c->first)
				kith_sql_text(plan->q, " and ");
			write_condition(plan, node, part);
		}
	}
	if (c->negated || c->kind != KITH_COND_TEST)
		kith_sql_text(plan->q, ")");
}

void
kith_plan_conditions(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c, bool *first)
{
	for (; c; c = c->next) {
		kith_plan_and(plan, first);
		write_condition(plan, node, c);
	}
}

/*
 * order=conversations(title): the embedded row is looked up once more, since
 * what is selected of it may not hold the column.
 */
static void
write_embed_order(struct kith_plan *plan, const struct kith_node *node, const struct kith_order *order)
{
	const struct kith_node *child = kith_plan_child(node, order->embed);

	if (!child) {
		kith_fail(plan->req, 400, "PGRST108", "'%.200s' is not an embedded resource in this request",
		    order->embed);
		kith_fail_hint(plan->req, "Verify that '%.200s' is included in the 'select' query parameter.",
		    order->embed);
		return;
	}
	if (child->to_many) {
		kith_fail(plan->req, 400, "PGRST118", "A related order on '%s' is not possible", child->key);
		kith_fail_details(plan->req, "'%s' and '%s' do not form a many-to-one or one-to-one relationship",
		    node->relation->name, child->key);
		return;
	}
	kith_sql_text(plan->q, "(select ");
	kith_plan_field(plan, child, &order->field);
	kith_sql_text(plan->q, " from ");
	kith_plan_embed_from(plan, child);
	kith_plan_embed_where(plan, child);
	kith_sql_text(plan->q, " limit 1)");
}

/*
 * Dart always says .nullslast, and an index does not know that its column holds
 * no nulls: newest first would sort the whole conversation.
 */
static bool
nulls_matter(const struct kith_node *node, const struct kith_order *order)
{
	const struct kith_column *column = NULL;

	if (!order->embed && !order->field.path && node->relation)
		column = kith_catalog_column(node->relation, order->field.name);
	return !column || !column->not_null;
}

void
kith_plan_order(struct kith_plan *plan, const struct kith_node *node)
{
	struct kith_sql *q = plan->q;

	/* One row needs no order, and PostgreSQL refuses to sort what was counted. */
	if (node->counts)
		return;
	for (const struct kith_order *order = node->query->order; order; order = order->next) {
		if (order == node->query->order)
			kith_sql_text(q, " order by ");
		else
			kith_sql_text(q, ", ");
		if (order->embed)
			write_embed_order(plan, node, order);
		else
			kith_plan_field(plan, node, &order->field);
		if (order->desc)
			kith_sql_text(q, " desc");
		if (order->nulls == KITH_NULLS_DEFAULT || !nulls_matter(node, order))
			continue;
		if (order->nulls == KITH_NULLS_FIRST)
			kith_sql_text(q, " nulls first");
		else
			kith_sql_text(q, " nulls last");
	}
}
