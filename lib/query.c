#include "query.h"

#include <string.h>

#include "arena.h"
#include "query_internal.h"
#include "request.h"

#define ECHO_NAME 60

/* One key=value of the query string, decoded. */
struct pair {
	const char *key;
	const char *value;
	enum role {
		FILTER,
		SELECT,
		COLUMNS,
		ON_CONFLICT,
		/* these may be said of an embed too: messages.order */
		ORDER,
		LIMIT,
		OFFSET,
		AND,
		OR,
	} role;
};

static enum role
role_of(const char *key)
{
	static const struct {
		const char *name;
		enum role role;
	} whole[] = { { "select", SELECT }, { "columns", COLUMNS }, { "on_conflict", ON_CONFLICT } },
	  last[] = { { "order", ORDER }, { "limit", LIMIT }, { "offset", OFFSET }, { "and", AND }, { "or", OR } };
	const char *dot = strrchr(key, '.');

	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		if (!strcmp(key, whole[i].name))
			return whole[i].role;
	}
	if (dot)
		key = dot + 1;
	for (size_t i = 0; i < sizeof(last) / sizeof(*last); i++) {
		if (!strcmp(key, last[i].name))
			return last[i].role;
	}
	return FILTER;
}

static struct kith_query_text
text(struct kith_request *req, const char *what, const char *s, const char *key)
{
	return (struct kith_query_text){ .req = req, .what = what, .key = key, .start = s, .p = s };
}

/* Decodes key=value, of which key_len and len bytes are given. */
static int
read_parameter(struct kith_request *req, const char *p, size_t key_len, size_t len, struct pair *pair)
{
	pair->key = kith_request_decode(req, p, key_len, true, "query parameter");
	if (!pair->key)
		return -1;
	if (key_len == len) {
		struct kith_query_text t = text(req, "query parameter", pair->key, NULL);

		t.p += strlen(t.p);
		return kith_query_expected(&t, "\"=\"");
	}
	pair->value = kith_request_decode(req, p + key_len + 1, len - key_len - 1, true, "query parameter");
	if (!pair->value)
		return -1;
	pair->role = role_of(pair->key);
	return 0;
}

/* All parameters in their order, and how many. */
static struct pair *
split(struct kith_request *req, size_t *n)
{
	struct pair *pairs;
	size_t most = 1;
	size_t len;

	for (const char *p = req->query; *p; p++)
		most += *p == '&';
	pairs = kith_new_array(req->arena, struct pair, most);
	*n = 0;
	for (const char *p = req->query; *p; p += len + (p[len] == '&')) {
		len = strcspn(p, "&");
		if (!len)
			continue;
		if (read_parameter(req, p, strcspn(p, "=&"), len, &pairs[*n]) < 0)
			return NULL;
		++*n;
	}
	return pairs;
}

/* The embed that a path means: its alias, or its table if no other embed is shown under that name. */
static struct kith_query *
find_embed(const struct kith_query *query, const char *name)
{
	struct kith_query *by_target = NULL;

	for (struct kith_item *i = query->items; i; i = i->next) {
		if (i->kind != KITH_ITEM_EMBED)
			continue;
		if (!strcmp(i->alias ? i->alias : i->target, name))
			return i->query;
		if (!by_target && !strcmp(i->target, name))
			by_target = i->query;
	}
	return by_target;
}

static int
not_embedded(struct kith_request *req, const char *name)
{
	name = kith_query_excerpt(req, name, ECHO_NAME);
	kith_fail(req, 400, "PGRST108", "'%s' is not an embedded resource in this request", name);
	return kith_fail_hint(req, "Verify that '%s' is included in the 'select' query parameter.", name);
}

/* Whose query a key speaks about, and what its last segment is. */
struct address {
	struct kith_query *query;
	struct kith_field field;
	bool negated; /* not.or, not.and */
};

static int
read_key(struct kith_request *req, struct kith_query *root, const struct pair *pair, struct address *at)
{
	struct kith_query_text t = text(req, "tree path", pair->key, NULL);

	at->query = root;
	for (;;) {
		const char *name = kith_query_name(&t);

		if (!name)
			return -1;
		at->field.name = name;
		if (!kith_query_eat(&t, "."))
			break;
		at->negated = !strcmp(name, "not") && (!strcmp(t.p, "or") || !strcmp(t.p, "and"));
		if (at->negated)
			return 0;
		at->query = find_embed(at->query, name);
		if (!at->query)
			return not_embedded(req, name);
	}
	if (pair->role == FILTER && kith_query_path(&t, &at->field.path) < 0)
		return -1;
	return *t.p ? kith_query_expected(&t, "\"->>\", \"->\", delimiter (.) or end of input") : 0;
}

static void
prepend(struct kith_query_string *qs, struct kith_query *query, struct kith_condition *c)
{
	c->next = query->where;
	query->where = c;
	if (query == &qs->query)
		qs->filtered = true;
}

static int
read_filter(struct kith_query_string *qs, struct kith_query_text *t, const struct address *at, bool arguments)
{
	struct kith_condition *c = kith_new(t->req->arena, struct kith_condition);
	const char *expected = kith_query_operator(t, c);

	if (expected && arguments && at->query == &qs->query && !at->field.path) {
		struct kith_argument *argument = kith_new(t->req->arena, struct kith_argument);

		argument->name = at->field.name;
		argument->value = t->start;
		argument->next = qs->arguments;
		qs->arguments = argument;
		return 0;
	}
	if (expected)
		return kith_query_expected(t, expected);
	c->field = at->field;
	if (kith_query_value(t, c) < 0)
		return -1;
	prepend(qs, at->query, c);
	return 0;
}

static int
read_logic(struct kith_query_string *qs, struct kith_query_text *t, const struct address *at, enum role role)
{
	struct kith_condition *c = kith_new(t->req->arena, struct kith_condition);

	c->kind = role == AND ? KITH_COND_AND : KITH_COND_OR;
	c->negated = at->negated;
	if (kith_query_logic(t, c) < 0)
		return -1;
	prepend(qs, at->query, c);
	return 0;
}

/* A bigint from 0 upwards, as decimal text without leading zeros. */
static int
read_count(struct kith_query_text *t, const char **count)
{
	static const char most[] = "9223372036854775807";
	bool negative = kith_query_eat(t, "-");
	const char *digits = t->p;
	size_t n = strspn(digits, "0123456789");

	t->p += n;
	if (!n || *t->p)
		return kith_query_expected(t, "integer");
	while (*digits == '0' && n > 1) {
		digits++;
		n--;
	}
	if (negative && strcmp(digits, "0") != 0) {
		kith_fail(t->req, 416, "PGRST103", "Requested range not satisfiable");
		return kith_fail_details(t->req, "%s should be greater than or equal to zero.",
		    !strcmp(t->what, "limit") ? "Limit" : "Offset");
	}
	if (n > strlen(most) || (n == strlen(most) && strcmp(digits, most) > 0))
		return kith_query_refuse(t, "The number is larger than 9223372036854775807.");
	*count = digits;
	return 0;
}

/* name *( "," name ), each name once. */
static int
read_names(struct kith_query_text *t, const char ***names)
{
	const char **list;
	size_t n = 0;
	size_t most = 1;

	for (const char *p = t->p; *p && most < KITH_QUERY_MAX_COLUMNS; p++)
		most += *p == ',';
	list = kith_new_array(t->req->arena, const char *, most + 1);
	do {
		const char *name = kith_query_name(t);
		size_t i = 0;

		if (!name)
			return -1;
		while (i < n && strcmp(list[i], name) != 0)
			i++;
		if (i == KITH_QUERY_MAX_COLUMNS)
			return kith_query_refuse(t, "A table has at most 1600 columns.");
		if (i == n)
			list[n++] = name;
	} while (kith_query_eat(t, ","));
	if (*t->p)
		return kith_query_expected(t, "\",\" or end of input");
	*names = list;
	return 0;
}

static int
read_pair(struct kith_request *req, struct kith_query_string *qs, const struct pair *pair, bool arguments)
{
	static const char *const what[] = {
		[FILTER] = "filter",
		[COLUMNS] = "columns parameter",
		[ON_CONFLICT] = "on_conflict parameter",
		[ORDER] = "order",
		[LIMIT] = "limit",
		[OFFSET] = "offset",
		[AND] = "logic tree",
		[OR] = "logic tree",
		[SELECT] = "select parameter",
	};
	struct kith_query_text t = text(req, what[pair->role], pair->value, pair->key);
	struct address at = { .query = NULL };
	struct kith_order *order = NULL;

	switch (pair->role) {
	case SELECT:
		return 0;
	case COLUMNS:
		return read_names(&t, &qs->columns);
	case ON_CONFLICT:
		return read_names(&t, &qs->on_conflict);
	default:
		break;
	}
	if (read_key(req, &qs->query, pair, &at) < 0)
		return -1;
	switch (pair->role) {
	case ORDER:
		if (kith_query_order(&t, &order) < 0)
			return -1;
		at.query->order = order;
		return 0;
	case LIMIT:
		return at.query->limit ? 0 : read_count(&t, &at.query->limit);
	case OFFSET:
		return at.query->offset ? 0 : read_count(&t, &at.query->offset);
	case AND:
	case OR:
		return read_logic(qs, &t, &at, pair->role);
	default:
		return read_filter(qs, &t, &at, arguments);
	}
}

struct kith_query_string *
kith_query_parse(struct kith_request *req, bool arguments)
{
	struct kith_query_string *qs = kith_new(req->arena, struct kith_query_string);
	struct pair *pairs;
	size_t n;

	if (strlen(req->query) > KITH_QUERY_MAX_LENGTH) {
		kith_fail(req, 414, "PGRST100", "query string is longer than %d bytes", KITH_QUERY_MAX_LENGTH);
		return NULL;
	}
	pairs = split(req, &n);
	if (!pairs)
		return NULL;
	/* What is said about embeds needs the tree of them. */
	for (size_t i = 0; i < n; i++) {
		struct kith_query_text t = text(req, "select parameter", pairs[i].value, "select");

		if (pairs[i].role != SELECT)
			continue;
		if (kith_query_select(&t, &qs->query) < 0)
			return NULL;
		break;
	}
	/* From last to first: lists then grow at their heads, and the first order is the one that stays. */
	for (size_t i = n; i-- > 0;) {
		if (read_pair(req, qs, &pairs[i], arguments) < 0)
			return NULL;
	}
	return qs;
}
