/*
 * The select list: names in the order of select=, every value in a form that C
 * (at the root) or row_to_json (in embeds) turns into the right JSON.
 */
#include <string.h>

#include "error.h"
#include "plan_internal.h"
#include "request.h"

static void
write_as(struct kith_plan *plan, const char *name)
{
	kith_sql_text(plan->q, " as ");
	kith_sql_ident(plan->q, name);
}

/* In embeds PostgreSQL makes the JSON itself, whatever the type. */
static bool
wants_to_json(const struct kith_node *node, enum kith_form form)
{
	return !node->parent && !node->query->as_text && form == KITH_FORM_TO_JSON;
}

static void
write_column(struct kith_plan *plan, const struct kith_node *node, const struct kith_column *column, const char *key)
{
	struct kith_sql *q = plan->q;
	bool wrapped = true;

	if (column->type.form == KITH_FORM_VECTOR)
		kith_sql_text(q, "extensions.vector_out(");
	else if (wants_to_json(node, column->type.form))
		kith_sql_text(q, "to_json(");
	else
		wrapped = false;
	kith_plan_value(plan, node, column);
	if (wrapped)
		kith_sql_text(q, ")");
	if (wrapped || column->function || strcmp(key, column->name) != 0)
		write_as(plan, key);
}

/* metadata->usage->>0 is called "usage": the last step with a name. */
static const char *
default_key(const struct kith_field *field)
{
	const char *key = field->name;

	for (const struct kith_arrow *arrow = field->path; arrow; arrow = arrow->next)
		if (!arrow->index)
			key = arrow->key;
	return key;
}

static const char *
item_key(const struct kith_item *item)
{
	return item->alias ? item->alias : default_key(&item->field);
}

static const struct kith_type *
find_cast(struct kith_plan *plan, const char *name)
{
	const struct kith_type *type = kith_catalog_cast(plan->catalog, name);

	if (!type)
		kith_fail(plan->req, 400, "42704", "type \"%.200s\" does not exist", name);
	return type;
}

static void
open_cast(struct kith_plan *plan, const struct kith_type *cast)
{
	if (cast)
		kith_sql_text(plan->q, "cast(");
}

static void
close_cast(struct kith_plan *plan, const struct kith_type *cast)
{
	if (!cast)
		return;
	kith_sql_text(plan->q, " as ");
	kith_sql_catalog_type(plan->q, cast->name);
	kith_sql_text(plan->q, ")");
}

static void
write_field(struct kith_plan *plan, const struct kith_node *node, const struct kith_item *item)
{
	const struct kith_type *cast = item->cast ? find_cast(plan, item->cast) : NULL;
	const struct kith_column *column = kith_plan_column(plan, node->relation, item->field.name);
	bool to_json = cast && wants_to_json(node, cast->form);
	bool from_vector = column && !item->field.path && column->type.form == KITH_FORM_VECTOR;

	if (!column)
		return;
	if (!item->field.path && !cast) {
		write_column(plan, node, column, item_key(item));
		return;
	}
	if (to_json)
		kith_sql_text(plan->q, "to_json(");
	open_cast(plan, cast);
	if (from_vector)
		kith_sql_text(plan->q, "extensions.vector_out(");
	kith_plan_field(plan, node, &item->field);
	if (from_vector)
		kith_sql_text(plan->q, ")");
	close_cast(plan, cast);
	if (to_json)
		kith_sql_text(plan->q, ")");
	write_as(plan, item_key(item));
}

static void
write_count(struct kith_plan *plan, const struct kith_item *item)
{
	const struct kith_type *cast = item->cast ? find_cast(plan, item->cast) : NULL;

	open_cast(plan, cast);
	kith_sql_text(plan->q, "count(*)");
	close_cast(plan, cast);
	write_as(plan, item_key(item));
}

static void
write_all(struct kith_plan *plan, const struct kith_node *node, bool *first)
{
	const struct kith_relation *r = node->relation;

	for (size_t i = 0; i < r->ncolumns; i++) {
		kith_plan_comma(plan, first);
		write_column(plan, node, &r->columns[i], r->columns[i].name);
	}
}

/* One name of an embed's rows, hoisted into those of a parent. */
static void
hoist(struct kith_plan *plan, const struct kith_node *from, const struct kith_node *into, const char *key,
    enum kith_form form, bool *first)
{
	bool to_json = wants_to_json(into, form);

	kith_plan_comma(plan, first);
	if (to_json)
		kith_sql_text(plan->q, "to_json(");
	kith_plan_embed_name(plan, from);
	kith_sql_text(plan->q, ".");
	kith_sql_ident(plan->q, key);
	if (to_json) {
		kith_sql_text(plan->q, ")");
		write_as(plan, key);
	}
}

static enum kith_form
item_form(struct kith_plan *plan, const struct kith_node *node, const struct kith_item *item)
{
	const struct kith_column *column;
	const struct kith_type *cast;

	if (item->cast) {
		cast = find_cast(plan, item->cast);
		return cast ? cast->form : KITH_FORM_PLAIN;
	}
	column = item->field.path ? NULL : kith_catalog_field(node->relation, item->field.name);
	return column ? column->type.form : KITH_FORM_PLAIN;
}

/* The names that a spread embed's rows have; from is the one whose subselect they are joined by. */
static void
write_spread(struct kith_plan *plan, const struct kith_node *from, const struct kith_node *node,
    const struct kith_node *into, bool *first)
{
	static const struct kith_item all = { .kind = KITH_ITEM_ALL };
	const struct kith_item *item = node->query->items;
	const struct kith_node *child = node->first;

	if (!item && !node->query->select_given)
		item = &all;
	for (; item; item = item->next) {
		if (item->kind == KITH_ITEM_ALL) {
			for (size_t i = 0; i < node->relation->ncolumns; i++)
				hoist(plan, from, into, node->relation->columns[i].name,
				    node->relation->columns[i].type.form, first);
		} else if (item->kind == KITH_ITEM_FIELD) {
			hoist(plan, from, into, item_key(item), item_form(plan, node, item), first);
		} else {
			if (child->noutputs && item->spread)
				write_spread(plan, from, child, into, first);
			else if (child->noutputs)
				hoist(plan, from, into, child->key, KITH_FORM_PLAIN, first);
			child = child->next;
		}
	}
}

static void
write_embed(struct kith_plan *plan, const struct kith_node *child, bool *first)
{
	if (!child->noutputs)
		return;
	if (child->item->spread) {
		write_spread(plan, child, child, child->parent, first);
		return;
	}
	kith_plan_comma(plan, first);
	if (child->to_many) {
		kith_sql_text(plan->q, "coalesce(");
		kith_plan_embed_name(plan, child);
		kith_sql_text(plan->q, ".\"rows\", '[]')");
	} else {
		kith_sql_text(plan->q, "row_to_json(");
		kith_plan_embed_name(plan, child);
		kith_sql_text(plan->q, ".*)");
	}
	write_as(plan, child->key);
}

void
kith_plan_outputs(struct kith_plan *plan, const struct kith_node *node)
{
	const struct kith_node *child = node->first;
	bool first = true;

	if (!node->query->select_given && !node->query->items)
		write_all(plan, node, &first);
	for (const struct kith_item *item = node->query->items; item; item = item->next) {
		if (item->kind == KITH_ITEM_ALL) {
			write_all(plan, node, &first);
		} else if (item->kind == KITH_ITEM_EMBED) {
			write_embed(plan, child, &first);
			child = child->next;
		} else {
			kith_plan_comma(plan, &first);
			if (node->counts)
				write_count(plan, item);
			else
				write_field(plan, node, item);
		}
	}
}
