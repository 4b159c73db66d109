/*
 * SQL text with its parameters.
 *
 * The text only grows through these calls: _text takes string literals (a
 * variable there does not compile), _ident quotes, _param binds.  So what a
 * client sent can only become a parameter, or a name that was quoted.
 */
#ifndef KITH_SQL_H
#define KITH_SQL_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

struct kith_arena;

struct kith_sql {
	struct kith_buf text;
	const char **params;	/* text format; NULL is SQL's NULL */
	int nparams;
	bool binary;		/* results come in PostgreSQL's binary format */
	int room;
};

/* PostgreSQL's protocol counts parameters in 16 bits. */
#define KITH_SQL_MAX_PARAMS 65535

struct kith_sql *kith_sql_new(struct kith_arena *a);

#define kith_sql_text(q, literal) kith_buf_add(&(q)->text, "" literal, sizeof("" literal) - 1)

/* A name, always quoted: "na""me". */
void kith_sql_ident(struct kith_sql *q, const char *name);

/* "schema"."name" */
void kith_sql_qualified(struct kith_sql *q, const char *schema, const char *name);

/* Binds value as the next untyped parameter and appends $n.  The value is not copied. */
void kith_sql_param(struct kith_sql *q, const char *value);

/* Appends a type name as format_type() printed it in the catalog; never text of a client. */
void kith_sql_catalog_type(struct kith_sql *q, const char *type_name);

/* Appends an expression as pg_get_expr() printed it in the catalog (a column's default), in parentheses. */
void kith_sql_catalog_expression(struct kith_sql *q, const char *expression);

/* Appends a number of our own: of an alias, say. */
void kith_sql_number(struct kith_sql *q, unsigned n);

/* Writes values as the text of an array, {"a","b"}: what is bound where SQL wants one.  They end with NULL. */
void kith_sql_array(struct kith_buf *out, const char *const *values);

#endif
