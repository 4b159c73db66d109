/*
 * The first statement of every transaction.
 */
#ifndef KITH_PREAMBLE_H
#define KITH_PREAMBLE_H

struct kith_identity;
struct kith_request;
struct kith_sql;
struct kith_transaction;

/*
 * One select that checks the session and sets, for this transaction only, role,
 * claims, request.method, .path, .headers and .cookies (as PostgREST does, so
 * that policies and functions of an app find them), search_path, timeouts and
 * read-only mode.  The text depends on what is set, never on its value.
 */
struct kith_sql *kith_preamble(struct kith_request *req, const struct kith_transaction *t);

/* Milliseconds that one statement of this caller may take. */
long kith_preamble_timeout(const struct kith_identity *who);

#endif
