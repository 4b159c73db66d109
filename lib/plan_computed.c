/*
 * Computed fields: functions of one row of a table, which are selected,
 * filtered and sorted by like its columns.
 */
#include <string.h>

#include "plan_internal.h"

void
kith_plan_value(struct kith_plan *plan, const struct kith_node *node, const struct kith_column *column)
{
	const struct kith_function *f = column->function;

	if (!f || (!node->parent && plan->derived)) {
		kith_plan_name(plan, node, column->name);
		return;
	}
	/* With a star, since a column may have the alias's name. */
	kith_sql_qualified(plan->q, f->schema, f->name);
	kith_sql_text(plan->q, "(");
	kith_plan_alias(plan, node);
	kith_sql_text(plan->q, ".*)");
}

/* The parser bounds the depth: KITH_QUERY_MAX_LOGIC. */
static bool
tests(const struct kith_condition *c, const char *name)
{
	for (; c; c = c->next)
		if (c->kind == KITH_COND_TEST ? !strcmp(c->field.name, name) : tests(c->first, name))
			return true;
	return false;
}

static bool
mentions(const struct kith_query *query, const char *name)
{
	for (const struct kith_item *item = query->items; item; item = item->next)
		if (item->kind == KITH_ITEM_FIELD && !strcmp(item->field.name, name))
			return true;
	for (const struct kith_order *order = query->order; order; order = order->next)
		if (!order->embed && !strcmp(order->field.name, name))
			return true;
	return tests(query->where, name);
}

void
kith_plan_computed(struct kith_plan *plan, const struct kith_node *root, bool *first)
{
	for (const struct kith_computed *c = root->relation->computed; c; c = c->next) {
		if (!mentions(root->query, c->column.name))
			continue;
		kith_plan_comma(plan, first);
		kith_plan_value(plan, root, &c->column);
		kith_sql_text(plan->q, " as ");
		kith_sql_ident(plan->q, c->column.name);
	}
}
