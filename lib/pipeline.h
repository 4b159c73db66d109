/*
 * One transaction's statements, sent without waiting and answered in order.
 * Private to the db module.
 */
#ifndef KITH_PIPELINE_H
#define KITH_PIPELINE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "db_connection.h"
#include "hint.h"

struct kith_request;
struct kith_sql;

struct kith_pipeline {
	struct kith_request *req;
	struct kith_connection *c;
	int64_t deadline_us;
	bool read_only;
	bool beginning;	/* the preamble's result is awaited */
	bool again;	/* trying the whole transaction again is safe and sensible */
	bool hold;	/* the commit waits until the results are here */
	bool hooked;	/* the hook is still at work: nothing can have been written */
	struct kith_refusal refusal;	/* by which constraint, when one refused */
	enum kith_end end;	/* other than KITH_CAME: the connection is of no more use */
};

/*
 * Every function returns -1, false or NULL with the request's error set when it
 * fails.
 */

/* Sends one statement, its preparation before it when it is new. */
int kith_pipeline_send(struct kith_pipeline *run, const char *role, const struct kith_sql *sql,
    struct kith_statement **statement);

/* Asks for the answers so far, the transaction staying open. */
int kith_pipeline_flush(struct kith_pipeline *run);

/* Ends the transaction: what was sent is committed, unless something of it fails. */
int kith_pipeline_sync(struct kith_pipeline *run);

/* To be sent before the end of a transaction that shall come to nothing. */
int kith_pipeline_rollback(struct kith_pipeline *run);

/* Result of one statement, in order; it lives until the request ends. */
const PGresult *kith_pipeline_receive(struct kith_pipeline *run, struct kith_statement *statement);

/* The same, each row as it comes; all of them are read, whatever take returns: not 0 wants no more. */
bool kith_pipeline_rows(struct kith_pipeline *run, struct kith_statement *statement,
    int (*take)(void *arg, const PGresult *result, int row), void *arg);

/* Reads what is left up to the end of the transaction.  0 when that has ended well. */
int kith_pipeline_finish(struct kith_pipeline *run);

#endif
