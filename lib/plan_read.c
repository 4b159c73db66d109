/*
 * Reads.  Embedded rows come by lateral joins, as JSON made by PostgreSQL; the
 * root's plain columns come as they are and become JSON in C.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "error.h"
#include "plan_internal.h"
#include "request.h"

void
kith_plan_alias(struct kith_plan *plan, const struct kith_node *node)
{
	kith_sql_text(plan->q, "t");
	kith_sql_number(plan->q, node->number);
}

void
kith_plan_name(struct kith_plan *plan, const struct kith_node *node, const char *name)
{
	kith_plan_alias(plan, node);
	kith_sql_text(plan->q, ".");
	kith_sql_ident(plan->q, name);
}

void
kith_plan_embed_name(struct kith_plan *plan, const struct kith_node *node)
{
	kith_sql_text(plan->q, "e");
	kith_sql_number(plan->q, node->number);
}

static void
write_junction_name(struct kith_plan *plan, const struct kith_node *node, const char *name)
{
	kith_sql_text(plan->q, "j");
	kith_sql_number(plan->q, node->number);
	kith_sql_text(plan->q, ".");
	kith_sql_ident(plan->q, name);
}

void
kith_plan_from_table(struct kith_plan *plan, const struct kith_node *root, const void *arg)
{
	(void)arg;
	kith_sql_qualified(plan->q, root->relation->schema, root->relation->name);
	kith_sql_text(plan->q, " as t0");
}

void
kith_plan_embed_from(struct kith_plan *plan, const struct kith_node *node)
{
	const struct kith_relation *junction = node->way->junction;

	kith_sql_qualified(plan->q, node->relation->schema, node->relation->name);
	kith_sql_text(plan->q, " as ");
	kith_plan_alias(plan, node);
	if (!junction)
		return;
	kith_sql_text(plan->q, ", ");
	kith_sql_qualified(plan->q, junction->schema, junction->name);
	kith_sql_text(plan->q, " as j");
	kith_sql_number(plan->q, node->number);
}

static void
write_ties(struct kith_plan *plan, const struct kith_node *node, bool *first)
{
	const struct kith_relationship *way = node->way;

	for (size_t i = 0; way->from_columns[i]; i++) {
		kith_plan_and(plan, first);
		if (way->junction)
			write_junction_name(plan, node, way->junction_from[i]);
		else
			kith_plan_name(plan, node, way->to_columns[i]);
		kith_sql_text(plan->q, " = ");
		kith_plan_name(plan, node->parent, way->from_columns[i]);
	}
	for (size_t i = 0; way->junction && way->to_columns[i]; i++) {
		kith_plan_and(plan, first);
		write_junction_name(plan, node, way->junction_to[i]);
		kith_sql_text(plan->q, " = ");
		kith_plan_name(plan, node, way->to_columns[i]);
	}
}

/* An embed that yields nothing is not joined; !inner still asks for its rows. */
static bool
is_joined(const struct kith_node *node)
{
	return node->noutputs > 0;
}

void
kith_plan_inner(struct kith_plan *plan, const struct kith_node *node, bool *first)
{
	for (const struct kith_node *child = node->first; child; child = child->next) {
		if (child->item->join != KITH_JOIN_INNER)
			continue;
		kith_plan_and(plan, first);
		kith_plan_exists(plan, child);
	}
}

void
kith_plan_embed_where(struct kith_plan *plan, const struct kith_node *node)
{
	bool first = true;

	write_ties(plan, node, &first);
	kith_plan_conditions(plan, node, node->query->where, &first);
	kith_plan_inner(plan, node, &first);
}

void
kith_plan_exists(struct kith_plan *plan, const struct kith_node *node)
{
	kith_sql_text(plan->q, "exists (select from ");
	kith_plan_embed_from(plan, node);
	kith_plan_embed_where(plan, node);
	kith_sql_text(plan->q, ")");
}

void
kith_plan_page(struct kith_plan *plan, const struct kith_query *query, long cap)
{
	const char *limit = query->limit;

	if (cap && (!limit || strtoll(limit, NULL, 10) > cap))
		limit = kith_format(plan->req->arena, "%ld", cap);
	if (limit) {
		kith_sql_text(plan->q, " limit ");
		kith_sql_param(plan->q, limit);
	}
	if (query->offset) {
		kith_sql_text(plan->q, " offset ");
		kith_sql_param(plan->q, query->offset);
	}
}

static void
write_join(struct kith_plan *plan, const struct kith_node *node)
{
	struct kith_sql *q = plan->q;
	bool inner = node->item->join == KITH_JOIN_INNER;

	if (inner)
		kith_sql_text(q, " inner join lateral (");
	else
		kith_sql_text(q, " left join lateral (");
	if (node->to_many)
		kith_sql_text(q, "select json_agg(r) as \"rows\" from (");
	kith_plan_select(plan, node, false);
	if (node->to_many)
		kith_sql_text(q, ") as r");
	kith_sql_text(q, ") as ");
	kith_plan_embed_name(plan, node);
	if (inner && node->to_many) {
		kith_sql_text(q, " on ");
		kith_plan_embed_name(plan, node);
		kith_sql_text(q, ".\"rows\" is not null");
	} else {
		kith_sql_text(q, " on true");
	}
}

/* The cap on a list of rows; the root's is passed by one, which tells that there are more. */
static long
rows_of(const struct kith_plan *plan, const struct kith_node *node)
{
	if (!node->parent)
		return plan->cap ? plan->cap + 1 : 0;
	/* A limit would keep PostgreSQL from turning the lateral join of one row into a plain one. */
	return node->to_many ? plan->cap : 0;
}

/* Depth of recursion is that of the tree. */
void
kith_plan_select(struct kith_plan *plan, const struct kith_node *node, bool rows_are_chosen)
{
	struct kith_sql *q = plan->q;
	bool first = true;

	kith_sql_text(q, "select");
	if (node->noutputs)
		kith_sql_text(q, " ");
	kith_plan_outputs(plan, node);
	if (!node->parent && plan->also) {
		if (node->noutputs)
			kith_sql_text(q, ",");
		kith_sql_text(q, " ");
		kith_plan_name(plan, node, plan->also);
	}
	kith_sql_text(q, " from ");
	if (node->parent)
		kith_plan_embed_from(plan, node);
	else
		plan->from(plan, node, plan->from_arg);
	for (const struct kith_node *child = node->first; child; child = child->next)
		if (is_joined(child))
			write_join(plan, child);
	if (node->parent)
		write_ties(plan, node, &first);
	if (!rows_are_chosen)
		kith_plan_conditions(plan, node, node->query->where, &first);
	for (const struct kith_node *child = node->first; child; child = child->next) {
		if (is_joined(child) || child->item->join != KITH_JOIN_INNER)
			continue;
		kith_plan_and(plan, &first);
		kith_plan_exists(plan, child);
	}
	kith_plan_order(plan, node);
	if (!rows_are_chosen)
		kith_plan_page(plan, node->query, rows_of(plan, node));
}

struct kith_sql *
kith_plan_read(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query *query, long cap)
{
	struct kith_plan plan;
	struct kith_node *root = kith_plan_begin(&plan, req, c, r, query);

	if (!root)
		return NULL;
	plan.cap = cap;
	kith_plan_select(&plan, root, false);
	return kith_plan_end(&plan);
}

struct kith_sql *
kith_plan_count(struct kith_request *req, const struct kith_catalog *c, const struct kith_relation *r,
    const struct kith_query *query)
{
	struct kith_plan plan;
	struct kith_node *root = kith_plan_begin(&plan, req, c, r, query);
	bool first = true;

	if (!root)
		return NULL;
	kith_sql_text(plan.q, "select count(*) from ");
	plan.from(&plan, root, NULL);
	kith_plan_conditions(&plan, root, query->where, &first);
	kith_plan_inner(&plan, root, &first);
	return kith_plan_end(&plan);
}
