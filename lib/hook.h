/*
 * C that runs before a function of SQL: for what SQL is too slow at.
 *
 * A hook belongs to a function of its resource, in any schema.  It reads what
 * it needs as the caller, so that RLS hides what it always hides, and computes
 * a text.  The function finds that text in the setting kith.computed,
 *
 *	nullif(current_setting('kith.computed', true), '')
 *
 * which no client can set, and goes on as any other: select=, filters, paging
 * and counts are not the hook's business.  Reads, computing and the call are
 * one transaction, and one round trip more than a call without hook.
 */
#ifndef KITH_HOOK_H
#define KITH_HOOK_H

#include <libpq-fe.h>
#include <stddef.h>

struct kith_argument;
struct kith_buf;
struct kith_request;
struct kith_sql;

#define KITH_HOOK_READS 3

/* What the call was given. */
struct kith_hook_call {
	struct kith_request *req;
	const char *body;			/* POST: the object; NULL when there is none */
	const struct kith_argument *query;	/* GET */
	void *state;				/* the hook's own, from read to compute; NULL before */
};

/*
 * Each returns -1 with the error set: then nothing was written.  All of them
 * run again, from read on, when the transaction is tried again.
 */
struct kith_hook {
	const char *function;
	/* Checks the arguments and writes up to KITH_HOOK_READS statements.  Returns how many. */
	int (*read)(struct kith_hook_call *call, struct kith_sql **sql);
	/*
	 * Takes one row of the only statement, as it comes: for more rows than
	 * memory should hold.  NULL: results are kept, and KITH_ANSWER_MAX is
	 * their bound.
	 */
	int (*row)(struct kith_hook_call *call, const PGresult *result, int row);
	/* Writes the text.  results: one for each statement; not with row. */
	int (*compute)(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out);
};

/* The hook of a function among those of a resource, which may have none (NULL); NULL when it has none. */
const struct kith_hook *kith_hook_find(const struct kith_hook *hooks, const char *function);

/*
 * An argument as text, in the arena: a string as it is meant, a number, an
 * array or an object as JSON.  NULL when it is null or absent; of a repeated
 * one the last.
 */
const char *kith_hook_argument(const struct kith_hook_call *call, const char *name);

#endif
