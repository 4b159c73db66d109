/*
 * What the database says it has: tables, columns, keys, relationships and
 * functions of the exposed schemas.  Read once per process, and again when the
 * schema changes; nothing of it is written down in C.
 */
#ifndef KITH_CATALOG_H
#define KITH_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

struct kith_request;
struct kith_arena;

/* How a type's text form becomes JSON. */
enum kith_form {
	KITH_FORM_PLAIN,	/* built in C from the type's text form */
	KITH_FORM_TO_JSON,	/* arrays, composites, types with a cast to json: to_json() in SQL */
	KITH_FORM_VECTOR,	/* extensions.vector where it is a domain over bytea: extensions.vector_out() */
};

struct kith_type {
	unsigned oid;
	const char *name;	/* format_type(): safe to splice into SQL */
	enum kith_form form;
	bool array;
	bool json;		/* json or jsonb */
	bool tsvector;
};

struct kith_function;

struct kith_column {
	const char *name;
	struct kith_type type;
	const char *default_sql;	/* the default's expression, NULL when none */
	bool not_null;
	bool generated;		/* generated always: takes no value */
	const struct kith_function *function;	/* what makes a computed field from a row; NULL for a column */
};

/* Functions of one row of a table: read like its columns, but never part of "*" and never written. */
struct kith_computed {
	struct kith_column column;
	struct kith_computed *next;
};

struct kith_relation {
	const char *schema;
	const char *name;
	bool is_view;
	bool has_xmax;		/* an ordinary table: its rows have the system columns */
	const struct kith_column *columns;
	size_t ncolumns;
	struct kith_computed *computed;
	/* Column names, ends with NULL; empty when none.  A view has its table's where it shows all of it. */
	const char **primary_key;
};

enum kith_cardinality {
	KITH_TO_ONE,		/* this side holds the key, or the other side's key is unique */
	KITH_TO_MANY,
	KITH_MANY_TO_MANY,
};

/*
 * A way from one table to another.  Each foreign key makes two of these, each
 * junction table two more.  A view has those of the columns that it shows
 * unchanged, towards tables and views of its own schema.
 */
struct kith_relationship {
	const struct kith_relation *from;
	const struct kith_relation *to;
	enum kith_cardinality cardinality;
	bool forward;			/* from holds the foreign key */
	const char *constraint;		/* the foreign key's name; of the junction's key to `from` for many-to-many */
	const char **from_columns;	/* pairwise with to_columns; end with NULL */
	const char **to_columns;
	/* many-to-many: from_columns = junction_from, junction_to = to_columns */
	const struct kith_relation *junction;
	const char *junction_constraint;	/* the junction's key to `to` */
	const char **junction_from;
	const char **junction_to;
};

struct kith_function_argument {
	const char *name;	/* "" when unnamed */
	struct kith_type type;
	bool required;
	bool variadic;
};

struct kith_function {
	const char *schema;
	const char *name;
	const struct kith_function_argument *arguments;	/* inputs only */
	size_t narguments;
	bool set;			/* returns many rows */
	bool is_void;
	bool composite;			/* rows have known columns: table type, OUT arguments or RETURNS TABLE */
	const struct kith_relation *returns;	/* the table type it returns, so that embeds work; NULL otherwise */
	const struct kith_column *columns;	/* of a composite result that is no table of the catalog */
	size_t ncolumns;
	struct kith_type type;		/* of a scalar result; a bare record counts as one */
	bool is_volatile;
};

struct kith_catalog;

/*
 * The catalog in force; loads it on first use through the API login.  NULL with
 * the error set: 503 PGRST002 when it cannot be loaded and there is none yet
 * (an old one stays in force when a reload fails).
 */
const struct kith_catalog *kith_catalog_get(struct kith_request *req);

/* Marks the catalog as outdated: the next kith_catalog_get reloads it.  Called when a notification came. */
void kith_catalog_expire(void);

/*
 * Tells the schema's version as a new connection found it: a catalog loaded at
 * another version is outdated.
 */
void kith_catalog_version(long long version);

/*
 * Reloads now, unless the catalog was loaded for this very request already; so
 * that a name not found is looked for once more before the answer is 404.
 * True when it was reloaded.
 */
bool kith_catalog_refresh(struct kith_request *req);

/* NULL when there is none; names are compared byte by byte. */
const struct kith_relation *kith_catalog_relation(const struct kith_catalog *c, const char *schema, const char *name);
const struct kith_column *kith_catalog_column(const struct kith_relation *r, const char *name);

/* A column, or else a computed field. */
const struct kith_column *kith_catalog_field(const struct kith_relation *r, const char *name);

/* Relationships that start at the table: returns how many, *first the first of them. */
size_t kith_catalog_relationships(const struct kith_catalog *c, const struct kith_relation *from,
    const struct kith_relationship **first);

/* Functions of that name, several when overloaded: returns how many, *first the first of them. */
size_t kith_catalog_functions(const struct kith_catalog *c, const char *schema, const char *name,
    const struct kith_function **first);

/*
 * The type that a client's cast names: a built-in one, or an enum or domain of
 * an exposed schema.  NULL for any other name.
 */
const struct kith_type *kith_catalog_cast(const struct kith_catalog *c, const char *name);

/* For "perhaps you meant": the nearest name there is, NULL when none is near. */
const char *kith_catalog_nearest_relation(const struct kith_catalog *c, const char *schema, const char *name);
const char *kith_catalog_nearest_function(const struct kith_catalog *c, const char *schema, const char *name);
const char *kith_catalog_nearest_column(const struct kith_relation *r, const char *name);

/* The nearest table that from has a relationship with. */
const char *kith_catalog_nearest_related(const struct kith_catalog *c, const struct kith_relation *from,
    const char *name);

#endif
