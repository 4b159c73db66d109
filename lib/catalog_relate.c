/*
 * Relationships: from foreign keys, through views that show the columns of
 * one, and across junction tables.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog_internal.h"

#define MAX_KEY 32	/* PostgreSQL's INDEX_MAX_KEYS */
#define MAX_VIEWS 10	/* views upon views */

struct key {
	unsigned table;
	char kind;	/* p, u, f */
	const char *name;
	int columns[MAX_KEY];
	int ncolumns;
	unsigned target;	/* of a foreign key */
	int target_columns[MAX_KEY];
};

struct relate {
	struct kith_build *b;
	struct key *keys;
	size_t nkeys;
	struct kith_relationship *found;	/* in scratch */
	size_t nfound;
	size_t room;
};

static unsigned
number(const PGresult *rows, int row, int column)
{
	return (unsigned)strtoul(PQgetvalue(rows, row, column), NULL, 10);
}

/* "1 2 3" */
static int
read_numbers(int *out, const char *s)
{
	int n = 0;

	while (*s && n < MAX_KEY) {
		char *end;

		out[n++] = (int)strtol(s, &end, 10);
		s = end;
	}
	return n;
}

static void
read_keys(struct relate *r, const PGresult *rows)
{
	enum { TABLE, KIND, NAME, COLUMNS, TARGET, TARGET_COLUMNS };

	r->nkeys = (size_t)PQntuples(rows);
	r->keys = kith_new_array(r->b->scratch, struct key, r->nkeys);
	for (int i = 0; i < (int)r->nkeys; i++) {
		struct key *key = &r->keys[i];

		key->table = number(rows, i, TABLE);
		key->kind = *PQgetvalue(rows, i, KIND);
		key->name = PQgetvalue(rows, i, NAME);
		key->ncolumns = read_numbers(key->columns, PQgetvalue(rows, i, COLUMNS));
		key->target = number(rows, i, TARGET);
		read_numbers(key->target_columns, PQgetvalue(rows, i, TARGET_COLUMNS));
	}
}

static size_t
column_index(const struct kith_draft *draft, int attnum)
{
	size_t i = 0;

	while (i < draft->relation->ncolumns && draft->attnums[i] != attnum)
		i++;
	return i;
}

/* Follows views upon views down to the tables. */
static void
settle_origin(struct kith_build *b, struct kith_origin *origin)
{
	for (int i = 0; i < MAX_VIEWS && origin->table; i++) {
		const struct kith_draft *below = kith_catalog_draft(b, origin->table);
		size_t column;

		if (!below || !below->origins)
			return;
		column = column_index(below, origin->attnum);
		*origin = column < below->relation->ncolumns ? below->origins[column] : (struct kith_origin){ 0, 0 };
	}
}

static void
read_views(struct kith_build *b, const PGresult *rows)
{
	enum { VIEW, PLACE, TABLE, COLUMN };

	for (int i = 0; i < PQntuples(rows); i++) {
		struct kith_draft *view = kith_catalog_draft(b, number(rows, i, VIEW));
		size_t column;

		if (!view)
			continue;
		if (!view->origins)
			view->origins = kith_new_array(b->scratch, struct kith_origin, view->relation->ncolumns);
		column = column_index(view, (int)number(rows, i, PLACE));
		if (column < view->relation->ncolumns)
			view->origins[column] = (struct kith_origin){
				number(rows, i, TABLE), (int)number(rows, i, COLUMN)
			};
	}
	for (size_t i = 0; i < b->ndrafts; i++)
		for (size_t k = 0; b->drafts[i].origins && k < b->drafts[i].relation->ncolumns; k++)
			settle_origin(b, &b->drafts[i].origins[k]);
}

/* The name under which the relation shows a table's column; NULL when it does not. */
static const char *
shown(const struct kith_draft *draft, unsigned table, int attnum)
{
	for (size_t i = 0; i < draft->relation->ncolumns; i++)
		if (draft->origins ? draft->origins[i].table == table && draft->origins[i].attnum == attnum :
				     draft->attnums[i] == attnum)
			return draft->relation->columns[i].name;
	return NULL;
}

/* The names of all of a key's columns in the relation, ending with NULL; NULL when one is not shown. */
static const char **
shown_key(struct kith_build *b, const struct kith_draft *draft, unsigned table, const int *columns, int n)
{
	const char *names[MAX_KEY + 1] = { NULL };
	const char **copy;

	if (!draft->exposed || (!draft->origins && draft->oid != table))
		return NULL;
	for (int i = 0; i < n; i++) {
		names[i] = shown(draft, table, columns[i]);
		if (!names[i])
			return NULL;
	}
	copy = kith_new_array(b->catalog->arena, const char *, (size_t)n + 1);
	memcpy(copy, names, ((size_t)n + 1) * sizeof(*copy));
	return copy;
}

static void
find_primary_keys(struct relate *r)
{
	struct kith_build *b = r->b;

	for (size_t i = 0; i < b->ndrafts; i++)
		for (size_t k = 0; k < r->nkeys; k++) {
			const struct key *key = &r->keys[k];
			const char **names;

			if (key->kind != 'p' || *b->drafts[i].relation->primary_key)
				continue;
			names = shown_key(b, &b->drafts[i], key->table, key->columns, key->ncolumns);
			if (names)
				b->drafts[i].relation->primary_key = names;
		}
}

static bool
same_columns(const struct key *a, const struct key *b)
{
	int same = 0;

	for (int i = 0; i < a->ncolumns; i++)
		for (int k = 0; k < b->ncolumns; k++)
			same += a->columns[i] == b->columns[k];
	return a->ncolumns == b->ncolumns && same == a->ncolumns;
}

/* True when a foreign key's columns are also a primary key or unique: at most one row points to another. */
static bool
is_unique(const struct relate *r, const struct key *foreign)
{
	for (size_t i = 0; i < r->nkeys; i++)
		if (r->keys[i].table == foreign->table && r->keys[i].kind != 'f' && same_columns(&r->keys[i], foreign))
			return true;
	return false;
}

static void
add(struct relate *r, struct kith_relationship relationship)
{
	if (r->nfound == r->room) {
		size_t room = r->room ? r->room * 2 : 64;

		r->found = kith_realloc(r->b->scratch, r->found, r->nfound * sizeof(*r->found),
		    room * sizeof(*r->found));
		r->room = room;
	}
	r->found[r->nfound++] = relationship;
}

/*
 * Within a schema everything may meet.  Across schemas only the key's own
 * tables do, and only where nothing nearer has the other's name: a schema of
 * views over tables is closed in itself.
 */
static bool
may_meet(const struct kith_build *b, const struct key *key, const struct kith_draft *from, const struct kith_draft *to)
{
	const struct kith_relation *f = from->relation, *t = to->relation;

	if (!strcmp(f->schema, t->schema))
		return true;
	return from->oid == key->table && to->oid == key->target &&
	    !kith_catalog_relation(b->catalog, f->schema, t->name) &&
	    !kith_catalog_relation(b->catalog, t->schema, f->name);
}

/* The relationships of one foreign key: of its tables, and of the views that show its columns. */
static void
relate_key(struct relate *r, const struct key *key)
{
	struct kith_build *b = r->b;
	const char *name = NULL;

	for (size_t i = 0; i < b->ndrafts; i++) {
		const struct kith_draft *from = &b->drafts[i];
		const char **from_columns = shown_key(b, from, key->table, key->columns, key->ncolumns);

		for (size_t k = 0; from_columns && k < b->ndrafts; k++) {
			const struct kith_draft *to = &b->drafts[k];
			const char **to_columns;

			if (!may_meet(b, key, from, to))
				continue;
			to_columns = shown_key(b, to, key->target, key->target_columns, key->ncolumns);
			if (!to_columns)
				continue;
			if (!name)
				name = kith_strdup(b->catalog->arena, key->name);
			add(r, (struct kith_relationship){
				.from = from->relation, .to = to->relation, .cardinality = KITH_TO_ONE, .forward = true,
				.constraint = name, .from_columns = from_columns, .to_columns = to_columns,
			});
			add(r, (struct kith_relationship){
				.from = to->relation, .to = from->relation,
				.cardinality = is_unique(r, key) ? KITH_TO_ONE : KITH_TO_MANY,
				.constraint = name, .from_columns = to_columns, .to_columns = from_columns,
			});
		}
	}
}

static bool
all_among(const char *const *names, const char *const *set)
{
	for (; *names; names++) {
		const char *const *s = set;

		while (*s && *s != *names && strcmp(*s, *names) != 0)
			s++;
		if (!*s)
			return false;
	}
	return true;
}

static bool
may_be_junction(const struct kith_relationship *way)
{
	return way->forward && all_among(way->from_columns, way->from->primary_key);
}

/* A table whose primary key holds two foreign keys joins their tables, many to many. */
static void
relate_junctions(struct relate *r)
{
	size_t n = r->nfound;

	for (size_t i = 0; i < n; i++) {
		if (!may_be_junction(&r->found[i]))
			continue;
		for (size_t k = 0; k < n; k++) {
			const struct kith_relationship *a = &r->found[i], *b = &r->found[k];

			if (a->from != b->from || !strcmp(a->constraint, b->constraint) || !may_be_junction(b))
				continue;
			add(r, (struct kith_relationship){
				.from = a->to, .to = b->to, .cardinality = KITH_MANY_TO_MANY,
				.constraint = a->constraint, .from_columns = a->to_columns, .to_columns = b->to_columns,
				.junction = a->from, .junction_constraint = b->constraint,
				.junction_from = a->from_columns, .junction_to = b->from_columns,
			});
		}
	}
}

static int
compare(const void *a, const void *b)
{
	const struct kith_relationship *x = a, *y = b;
	int order;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	order = strcmp(x->to->name, y->to->name);
	if (!order)
		order = strcmp(x->constraint, y->constraint);
	return order ? order : (int)x->cardinality - (int)y->cardinality;
}

void
kith_catalog_relate(struct kith_build *b, const PGresult *keys, const PGresult *views)
{
	struct relate r = { .b = b };
	struct kith_catalog *c = b->catalog;

	read_keys(&r, keys);
	read_views(b, views);
	find_primary_keys(&r);
	for (size_t i = 0; i < r.nkeys; i++)
		if (r.keys[i].kind == 'f')
			relate_key(&r, &r.keys[i]);
	relate_junctions(&r);
	c->nrelationships = r.nfound;
	c->relationships = kith_new_array(c->arena, struct kith_relationship, r.nfound);
	if (r.nfound) {
		memcpy(c->relationships, r.found, r.nfound * sizeof(*r.found));
		qsort(c->relationships, r.nfound, sizeof(*r.found), compare);
	}
}
