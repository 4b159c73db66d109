/*
 * A parsed query string as one line, so that a test can say what it expects.
 *
 *	select=id,m:messages!inner(text)&or=(a.eq.1,b.is.null)&m.limit=3
 *	select(id, m:messages!inner{select(text) limit 3}) where(or(a eq '1'; b is null))
 *
 * Values stand between single quotes, names that are no plain words between
 * double ones; nothing is escaped.
 */
#ifndef KITH_QUERY_DUMP_H
#define KITH_QUERY_DUMP_H

#include <ctype.h>

#include "buf.h"
#include "query.h"

static void dump_query(struct kith_buf *b, const struct kith_query *q);

static void
dump_name(struct kith_buf *b, const char *name)
{
	const char *p = name;

	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	kith_buf_printf(b, *name && !*p ? "%s" : "\"%s\"", name);
}

static void
dump_field(struct kith_buf *b, const struct kith_field *f)
{
	dump_name(b, f->name);
	for (const struct kith_arrow *a = f->path; a; a = a->next) {
		kith_buf_puts(b, a->text ? "->>" : "->");
		if (a->index)
			kith_buf_printf(b, "#%s", a->key);
		else
			dump_name(b, a->key);
	}
}

static void
dump_names(struct kith_buf *b, const char *what, const char *const *names)
{
	kith_buf_printf(b, "%s(", what);
	for (; *names; names++) {
		dump_name(b, *names);
		kith_buf_puts(b, names[1] ? ", " : "");
	}
	kith_buf_puts(b, ") ");
}

static void
dump_item(struct kith_buf *b, const struct kith_item *i)
{
	kith_buf_puts(b, i->spread ? "..." : "");
	if (i->alias) {
		dump_name(b, i->alias);
		kith_buf_puts(b, ":");
	}
	switch (i->kind) {
	case KITH_ITEM_ALL:
		kith_buf_puts(b, "*");
		break;
	case KITH_ITEM_COUNT:
		kith_buf_puts(b, "count()");
		break;
	case KITH_ITEM_FIELD:
		dump_field(b, &i->field);
		break;
	case KITH_ITEM_EMBED:
		dump_name(b, i->target);
		if (i->hint) {
			kith_buf_puts(b, "!");
			dump_name(b, i->hint);
		}
		kith_buf_puts(b, i->join == KITH_JOIN_INNER ? "!inner{" : "{");
		dump_query(b, i->query);
		kith_buf_puts(b, "}");
		break;
	}
	if (i->cast)
		kith_buf_printf(b, "::%s", i->cast);
	if (i->aggregate)
		kith_buf_printf(b, ".%s()", i->aggregate);
	if (i->aggregate_cast)
		kith_buf_printf(b, "::%s", i->aggregate_cast);
}

static void
dump_test(struct kith_buf *b, const struct kith_condition *c)
{
	static const char *const operators[] = { "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match",
		"imatch", "in", "is", "isdistinct", "cs", "cd", "ov", "sl", "sr", "nxl", "nxr", "adj", "fts", "plfts",
		"phfts", "wfts" };
	static const char *const truths[] = { "null", "not_null", "true", "false", "unknown" };
	static const char *const quantifiers[] = { "", " any", " all" };

	dump_field(b, &c->field);
	kith_buf_printf(b, " %s%s", operators[c->op], quantifiers[c->quantifier]);
	if (c->config)
		kith_buf_printf(b, "(%s)", c->config);
	if (c->op == KITH_OP_IS) {
		kith_buf_printf(b, " %s", truths[c->is]);
	} else if (c->op == KITH_OP_IN) {
		kith_buf_puts(b, " [");
		for (const char **v = c->values; *v; v++)
			kith_buf_printf(b, "'%s'%s", *v, v[1] ? ", " : "");
		kith_buf_puts(b, "]");
	} else {
		kith_buf_printf(b, " '%s'", c->value);
	}
}

static void
dump_conditions(struct kith_buf *b, const struct kith_condition *c)
{
	for (; c; c = c->next) {
		kith_buf_puts(b, c->negated ? "not " : "");
		if (c->kind == KITH_COND_TEST) {
			dump_test(b, c);
		} else {
			kith_buf_puts(b, c->kind == KITH_COND_AND ? "and(" : "or(");
			dump_conditions(b, c->first);
			kith_buf_puts(b, ")");
		}
		kith_buf_puts(b, c->next ? "; " : "");
	}
}

static void
dump_order(struct kith_buf *b, const struct kith_order *o)
{
	static const char *const nulls[] = { "", " nulls first", " nulls last" };

	for (; o; o = o->next) {
		if (o->embed) {
			dump_name(b, o->embed);
			kith_buf_puts(b, ".");
		}
		dump_field(b, &o->field);
		kith_buf_printf(b, "%s%s%s", o->desc ? " desc" : "", nulls[o->nulls], o->next ? ", " : "");
	}
}

/* Each part leaves a blank behind itself; the last one is taken away again. */
static void
dump_query(struct kith_buf *b, const struct kith_query *q)
{
	size_t before = b->len;

	if (q->select_given) {
		kith_buf_puts(b, "select(");
		for (const struct kith_item *i = q->items; i; i = i->next) {
			dump_item(b, i);
			kith_buf_puts(b, i->next ? ", " : "");
		}
		kith_buf_puts(b, ") ");
	}
	if (q->where) {
		kith_buf_puts(b, "where(");
		dump_conditions(b, q->where);
		kith_buf_puts(b, ") ");
	}
	if (q->order) {
		kith_buf_puts(b, "order(");
		dump_order(b, q->order);
		kith_buf_puts(b, ") ");
	}
	if (q->limit)
		kith_buf_printf(b, "limit %s ", q->limit);
	if (q->offset)
		kith_buf_printf(b, "offset %s ", q->offset);
	if (b->len > before)
		b->s[--b->len] = '\0';
}

static const char *
dump_query_string(struct kith_arena *a, const struct kith_query_string *qs)
{
	struct kith_buf b;

	kith_buf_init(&b, a, 0);
	dump_query(&b, &qs->query);
	kith_buf_puts(&b, " ");
	if (qs->columns)
		dump_names(&b, "columns", qs->columns);
	if (qs->on_conflict)
		dump_names(&b, "on_conflict", qs->on_conflict);
	if (qs->arguments) {
		kith_buf_puts(&b, "call(");
		for (const struct kith_argument *i = qs->arguments; i; i = i->next) {
			dump_name(&b, i->name);
			kith_buf_printf(&b, " '%s'%s", i->value, i->next ? ", " : "");
		}
		kith_buf_puts(&b, ") ");
	}
	b.s[--b.len] = '\0';
	return *b.s == ' ' ? b.s + 1 : b.s;
}

#endif
