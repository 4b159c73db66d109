/*
 * One struct for what went wrong, and the one place where PostgreSQL's errors
 * become HTTP.
 */
#ifndef KITH_ERROR_H
#define KITH_ERROR_H

struct kith_request;
struct kith_buf;

struct kith_error {
	int status;		/* HTTP status; 0 means no error */
	const char *code;	/* SQLSTATE, PGRSTnnn, or our own KITHnn */
	const char *message;	/* one line */
	const char *details;	/* facts, whole sentences; may be NULL */
	const char *hint;	/* what the caller could do; may be NULL */
	const char *log;	/* for the log only, never sent; may be NULL */
};

/*
 * Refuses the request: sets req->error unless an error is there already (the
 * first one wins) and returns -1, so that refusing is one line.  The text is
 * copied into the request's arena.
 */
int kith_fail(struct kith_request *req, int status, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Say more about the error just set; each returns -1.  They do nothing if the
 * part is already there.
 */
int kith_fail_details(struct kith_request *req, const char *format, ...) __attribute__((format(printf, 2, 3)));
int kith_fail_hint(struct kith_request *req, const char *format, ...) __attribute__((format(printf, 2, 3)));
int kith_fail_log(struct kith_request *req, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 400 54000: the answer is larger than a program's memory allows. */
int kith_fail_answer_too_large(struct kith_request *req);

/*
 * HTTP status of a SQLSTATE (five characters; contract: REST, section 8).
 * anonymous: the caller had no user token, so 42501 asks for one (401).
 * PTxyz answers xyz.
 */
int kith_error_status(const char *sqlstate, int anonymous);

/* Appends {"code":...,"details":...,"hint":...,"message":...}, PostgREST's four keys in its order. */
void kith_error_json(struct kith_buf *out, const struct kith_error *error);

#endif
