/*
 * Goal: whatever the query string, the parser ends, and what it returns keeps
 * the promises of its header: bounded depth, no missing name, UTF-8 throughout;
 * or a 4xx that echoes little.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "query.h"
#include "request.h"
#include "utf8.h"

/* The most that is said besides what is echoed. */
#define MOST_WORDS 300
#define MOST_ECHO 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_query(const struct kith_query *q, int depth);

static void
must(bool true_by_contract)
{
	if (!true_by_contract)
		abort();
}

static void
check_text(const char *s)
{
	must(s && kith_utf8_valid(s, strlen(s)));
}

static void
check_name(const char *s)
{
	check_text(s);
	must(*s);
}

static void
check_optional(const char *s)
{
	if (s)
		check_name(s);
}

static void
check_field(const struct kith_field *f)
{
	int n = 0;

	check_name(f->name);
	for (const struct kith_arrow *a = f->path; a; a = a->next) {
		const char *digits = a->key + (a->index && *a->key == '-');

		check_text(a->key);
		must(!a->index || (*digits && !digits[strspn(digits, "0123456789")]));
		must(++n <= KITH_QUERY_MAX_PATH);
	}
}

static void
check_cast(const char *cast)
{
	check_optional(cast);
	for (; cast && *cast; cast++)
		must(!strchr("\"'\\;()[],.:-/*%+=<>!?@#^&|~`{}\t\n", *cast));
}

static void
check_conditions(const struct kith_condition *c, int depth)
{
	must(depth <= KITH_QUERY_MAX_LOGIC);
	for (; c; c = c->next) {
		if (c->kind != KITH_COND_TEST) {
			must(c->first != NULL);
			check_conditions(c->first, depth + 1);
			continue;
		}
		check_field(&c->field);
		check_optional(c->config);
		if (c->op == KITH_OP_IN) {
			must(c->values != NULL);
			for (const char **v = c->values; *v; v++)
				check_text(*v);
		} else if (c->op != KITH_OP_IS) {
			check_text(c->value);
		}
	}
}

static void
check_item(const struct kith_item *i, int depth)
{
	check_optional(i->alias);
	check_cast(i->cast);
	check_cast(i->aggregate_cast);
	if (i->kind == KITH_ITEM_FIELD) {
		check_field(&i->field);
	} else if (i->kind == KITH_ITEM_EMBED) {
		check_name(i->target);
		check_optional(i->hint);
		must(i->query && i->query->select_given);
		check_query(i->query, depth + 1);
	}
}

static void
check_count(const char *count)
{
	must(!count || (*count && strlen(count) <= 19 && !count[strspn(count, "0123456789")]));
}

static void
check_query(const struct kith_query *q, int depth)
{
	must(depth <= KITH_QUERY_MAX_EMBEDS);
	for (const struct kith_item *i = q->items; i; i = i->next)
		check_item(i, depth);
	check_conditions(q->where, 0);
	for (const struct kith_order *o = q->order; o; o = o->next) {
		check_optional(o->embed);
		check_field(&o->field);
	}
	check_count(q->limit);
	check_count(q->offset);
}

static void
check_names(const char **names)
{
	if (names)
		must(*names != NULL);
	for (; names && *names; names++)
		check_name(*names);
}

static void
check_error(const struct kith_error *e)
{
	size_t n;

	must(e->status == 400 || e->status == 414 || e->status == 416);
	check_text(e->code);
	check_text(e->message);
	check_optional(e->details);
	check_optional(e->hint);
	n = strlen(e->message) + (e->details ? strlen(e->details) : 0) + (e->hint ? strlen(e->hint) : 0);
	must(n <= MOST_WORDS + MOST_ECHO);
}

static void
try(struct kith_arena *a, const char *query, bool arguments)
{
	static const struct kith_header none = { NULL, NULL };
	struct kith_request req = { .arena = a, .query = query, .headers = &none, .fd = -1 };
	const struct kith_query_string *qs = kith_query_parse(&req, arguments);

	if (!qs) {
		check_error(&req.error);
	} else {
		must(!req.error.status);
		check_query(&qs->query, 0);
		check_names(qs->columns);
		check_names(qs->on_conflict);
		must(qs->filtered == (qs->query.where != NULL));
		must(arguments || !qs->arguments);
		for (const struct kith_argument *i = qs->arguments; i; i = i->next) {
			check_name(i->name);
			check_text(i->value);
		}
	}
	kith_arena_reset(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_arena *a = kith_arena_new(0);
	char *query = malloc(size + 1);

	if (!query)
		abort();
	memcpy(query, data, size);
	query[size] = '\0';
	try(a, query, false);
	try(a, query, true);
	free(query);
	kith_arena_free(a);
	return 0;
}
