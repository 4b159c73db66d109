#include <string.h>

#include "arena.h"
#include "query_internal.h"
#include "request.h"

static int items(struct kith_query_text *t, struct kith_query *query, int depth);

/* *2( "!" modifier ): a join type and a hint, in either order. */
static int
modifiers(struct kith_query_text *t, struct kith_item *item)
{
	bool joined = false;

	while (kith_query_eat(t, "!")) {
		const char *start = t->p;
		const char *name = kith_query_name(t);
		bool inner;

		if (!name)
			return -1;
		inner = !strcmp(name, "inner");
		if (inner || !strcmp(name, "left")) {
			if (joined) {
				t->p = start;
				return kith_query_expected(t, "one of \"inner\" and \"left\"");
			}
			joined = true;
			item->join = inner ? KITH_JOIN_INNER : KITH_JOIN_LEFT;
		} else {
			if (item->hint) {
				t->p = start;
				return kith_query_expected(t, "\"inner\" or \"left\"");
			}
			item->hint = name;
		}
	}
	return 0;
}

/* What follows the target's name: modifiers and "(" select ")" */
static int
embed(struct kith_query_text *t, struct kith_item *item, const char *target, int depth)
{
	item->kind = KITH_ITEM_EMBED;
	item->target = target;
	item->query = kith_new(t->req->arena, struct kith_query);
	if (modifiers(t, item) < 0)
		return -1;
	if (!kith_query_eat(t, "("))
		return kith_query_expected(t, "\"!\" or \"(\"");
	if (depth == KITH_QUERY_MAX_EMBEDS)
		return kith_query_refuse(t, "Embedded tables are nested at most 10 deep.");
	if (items(t, item->query, depth + 1) < 0)
		return -1;
	if (!kith_query_eat(t, ")"))
		return kith_query_expected(t, "\",\" or \")\"");
	return 0;
}

/* [ "::" cast ] */
static int
cast(struct kith_query_text *t, const char **name)
{
	if (!kith_query_eat(t, "::"))
		return 0;
	*name = kith_query_cast(t);
	return *name ? 0 : -1;
}

/* [ "." agg "()" ] */
static int
aggregate(struct kith_query_text *t, struct kith_item *item)
{
	static const char *const names[] = { "sum", "avg", "count", "min", "max" };
	const char *start = t->p;

	if (!kith_query_eat(t, "."))
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (kith_query_eat(t, names[i]) && kith_query_eat(t, "()")) {
			item->aggregate = names[i];
			return 0;
		}
		t->p = start + 1;
	}
	return kith_query_expected(t, "\"sum()\", \"avg()\", \"count()\", \"min()\" or \"max()\"");
}

/* What follows a column's name: [ jsonpath ] [ "::" cast ] [ "." agg "()" ] [ "::" cast ] */
static int
field(struct kith_query_text *t, struct kith_item *item, const char *name)
{
	item->kind = KITH_ITEM_FIELD;
	item->field.name = name;
	if (kith_query_path(t, &item->field.path) < 0 || cast(t, &item->cast) < 0 || aggregate(t, item) < 0)
		return -1;
	if (item->aggregate && cast(t, &item->aggregate_cast) < 0)
		return -1;
	return 0;
}

static int
one_item(struct kith_query_text *t, struct kith_item *item, int depth)
{
	const char *name;

	if (kith_query_eat(t, "*")) {
		item->kind = KITH_ITEM_ALL;
		return 0;
	}
	item->spread = kith_query_eat(t, "...");
	name = kith_query_name(t);
	if (!name)
		return -1;
	if (item->spread)
		return embed(t, item, name, depth);
	if (*t->p == ':' && t->p[1] != ':') {
		t->p++;
		item->alias = name;
		name = kith_query_name(t);
		if (!name)
			return -1;
	}
	if (!strcmp(name, "count") && kith_query_eat(t, "()")) {
		item->kind = KITH_ITEM_COUNT;
		return cast(t, &item->aggregate_cast);
	}
	if (*t->p == '!' || *t->p == '(')
		return embed(t, item, name, depth);
	return field(t, item, name);
}

/* [ item *( "," item ) ], up to the end or the closing bracket of an embed. */
static int
items(struct kith_query_text *t, struct kith_query *query, int depth)
{
	struct kith_item **tail = &query->items;

	query->select_given = true;
	kith_query_blanks(t);
	if (!*t->p || *t->p == ')')
		return 0;
	do {
		struct kith_item *item = kith_new(t->req->arena, struct kith_item);

		kith_query_blanks(t);
		if (one_item(t, item, depth) < 0)
			return -1;
		*tail = item;
		tail = &item->next;
		kith_query_blanks(t);
	} while (kith_query_eat(t, ","));
	return 0;
}

int
kith_query_select(struct kith_query_text *t, struct kith_query *query)
{
	if (items(t, query, 0) < 0)
		return -1;
	if (*t->p)
		return kith_query_expected(t, "\"->>\", \"->\", \"::\", \".\", \"!\", \"(\", \",\" or end of input");
	return 0;
}
