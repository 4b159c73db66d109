/*
 * From names to tables: which relationship an embed means.
 */
#include <string.h>

#include "arena.h"
#include "error.h"
#include "plan_internal.h"
#include "request.h"

static bool
is(const char *a, const char *b)
{
	return !strcmp(a, b);
}

const struct kith_column *
kith_plan_column(struct kith_plan *plan, const struct kith_relation *r, const char *name)
{
	const struct kith_column *column = kith_catalog_field(r, name);
	const char *near;

	if (column)
		return column;
	/* In PostgreSQL's words, as if it had been asked. */
	kith_fail(plan->req, 400, "42703", "column %s.%.200s does not exist", r->name, name);
	near = kith_catalog_nearest_column(r, name);
	if (near)
		kith_fail_hint(plan->req, "Perhaps you meant to reference the column \"%s.%s\".", r->name, near);
	return NULL;
}

/* True for a key of one column with that name. */
static bool
single(const char **columns, const char *name)
{
	return columns[0] && !columns[1] && is(columns[0], name);
}

/*
 * A table within itself: its name means the children, the column that holds
 * the key means the parent.  A hint says which key.
 */
static bool
means_itself(const struct kith_relationship *way, const char *target, const char *hint)
{
	if (way->junction)
		return hint && is(target, way->to->name) &&
		    (is(hint, way->junction->name) || is(hint, way->junction_constraint));
	if (way->forward)
		return !hint && single(way->from_columns, target);
	return is(target, way->to->name) &&
	    (!hint || is(hint, way->constraint) || single(way->to_columns, hint));
}

/*
 * What PostgREST lets target!hint mean.  The target is a table, a foreign key's
 * name or its column; the hint a foreign key's name, its column or a junction.
 */
static bool
means(const struct kith_relationship *way, const char *target, const char *hint)
{
	if (way->from == way->to)
		return means_itself(way, target, hint);
	if (!is(target, way->to->name))
		return !hint && !way->junction && !way->to->is_view &&
		    (is(target, way->constraint) || (way->forward && single(way->from_columns, target)));
	if (!hint)
		return true;
	if (way->junction)
		return is(hint, way->junction->name) || is(hint, way->junction_constraint);
	return is(hint, way->constraint) || single(way->from_columns, hint) || single(way->to_columns, hint);
}

static void
write_columns(struct kith_buf *b, const char *table, const char **columns)
{
	kith_buf_puts(b, table);
	for (char before = '('; *columns; columns++, before = ',') {
		kith_buf_putc(b, before);
		if (before == ',')
			kith_buf_putc(b, ' ');
		kith_buf_puts(b, *columns);
	}
	kith_buf_putc(b, ')');
}

/* One line of the details: "chats_person_id_fkey using chats(person_id) and people(id)". */
static void
write_way(struct kith_buf *b, const struct kith_relationship *way)
{
	if (b->len)
		kith_buf_lit(b, "; ");
	if (way->junction) {
		kith_buf_printf(b, "%s using %s", way->junction->name, way->constraint);
		write_columns(b, "", way->junction_from);
		kith_buf_printf(b, " and %s", way->junction_constraint);
		write_columns(b, "", way->junction_to);
		return;
	}
	kith_buf_printf(b, "%s using ", way->constraint);
	write_columns(b, way->from->name, way->from_columns);
	kith_buf_lit(b, " and ");
	write_columns(b, way->to->name, way->to_columns);
}

/*
 * What tells a relationship from the others.  A junction from a table to
 * itself makes two, which differ in the key they end with.
 */
static const char *
hint_for(const struct kith_relationship *way)
{
	if (!way->junction)
		return way->constraint;
	return way->from == way->to ? way->junction_constraint : way->junction->name;
}

static void
refuse_several(struct kith_plan *plan, const struct kith_node *parent, const struct kith_item *item,
    const struct kith_relationship *ways, size_t n)
{
	struct kith_buf details, hint;

	kith_buf_init(&details, plan->req->arena, 200);
	kith_buf_init(&hint, plan->req->arena, 200);
	for (size_t i = 0; i < n; i++) {
		if (!means(&ways[i], item->target, item->hint))
			continue;
		write_way(&details, &ways[i]);
		kith_buf_printf(&hint, "%s'%s!%s'", hint.len ? ", " : "", ways[i].to->name,
		    hint_for(&ways[i]));
	}
	kith_fail(plan->req, 300, "PGRST201",
	    "Could not embed because more than one relationship was found for '%s' and '%s'", parent->relation->name,
	    item->target);
	kith_fail_details(plan->req, "%s", details.s);
	kith_fail_hint(plan->req,
	    "Try changing '%s' to one of the following: %s. Find the desired relationship in the 'details' key.",
	    item->target, hint.s);
}

static void
refuse_none(struct kith_plan *plan, const struct kith_node *parent, const struct kith_item *item)
{
	const char *from = parent->relation->name;
	const char *near = kith_catalog_nearest_related(plan->catalog, parent->relation, item->target);

	kith_fail(plan->req, 400, "PGRST200",
	    "Could not find a relationship between '%s' and '%.200s' in the schema cache", from, item->target);
	kith_fail_details(plan->req,
	    "Searched for a foreign key relationship between '%s' and '%.200s'%s%.200s%s in the schema '%s', but no "
	    "matches were found.",
	    from, item->target, item->hint ? " using the hint '" : "", item->hint ? item->hint : "",
	    item->hint ? "'" : "", parent->relation->schema);
	if (near && !is(near, item->target))
		kith_fail_hint(plan->req, "Perhaps you meant '%s' instead of '%.200s'.", near, item->target);
}

static const struct kith_relationship *
find_way(struct kith_plan *plan, const struct kith_node *parent, const struct kith_item *item)
{
	const struct kith_relationship *ways, *found = NULL;
	size_t n = kith_catalog_relationships(plan->catalog, parent->relation, &ways);

	for (size_t i = 0; i < n; i++) {
		if (!means(&ways[i], item->target, item->hint))
			continue;
		if (found) {
			refuse_several(plan, parent, item, ways, n);
			return NULL;
		}
		found = &ways[i];
	}
	if (!found)
		refuse_none(plan, parent, item);
	return found;
}

/*
 * messages(count), which every tutorial has, works though aggregates are off:
 * PostgREST leaves it to PostgreSQL, for which t.count is count(t).
 */
static bool
is_count(const struct kith_relation *r, const struct kith_item *item)
{
	return item->kind == KITH_ITEM_FIELD && !item->field.path && is(item->field.name, "count") &&
	    !kith_catalog_field(r, "count");
}

static struct kith_node *grow(struct kith_plan *plan, struct kith_node *parent, const struct kith_item *item);

static int
add_item(struct kith_plan *plan, struct kith_node *node, const struct kith_item *item, struct kith_node ***last)
{
	struct kith_node *child;

	if (item->kind == KITH_ITEM_COUNT || item->aggregate)
		return kith_fail(plan->req, 400, "PGRST123", "Use of aggregate functions is not allowed");
	if (item->kind == KITH_ITEM_ALL) {
		node->noutputs += node->relation->ncolumns;
		return 0;
	}
	if (item->kind == KITH_ITEM_FIELD) {
		node->counts |= is_count(node->relation, item);
		node->noutputs++;
		return 0;
	}
	child = grow(plan, node, item);
	if (!child)
		return -1;
	**last = child;
	*last = &child->next;
	if (child->noutputs)
		node->noutputs += item->spread ? child->noutputs : 1;
	return 0;
}

static int
add_items(struct kith_plan *plan, struct kith_node *node)
{
	struct kith_node **last = &node->first;

	if (!node->query->select_given && !node->query->items)
		node->noutputs = node->relation->ncolumns;
	for (const struct kith_item *item = node->query->items; item; item = item->next)
		if (add_item(plan, node, item, &last))
			return -1;
	if (node->counts && node->noutputs > 1) {
		kith_fail(plan->req, 400, "42803", "\"count\" cannot be selected together with other columns of '%s'",
		    node->relation->name);
		return kith_fail_hint(plan->req, "Embed the table once more: rows:%s(*),number:%s(count).",
		    node->relation->name, node->relation->name);
	}
	return 0;
}

/* The parser bounds the depth: KITH_QUERY_MAX_EMBEDS. */
static struct kith_node *
grow(struct kith_plan *plan, struct kith_node *parent, const struct kith_item *item)
{
	const struct kith_relationship *way = find_way(plan, parent, item);
	struct kith_node *node;

	if (!way)
		return NULL;
	node = kith_new(plan->req->arena, struct kith_node);
	*node = (struct kith_node){
		.query = item->query,
		.item = item,
		.relation = way->to,
		.way = way,
		.parent = parent,
		.key = item->alias ? item->alias : item->target,
		.number = plan->nodes++,
		.to_many = way->cardinality != KITH_TO_ONE,
	};
	if (item->spread && node->to_many) {
		kith_fail(plan->req, 400, "PGRST119", "A spread operation on '%s' is not possible", item->target);
		kith_fail_details(plan->req, "'%s' and '%s' do not form a many-to-one or one-to-one relationship",
		    parent->relation->name, item->target);
		return NULL;
	}
	return add_items(plan, node) ? NULL : node;
}

struct kith_node *
kith_plan_begin(struct kith_plan *plan, struct kith_request *req, const struct kith_catalog *c,
    const struct kith_relation *r, const struct kith_query *query)
{
	struct kith_node *root = kith_new(req->arena, struct kith_node);

	*plan = (struct kith_plan){ .req = req, .catalog = c, .nodes = 1, .from = kith_plan_from_table };
	root->query = query;
	root->relation = r;
	plan->q = kith_sql_new(req->arena);
	return add_items(plan, root) ? NULL : root;
}

struct kith_sql *
kith_plan_end(struct kith_plan *plan)
{
	if (plan->q->nparams > KITH_SQL_MAX_PARAMS)
		kith_fail(plan->req, 400, "54000", "a request may have at most %d values", KITH_SQL_MAX_PARAMS);
	return plan->req->error.status ? NULL : plan->q;
}

bool
kith_plan_is_among(const char *name, const char *const *names)
{
	for (; names && *names; names++)
		if (is(*names, name))
			return true;
	return false;
}

const struct kith_node *
kith_plan_child(const struct kith_node *node, const char *name)
{
	const struct kith_node *child;

	for (child = node->first; child; child = child->next)
		if (is(child->key, name))
			return child;
	for (child = node->first; child; child = child->next)
		if (is(child->item->target, name))
			return child;
	return NULL;
}
