#include "arena.h"
#include "query_internal.h"
#include "request.h"

/* Eats a whole word: what follows must not make it a longer one. */
static bool
suffix(struct kith_query_text *t, const char *literal)
{
	const char *before = t->p;

	if (!kith_query_eat(t, literal))
		return false;
	if ((*t->p >= 'a' && *t->p <= 'z') || *t->p == '_') {
		t->p = before;
		return false;
	}
	return true;
}

/* [ ".asc" / ".desc" ] [ ".nullsfirst" / ".nullslast" ] */
static int
direction(struct kith_query_text *t, struct kith_order *o)
{
	bool directed = true;

	if (suffix(t, ".desc"))
		o->desc = true;
	else
		directed = suffix(t, ".asc");
	if (suffix(t, ".nullsfirst"))
		o->nulls = KITH_NULLS_FIRST;
	else if (suffix(t, ".nullslast"))
		o->nulls = KITH_NULLS_LAST;
	if (*t->p != '.')
		return 0;
	t->p++;
	if (o->nulls != KITH_NULLS_DEFAULT)
		return kith_query_expected(t, "\",\" or end of input");
	if (directed)
		return kith_query_expected(t, "\"nullsfirst\" or \"nullslast\"");
	return kith_query_expected(t, "\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"");
}

static int
term(struct kith_query_text *t, struct kith_order *o)
{
	if (kith_query_field(t, &o->field) < 0)
		return -1;
	if (!o->field.path && kith_query_eat(t, "(")) {
		o->embed = o->field.name;
		if (kith_query_field(t, &o->field) < 0)
			return -1;
		if (!kith_query_eat(t, ")"))
			return kith_query_expected(t, "\"->>\", \"->\" or \")\"");
	}
	return direction(t, o);
}

int
kith_query_order(struct kith_query_text *t, struct kith_order **order)
{
	do {
		struct kith_order *o = kith_new(t->req->arena, struct kith_order);

		if (term(t, o) < 0)
			return -1;
		*order = o;
		order = &o->next;
		kith_query_blanks(t);
	} while (kith_query_eat(t, ","));
	if (*t->p)
		return kith_query_expected(t, "\"->>\", \"->\", delimiter (.), \",\" or end of input");
	return 0;
}
