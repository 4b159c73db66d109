/*
 * The query string of a REST request as a tree.  Contract: REST, section 3.
 *
 * Parsing knows nothing of the catalog: names are what the client wrote,
 * decoded; whether they exist is for kith_read_* and its siblings.  The
 * parsers are iterative or counted, so no input can exhaust the stack.
 */
#ifndef KITH_QUERY_H
#define KITH_QUERY_H

#include <stdbool.h>
#include <stddef.h>

struct kith_request;

#define KITH_QUERY_MAX_LOGIC 50		/* nesting of or=(and(or(... */
#define KITH_QUERY_MAX_EMBEDS 10	/* nesting of a(b(c(... */
#define KITH_QUERY_MAX_PATH 50		/* arrows in one JSON path */
#define KITH_QUERY_MAX_LENGTH 32768	/* bytes of the query string; nginx takes half of that */
#define KITH_QUERY_MAX_COLUMNS 1600	/* names in columns= and on_conflict=; PostgreSQL has no wider tables */

/* One step of a JSON path: ->key, ->>key, ->0 */
struct kith_arrow {
	bool text;		/* ->> */
	bool index;		/* key is an integer ("-1" counts from the end) */
	const char *key;
	struct kith_arrow *next;
};

/* A column, or something inside its JSON. */
struct kith_field {
	const char *name;
	struct kith_arrow *path;	/* NULL: the column itself */
};

enum kith_operator {
	KITH_OP_EQ,
	KITH_OP_NEQ,
	KITH_OP_GT,
	KITH_OP_GTE,
	KITH_OP_LT,
	KITH_OP_LTE,
	KITH_OP_LIKE,
	KITH_OP_ILIKE,
	KITH_OP_MATCH,
	KITH_OP_IMATCH,
	KITH_OP_IN,
	KITH_OP_IS,
	KITH_OP_ISDISTINCT,
	KITH_OP_CS,
	KITH_OP_CD,
	KITH_OP_OV,
	KITH_OP_SL,
	KITH_OP_SR,
	KITH_OP_NXL,
	KITH_OP_NXR,
	KITH_OP_ADJ,
	KITH_OP_FTS,
	KITH_OP_PLFTS,
	KITH_OP_PHFTS,
	KITH_OP_WFTS,
};

enum kith_is {
	KITH_IS_NULL,
	KITH_IS_NOT_NULL,
	KITH_IS_TRUE,
	KITH_IS_FALSE,
	KITH_IS_UNKNOWN,
};

enum kith_quantifier {
	KITH_QUANTIFIER_NONE,
	KITH_QUANTIFIER_ANY,
	KITH_QUANTIFIER_ALL,
};

/* A condition, or conditions joined by and / or. */
struct kith_condition {
	enum { KITH_COND_TEST, KITH_COND_AND, KITH_COND_OR } kind;
	bool negated;
	/* tests */
	struct kith_field field;	/* field.name may be an embed's name with operator is: anti- and semi-join */
	enum kith_operator op;
	enum kith_quantifier quantifier;
	const char *config;		/* full-text configuration: fts(english); NULL when none */
	enum kith_is is;		/* for KITH_OP_IS */
	const char *value;		/* one value, decoded and unquoted; like and ilike have '*' replaced by '%' */
	const char **values;		/* for KITH_OP_IN: the elements, unquoted; ends with NULL; may be empty */
	/* and / or */
	struct kith_condition *first;
	struct kith_condition *next;
};

enum kith_nulls { KITH_NULLS_DEFAULT, KITH_NULLS_FIRST, KITH_NULLS_LAST };

struct kith_order {
	const char *embed;	/* order=conversations(title): name of a to-one embed; NULL for a field of the table itself */
	struct kith_field field;
	bool desc;
	enum kith_nulls nulls;
	struct kith_order *next;
};

enum kith_join { KITH_JOIN_LEFT, KITH_JOIN_INNER };

/* One item of select=. */
struct kith_item {
	enum { KITH_ITEM_ALL, KITH_ITEM_FIELD, KITH_ITEM_COUNT, KITH_ITEM_EMBED } kind;
	const char *alias;		/* NULL when none */
	struct kith_field field;	/* KITH_ITEM_FIELD */
	const char *cast;		/* NULL when none: letters, digits, "_", "$" and blanks only */
	const char *aggregate;		/* "sum", "avg", "count", "min", "max"; NULL when none */
	const char *aggregate_cast;	/* also of KITH_ITEM_COUNT; NULL when none */
	/* embeds */
	const char *target;
	const char *hint;		/* NULL when none */
	enum kith_join join;
	bool spread;			/* ...target(a,b) */
	struct kith_query *query;	/* what was said about the embedded rows */
	struct kith_item *next;
};

/* What to read of one table, at the top or embedded. */
struct kith_query {
	struct kith_item *items;	/* NULL with select_given: no columns.  NULL without: every column */
	bool select_given;
	struct kith_condition *where;	/* joined by and */
	struct kith_order *order;
	const char *limit;		/* decimal text, "0" upwards; NULL when absent */
	const char *offset;
	bool as_text;			/* set by the caller, for CSV: values as PostgreSQL writes them */
};

struct kith_argument {
	const char *name;
	const char *value;
	struct kith_argument *next;
};

struct kith_query_string {
	struct kith_query query;
	const char **columns;		/* columns=; NULL when absent; ends with NULL */
	const char **on_conflict;	/* on_conflict=; NULL when absent; ends with NULL */
	struct kith_argument *arguments;	/* GET on a function: what is not a filter */
	bool filtered;			/* the top level has at least one filter */
};

/*
 * Parses req->query.
 *
 * Filters given more than once are all in force.  Of repeated select, columns,
 * on_conflict and (per table) order parameters the first counts, of limit and
 * offset the last: as in PostgREST.  select=*,m:messages(*) is addressed as
 * m.limit, or as messages.limit unless another embed is shown as messages.
 * messages(count) is the field count; only count() is KITH_ITEM_COUNT.
 *
 * With arguments, a key whose value does not begin with an operator is a
 * function's argument rather than an error.
 *
 * NULL with the error set: 400 PGRST100 (message `"failed to parse ..."` with details saying what was
 * expected and where), PGRST108 for a filter on something not embedded, 416
 * PGRST103 for a negative limit or offset; a limit or offset that is no
 * integer or beyond 2^63-1 is 400; 414 for a query string that is too long.
 * At most 200 bytes of it are echoed.
 */
struct kith_query_string *kith_query_parse(struct kith_request *req, bool arguments);

#endif
