/*
 * How the catalog is kept and built: for catalog*.c and the tests, which feed
 * it rows of their own.
 */
#ifndef KITH_CATALOG_INTERNAL_H
#define KITH_CATALOG_INTERNAL_H

#include <libpq-fe.h>

#include "catalog.h"

struct kith_sql;

/* A type that can be named in a cast though it is not built in. */
struct kith_cast {
	const char *name;
	struct kith_type type;
	int rank;	/* of its schema among the exposed ones: the first wins */
};

/* Everything in arena, replaced whole. */
struct kith_catalog {
	struct kith_arena *arena;
	long long version;	/* of the schema, as far as the database counts */
	struct kith_relation *relations;	/* by schema and name */
	size_t nrelations;
	struct kith_relationship *relationships;	/* by from */
	size_t nrelationships;
	struct kith_function *functions;	/* by schema and name */
	size_t nfunctions;
	struct kith_cast *casts;	/* by name */
	size_t ncasts;
};

/* The queries that a catalog is built from, in the order in which kith_catalog_build wants their results. */
enum kith_catalog_query {
	KITH_CATALOG_TYPES,
	KITH_CATALOG_COLUMNS,
	KITH_CATALOG_KEYS,
	KITH_CATALOG_VIEWS,
	KITH_CATALOG_FUNCTIONS,
	KITH_CATALOG_QUERIES
};

struct kith_sql *kith_catalog_query(struct kith_arena *a, enum kith_catalog_query which, const char *const *schemas);

/* A catalog from the rows; it copies what it keeps.  scratch: memory that is needed only meanwhile. */
struct kith_catalog *kith_catalog_build(struct kith_arena *scratch, const PGresult *const *results);

/* --- between the parts of the builder --- */

/* Where a view's column comes from. */
struct kith_origin {
	unsigned table;	/* 0: computed */
	int attnum;
};

/* A relation while the catalog is built: with the numbers that PostgreSQL knows it by. */
struct kith_draft {
	unsigned oid;
	bool exposed;	/* false: only a function returns its rows */
	struct kith_relation *relation;
	int *attnums;	/* of each column */
	struct kith_origin *origins;	/* of each column of a view; NULL for tables */
};

struct kith_build {
	struct kith_catalog *catalog;
	struct kith_arena *scratch;
	struct kith_draft *drafts;	/* the exposed ones first, in the order of catalog->relations */
	size_t ndrafts;
};

/* By PostgreSQL's number; NULL when there is none. */
struct kith_draft *kith_catalog_draft(const struct kith_build *b, unsigned oid);

/* From the rows of KITH_CATALOG_KEYS and KITH_CATALOG_VIEWS: origins, primary keys, relationships. */
void kith_catalog_relate(struct kith_build *b, const PGresult *keys, const PGresult *views);

#endif
