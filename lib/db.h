/*
 * PostgreSQL: one request, one pipeline, one transaction.
 */
#ifndef KITH_DB_H
#define KITH_DB_H

#include <libpq-fe.h>
#include <stdbool.h>

struct kith_hook;
struct kith_hook_call;
struct kith_request;
struct kith_sql;

/* How a request's transaction is set up. */
struct kith_transaction {
	bool read_only;
	const char *search_path;	/* quoted list for search_path */
	bool hold;		/* for writes: commit when the results are here, which may be too large */
	const char *timezone;		/* Prefer: timezone=; NULL for the server's */
	const struct kith_hook *hook;	/* runs before the statements, at one round trip more; NULL for none */
	struct kith_hook_call *call;	/* what the hook is given */
	bool rehearsal;		/* nothing of it stays: what counts is whether it would be refused */
	const char *const *settings;	/* more of them, names and values by turns; ends with NULL; NULL for none */
};

/*
 * Runs the statements (one, or a page and its count) as the caller's role in
 * one transaction, at one round trip: role, claims and request settings are
 * set in the same pipeline.
 *
 * results receives nsql results, which live until the request ends.  check, if
 * not NULL, is called with them before the transaction commits; when it returns
 * -1 (with the error set) everything is rolled back.
 *
 * 0 after the commit; -1 with the error set and nothing written: also when the
 * results would be larger than KITH_ANSWER_MAX.  A GET is tried again once when
 * the connection turned out to be dead; 40001 and 40P01 are tried twice again
 * whatever the method; nothing else is.
 */
int kith_db_run(struct kith_request *req, const struct kith_transaction *t, struct kith_sql *const *sql, int nsql,
    const PGresult **results, int (*check)(struct kith_request *req, const PGresult **results, void *arg), void *arg);

/*
 * Runs one statement as the login itself, outside of any user's rights: only
 * for reading the catalog.  NULL with the error set: 503, or 401 when the
 * statement checks the session and finds that it has ended.
 */
const PGresult *kith_db_catalog(struct kith_request *req, const struct kith_sql *sql);

/*
 * Runs one statement, one transaction, as the login that the resource names
 * (kith_db_login), under no other rights than its own: for programs that are
 * no part of the REST dialect.  The result lives until the request ends; NULL
 * with the error set.
 */
const PGresult *kith_db_call(struct kith_request *req, const struct kith_sql *sql);

/* Names that login; once, before the first call. */
void kith_db_login(const char *login);

/*
 * Takes in what PostgreSQL sent since the last request: notices that the schema
 * changed, and the end of connections.  Before the catalog is looked at.  The
 * request's peer is looked at by the same system call.
 */
void kith_db_notices(struct kith_request *req);

/* Called while there is nothing to do: closes connections that were idle too long. */
void kith_db_idle(void);

/* Milliseconds until kith_db_idle has something to do; -1: nothing. */
int kith_db_idle_timeout(void);

#endif
