/*
 * Connections of a program: one for each login, opened when first needed.
 * Private to the db module.
 */
#ifndef KITH_DB_CONNECTION_H
#define KITH_DB_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct kith_request;

/* Statements kept prepared on one connection; then it is recycled, so that odd queries cannot fill the back end. */
#define KITH_DB_STATEMENTS 256

/* How waiting for a result ended. */
enum kith_end {
	KITH_CAME,
	KITH_LOST,		/* the connection died */
	KITH_TIMED_OUT,		/* the statement was cancelled */
	KITH_TOO_LARGE,		/* it would not have fitted into memory */
};

struct kith_statement {
	uint64_t hash;	/* 0: free slot */
	char *key;	/* role and text */
	char name[16];
	bool prepared;	/* PostgreSQL has confirmed it */
};

struct kith_connection {
	const char *login;
	PGconn *pg;		/* NULL while closed; always in pipeline mode, non-blocking */
	int64_t opened_us;
	int64_t used_us;
	int64_t refused_until_us;	/* a slow failure is not tried again before */
	long requests;
	size_t fed;		/* bytes of requests; see kith_connection_put() */
	size_t weight;		/* bytes the process held when this was last asked */
	bool bloated;		/* libpq keeps a buffer of the largest row that came */
	unsigned names;		/* statements named so far */
	int nstatements;
	struct kith_statement statements[KITH_DB_STATEMENTS * 2];
};

enum kith_login {
	KITH_LOGIN_API,
	KITH_LOGIN_SERVICE,
	KITH_LOGIN_OWN,		/* what kith_db_login() named */
};

/* Connection of a login, open and usable; NULL with the error set (503). */
struct kith_connection *kith_connection_get(struct kith_request *req, enum kith_login login);

/* What the process holds now is no result's: from here on a result is measured. */
void kith_connection_weigh(struct kith_connection *c);

/*
 * After a request, which sent about this many bytes: closes a connection that
 * is worn out.
 */
void kith_connection_put(struct kith_connection *c, size_t fed);

void kith_connection_close(struct kith_connection *c);

/* The slot of this statement for this role; NULL when prepared statements are off. */
struct kith_statement *kith_connection_statement(struct kith_connection *c, const char *role, const char *text);

/* Forgets a statement that PostgreSQL no longer takes. */
void kith_connection_forget(struct kith_connection *c, struct kith_statement *s);

/*
 * The next result of the pipeline, waiting until deadline_us.  NULL with *end
 * KITH_CAME is libpq's NULL, the end of one statement; with any other *end the
 * connection is of no more use.  A read whose caller has hung up is cancelled.
 */
PGresult *kith_connection_result(struct kith_request *req, struct kith_connection *c, int64_t deadline_us,
    bool cancel_when_abandoned, enum kith_end *end);

#endif
