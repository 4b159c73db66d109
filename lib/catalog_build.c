/*
 * From the rows of the catalog queries to structs.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog_internal.h"

/* Types by oid; needed only while building, since columns and arguments hold copies. */
struct types {
	struct kith_type *types;
	size_t ntypes;
};

static const char *
text(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column);
}

static unsigned
number(const PGresult *result, int row, int column)
{
	return (unsigned)strtoul(text(result, row, column), NULL, 10);
}

static bool
flag(const PGresult *result, int row, int column)
{
	return *text(result, row, column) == 't';
}

static int
compare_casts(const void *a, const void *b)
{
	const struct kith_cast *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->rank - y->rank;
}

static void
build_types(struct kith_build *b, struct types *types, const PGresult *rows)
{
	enum { OID, NAME, FORM, ARRAY, JSON, TSVECTOR, RANK, CAST, VERSION };
	struct kith_catalog *c = b->catalog;
	size_t n = (size_t)PQntuples(rows), kept = 0;

	types->types = kith_new_array(b->scratch, struct kith_type, n);
	types->ntypes = n;
	for (int i = 0; i < (int)n; i++) {
		char form = *text(rows, i, FORM);

		types->types[i] = (struct kith_type){
			.oid = number(rows, i, OID),
			.name = kith_strdup(c->arena, text(rows, i, NAME)),
			.form = form == 'v' ? KITH_FORM_VECTOR : form == 'j' ? KITH_FORM_TO_JSON : KITH_FORM_PLAIN,
			.array = flag(rows, i, ARRAY),
			.json = flag(rows, i, JSON),
			.tsvector = flag(rows, i, TSVECTOR),
		};
		if (!PQgetisnull(rows, i, RANK))
			c->ncasts++;
	}
	if (n)
		c->version = strtoll(text(rows, 0, VERSION), NULL, 10);
	c->casts = kith_new_array(c->arena, struct kith_cast, c->ncasts);
	for (int i = 0; i < (int)n; i++)
		if (!PQgetisnull(rows, i, RANK))
			c->casts[kept++] = (struct kith_cast){
				.name = kith_strdup(c->arena, text(rows, i, CAST)),
				.type = types->types[i],
				.rank = (int)number(rows, i, RANK),
			};
	qsort(c->casts, kept, sizeof(*c->casts), compare_casts);
}

static int
compare_types(const void *a, const void *b)
{
	const struct kith_type *x = a, *y = b;

	return (x->oid > y->oid) - (x->oid < y->oid);
}

/* A type made between two of the queries is missing: its values are treated as text. */
static struct kith_type
type_of(const struct types *types, unsigned oid)
{
	static const struct kith_type unknown = { .name = "text" };
	struct kith_type key = { .oid = oid };
	const struct kith_type *found = bsearch(&key, types->types, types->ntypes, sizeof(key), compare_types);

	return found ? *found : unknown;
}

struct kith_draft *
kith_catalog_draft(const struct kith_build *b, unsigned oid)
{
	for (size_t i = 0; i < b->ndrafts; i++)
		if (b->drafts[i].oid == oid)
			return &b->drafts[i];
	return NULL;
}

/* Rows first..end-1 are the columns of one relation. */
static void
build_relation(struct kith_build *b, const struct types *types, struct kith_draft *draft, const PGresult *rows,
    int first, int end)
{
	enum { OID, EXPOSED, SCHEMA, NAME, KIND, NUMBER, COLUMN, TYPE, DEFAULT, NOT_NULL, GENERATED };
	struct kith_arena *a = b->catalog->arena;
	struct kith_relation *r = draft->relation;
	struct kith_column *column;
	char kind = *text(rows, first, KIND);

	draft->oid = number(rows, first, OID);
	draft->exposed = flag(rows, first, EXPOSED);
	draft->attnums = kith_new_array(b->scratch, int, (size_t)(end - first));
	r->schema = kith_strdup(a, text(rows, first, SCHEMA));
	r->name = kith_strdup(a, text(rows, first, NAME));
	r->is_view = kind == 'v' || kind == 'm';
	r->has_xmax = kind == 'r';
	r->ncolumns = (size_t)(end - first);
	r->primary_key = kith_new(a, const char *);
	r->columns = column = kith_new_array(a, struct kith_column, r->ncolumns);
	for (int i = first; i < end; i++, column++) {
		draft->attnums[i - first] = (int)number(rows, i, NUMBER);
		column->name = kith_strdup(a, text(rows, i, COLUMN));
		column->type = type_of(types, number(rows, i, TYPE));
		if (!PQgetisnull(rows, i, DEFAULT))
			column->default_sql = kith_strdup(a, text(rows, i, DEFAULT));
		column->not_null = flag(rows, i, NOT_NULL);
		column->generated = flag(rows, i, GENERATED);
	}
}

/* Row behind the last one that has the same first column as row i. */
static int
run_end(const PGresult *rows, int i)
{
	int end = i + 1;

	while (end < PQntuples(rows) && !strcmp(text(rows, end, 0), text(rows, i, 0)))
		end++;
	return end;
}

static void
build_relations(struct kith_build *b, const struct types *types, const PGresult *rows)
{
	struct kith_catalog *c = b->catalog;

	for (int i = 0; i < PQntuples(rows); i = run_end(rows, i))
		b->ndrafts++;
	c->relations = kith_new_array(c->arena, struct kith_relation, b->ndrafts);
	b->drafts = kith_new_array(b->scratch, struct kith_draft, b->ndrafts);
	b->ndrafts = 0;
	for (int i = 0, end; i < PQntuples(rows); i = end) {
		struct kith_draft *draft = &b->drafts[b->ndrafts];

		end = run_end(rows, i);
		draft->relation = &c->relations[b->ndrafts++];
		build_relation(b, types, draft, rows, i, end);
		if (draft->exposed)
			c->nrelations++;
	}
}

/* Inputs become arguments, outputs columns.  Rows first..end-1 are those of one function. */
static void
build_arguments(struct kith_build *b, const struct types *types, struct kith_function *f, const PGresult *rows,
    int first, int end)
{
	enum { INPUTS = 6, DEFAULTS, RELATION, TYPE, MODE, NAME };
	struct kith_arena *a = b->catalog->arena;
	size_t inputs = number(rows, first, INPUTS), required = inputs - number(rows, first, DEFAULTS);
	struct kith_function_argument *argument = kith_new_array(a, struct kith_function_argument, inputs);
	struct kith_column *column = NULL;
	size_t outputs = 0;

	f->arguments = argument;
	for (int i = first; i < end; i++)
		outputs += strchr("tbo", *text(rows, i, MODE)) && *text(rows, i, MODE);
	if (outputs)
		f->columns = column = kith_new_array(a, struct kith_column, outputs);
	for (int i = first; i < end && !PQgetisnull(rows, i, TYPE); i++) {
		struct kith_type type = type_of(types, number(rows, i, TYPE));
		const char *name = kith_strdup(a, text(rows, i, NAME));
		char mode = *text(rows, i, MODE);

		if (mode != 'o' && mode != 't') {
			*argument++ = (struct kith_function_argument){
				.name = name,
				.type = type,
				.required = f->narguments < required,
				.variadic = mode == 'v',
			};
			f->narguments++;
		}
		/* An output without a name is called column1, column2 ... by its place among the outputs. */
		if (mode == 'o' || mode == 't' || mode == 'b') {
			column->type = type;
			column->name = *name ? name : kith_format(a, "column%zu", f->ncolumns + 1);
			column++;
			f->ncolumns++;
		}
	}
	f->composite = outputs > 0;
}

static void
add_computed(struct kith_catalog *c, struct kith_relation *r, const struct kith_function *f)
{
	struct kith_computed *computed = kith_new(c->arena, struct kith_computed);

	computed->column.name = f->name;
	computed->column.type = f->type;
	computed->column.function = f;
	computed->next = r->computed;
	r->computed = computed;
}

static void
build_functions(struct kith_build *b, const struct types *types, const PGresult *rows)
{
	enum { OID, SCHEMA, NAME, SET, TYPE, VOLATILITY, INPUTS, DEFAULTS, RELATION, ARGUMENT = 12 };
	const unsigned void_oid = 2278;
	struct kith_catalog *c = b->catalog;
	struct kith_function *f;

	for (int i = 0; i < PQntuples(rows); i = run_end(rows, i))
		c->nfunctions++;
	f = c->functions = kith_new_array(c->arena, struct kith_function, c->nfunctions);
	for (int i = 0, end; i < PQntuples(rows); i = end, f++) {
		const struct kith_draft *draft;

		end = run_end(rows, i);
		f->schema = kith_strdup(c->arena, text(rows, i, SCHEMA));
		f->name = kith_strdup(c->arena, text(rows, i, NAME));
		f->set = flag(rows, i, SET);
		f->is_void = number(rows, i, TYPE) == void_oid;
		f->is_volatile = *text(rows, i, VOLATILITY) == 'v';
		f->type = type_of(types, number(rows, i, TYPE));
		build_arguments(b, types, f, rows, i, end);
		draft = kith_catalog_draft(b, number(rows, i, RELATION));
		if (draft) {
			f->composite = true;
			f->columns = draft->relation->columns;
			f->ncolumns = draft->relation->ncolumns;
			if (draft->exposed)
				f->returns = draft->relation;
		}
		draft = kith_catalog_draft(b, number(rows, i, ARGUMENT));
		if (draft && draft->exposed && f->narguments == 1 && !f->set && !f->is_void)
			add_computed(c, draft->relation, f);
	}
}

struct kith_catalog *
kith_catalog_build(struct kith_arena *scratch, const PGresult *const *results)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_catalog *c = kith_new(a, struct kith_catalog);
	struct kith_build build = { .catalog = c, .scratch = scratch };
	struct types types;

	c->arena = a;
	build_types(&build, &types, results[KITH_CATALOG_TYPES]);
	build_relations(&build, &types, results[KITH_CATALOG_COLUMNS]);
	kith_catalog_relate(&build, results[KITH_CATALOG_KEYS], results[KITH_CATALOG_VIEWS]);
	build_functions(&build, &types, results[KITH_CATALOG_FUNCTIONS]);
	return c;
}
