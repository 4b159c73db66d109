/*
 * Between the parts of the planner.
 *
 * A query becomes a tree of nodes, one for each table; then the tree is
 * written as SQL from the top down.  Aliases are numbered by node: t0 is the
 * table itself, t1 an embedded one, j1 the junction table on the way to it, e1
 * the joined subselect that yields its rows.  So queries of the same shape
 * have the same text.
 *
 * Whoever writes SQL does not return errors: the first one is kept in
 * req->error, writing goes on, and kith_plan_end gives NULL.
 */
#ifndef KITH_PLAN_INTERNAL_H
#define KITH_PLAN_INTERNAL_H

#include <stddef.h>

#include "catalog.h"
#include "plan.h"
#include "sql.h"

struct kith_node {
	const struct kith_query *query;
	const struct kith_item *item;	/* what asked for it; NULL for the root */
	const struct kith_relation *relation;
	const struct kith_relationship *way;	/* from the parent's relation; NULL for the root */
	const struct kith_node *parent;
	struct kith_node *first;	/* embedded ones */
	struct kith_node *next;
	const char *key;		/* its name in the parent's rows */
	unsigned number;		/* of the aliases */
	bool to_many;
	bool counts;			/* select=count: one row, holding the number of rows */
	size_t noutputs;		/* columns that its rows have in the answer */
};

struct kith_plan {
	struct kith_request *req;
	const struct kith_catalog *catalog;
	struct kith_sql *q;
	unsigned nodes;
	long cap;	/* most rows of each list; 0: none */
	/* Writes what stands behind the root's "from", alias t0 included. */
	void (*from)(struct kith_plan *plan, const struct kith_node *root, const void *arg);
	const void *from_arg;
	bool derived;	/* the root's rows come from a subselect, which has its computed fields as columns */
	const char *also;	/* one more column of the root's rows, behind the selected ones; NULL: none */
};

/* --- plan_tree.c: names to tables and relationships --- */

/* A plan and its root node.  NULL with the error set. */
struct kith_node *kith_plan_begin(struct kith_plan *plan, struct kith_request *req, const struct kith_catalog *c,
    const struct kith_relation *r, const struct kith_query *query);

/* The finished statement, or NULL when there was an error. */
struct kith_sql *kith_plan_end(struct kith_plan *plan);

/* The embed of that key or table name; NULL when there is none. */
const struct kith_node *kith_plan_child(const struct kith_node *node, const char *name);

/* True when a list that ends with NULL has the name; a NULL list has none. */
bool kith_plan_is_among(const char *name, const char *const *names);

/* A column or computed field by its name; NULL with 400 42703. */
const struct kith_column *kith_plan_column(struct kith_plan *plan, const struct kith_relation *r, const char *name);

/* --- plan_filter.c: fields, conditions, order --- */

/* t1."name", or what its path leads to.  Returns the column, NULL after an error. */
const struct kith_column *kith_plan_field(struct kith_plan *plan, const struct kith_node *node,
    const struct kith_field *field);

/* "where" before the first condition of a clause, "and" before the others. */
void kith_plan_and(struct kith_plan *plan, bool *first);

/* ", " before every item of a list but the first. */
void kith_plan_comma(struct kith_plan *plan, bool *first);

/* Conditions joined by and. */
void kith_plan_conditions(struct kith_plan *plan, const struct kith_node *node, const struct kith_condition *c,
    bool *first);

void kith_plan_order(struct kith_plan *plan, const struct kith_node *node);

/* --- plan_computed.c --- */

/* t1."name", or "public"."name"(t1.*) of a computed field. */
void kith_plan_value(struct kith_plan *plan, const struct kith_node *node, const struct kith_column *column);

/* The computed fields that the root's query mentions, for the select list of a subselect. */
void kith_plan_computed(struct kith_plan *plan, const struct kith_node *root, bool *first);

/* --- plan_output.c --- */

/* The select list: what is between "select" or "returning" and what follows. */
void kith_plan_outputs(struct kith_plan *plan, const struct kith_node *node);

/* --- plan_read.c --- */

/* t1 */
void kith_plan_alias(struct kith_plan *plan, const struct kith_node *node);

/* t1."name" */
void kith_plan_name(struct kith_plan *plan, const struct kith_node *node, const char *name);

/* e1 */
void kith_plan_embed_name(struct kith_plan *plan, const struct kith_node *node);

/* A whole select.  The root's conditions and its page are left out where a write has applied them. */
void kith_plan_select(struct kith_plan *plan, const struct kith_node *node, bool rows_are_chosen);

/* The tables behind an embed's "from", and the conditions that tie it to its parent and filter it. */
void kith_plan_embed_from(struct kith_plan *plan, const struct kith_node *node);
void kith_plan_embed_where(struct kith_plan *plan, const struct kith_node *node);

/* exists (select ...) of an embed's rows. */
void kith_plan_exists(struct kith_plan *plan, const struct kith_node *node);

/* exists (...) for every !inner embed. */
void kith_plan_inner(struct kith_plan *plan, const struct kith_node *node, bool *first);

/* limit and offset; cap is the most rows, 0: none. */
void kith_plan_page(struct kith_plan *plan, const struct kith_query *query, long cap);

/* "public"."messages" as t0: the usual plan->from. */
void kith_plan_from_table(struct kith_plan *plan, const struct kith_node *root, const void *arg);

/* --- plan_choose.c --- */

/* A function of one unnamed json or jsonb argument: it gets the whole body. */
bool kith_plan_takes_body(const struct kith_function *f);

#endif
