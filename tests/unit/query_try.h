/*
 * What the tests of the query string parser share: parse, and compare the tree
 * or the error.
 */
#ifndef KITH_QUERY_TRY_H
#define KITH_QUERY_TRY_H

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "query_dump.h"

#define foreach(table, i) for (size_t i = 0; i < sizeof(table) / sizeof(*(table)); i++)

/* A query string and its tree. */
struct good {
	const char *query;
	const char *tree;
};

/* A query string, and words of the message and the details that refuse it. */
struct bad {
	const char *query;
	const char *message;
	const char *details;
};

/* The request of the last try, for its error. */
static struct kith_request *req;

static inline const struct kith_query_string *
parse(const char *query, bool arguments)
{
	req = unit_request();
	req->query = query;
	return kith_query_parse(req, arguments);
}

static inline void
becomes(const char *query, bool arguments, const char *tree)
{
	const struct kith_query_string *qs = parse(query, arguments);
	const char *got;

	if (!qs)
		fail_msg("%s: %s: %s", query, req->error.message, req->error.details ? req->error.details : "");
	got = dump_query_string(req->arena, qs);
	if (strcmp(got, tree) != 0)
		fail_msg("%s\n     got: %s\nexpected: %s", query, got, tree);
}

/* 400 PGRST100 with these words in message and details. */
static inline void
refused(const char *query, const char *message, const char *details)
{
	if (parse(query, false))
		fail_msg("accepted: %s", query);
	assert_int_equal(req->error.status, 400);
	assert_string_equal(req->error.code, "PGRST100");
	if (!strstr(req->error.message, message) || !req->error.details || !strstr(req->error.details, details))
		fail_msg("%s\n     got: %s: %s\nexpected: %s: %s", query, req->error.message, req->error.details,
		    message, details);
}

static inline void
all_become_(const struct good *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		becomes(table[i].query, false, table[i].tree);
}

static inline void
all_refused_(const struct bad *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refused(table[i].query, table[i].message, table[i].details);
}

/* Tries each row of an array. */
#define all_become(table) all_become_((table), sizeof(table) / sizeof(*(table)))
#define all_refused(table) all_refused_((table), sizeof(table) / sizeof(*(table)))

#endif
