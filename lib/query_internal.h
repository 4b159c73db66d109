/*
 * Between the files of the query string parser; nobody else includes this.
 *
 * Every reader takes a text, reads what it is named after from where the text
 * stands, and leaves the text behind it.  -1, NULL or false mean that the error
 * is set, unless the comment says otherwise.
 */
#ifndef KITH_QUERY_INTERNAL_H
#define KITH_QUERY_INTERNAL_H

#include <stdbool.h>

#include "query.h"

/* One decoded key or value, being read. */
struct kith_query_text {
	struct kith_request *req;
	const char *what; /* for the message: "select parameter", "filter" */
	const char *key; /* the parameter's name; NULL when the name itself is read */
	const char *start;
	const char *p; /* the next byte; *p is NUL at the end */
};

/* query_lex.c: what all grammars share */

/* Refuses: 400 PGRST100, something else was expected where the text stands.  Always -1. */
int kith_query_expected(const struct kith_query_text *t, const char *expected);

/* Refuses with details of its own. */
int kith_query_refuse(const struct kith_query_text *t, const char *details);

/* At most max bytes of what a client sent, whole characters only, for use in a message. */
const char *kith_query_excerpt(struct kith_request *req, const char *s, size_t max);

/* Skips blanks; there need not be any. */
void kith_query_blanks(struct kith_query_text *t);

/* Skips the literal if it comes next; false, nothing skipped and no error, otherwise. */
bool kith_query_eat(struct kith_query_text *t, const char *literal);

/* name = quoted / ident *( "-" ident ), with the blanks around it. */
const char *kith_query_name(struct kith_query_text *t);

/* A type's name behind "::": letters, digits, "_", "$" and inner blanks. */
const char *kith_query_cast(struct kith_query_text *t);

/* jsonpath, may be empty; the blanks behind it too. */
int kith_query_path(struct kith_query_text *t, struct kith_arrow **path);

/* name [ jsonpath ] */
int kith_query_field(struct kith_query_text *t, struct kith_field *field);

/*
 * A quoted string, if there is one whose closing quote is followed by one of
 * enders or by the end.  NULL, nothing read and no error, otherwise.
 */
const char *kith_query_quoted(struct kith_query_text *t, const char *enders);

/* query_select.c, query_order.c: whole values */

int kith_query_select(struct kith_query_text *t, struct kith_query *query);
int kith_query_order(struct kith_query_text *t, struct kith_order **order);

/* query_filter.c */

/*
 * [ "not." ] operator "." into the condition.  NULL, or what was expected where
 * the text stands; the error is not set then.
 */
const char *kith_query_operator(struct kith_query_text *t, struct kith_condition *c);

/* What comes behind the operator of a plain filter: everything up to the end. */
int kith_query_value(struct kith_query_text *t, struct kith_condition *c);

/* The value of and= and or=: "(" cond *( "," cond ) ")" */
int kith_query_logic(struct kith_query_text *t, struct kith_condition *c);

#endif
