/*
 * One HTTP request, as FastCGI brought it, and the answer being made for it.
 *
 * Everything reached from here lives in req->arena and ends with the request.
 */
#ifndef KITH_REQUEST_H
#define KITH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

struct kith_arena;
struct kith_identity;

enum kith_method {
	KITH_GET = 1 << 0,
	KITH_HEAD = 1 << 1,
	KITH_POST = 1 << 2,
	KITH_PATCH = 1 << 3,
	KITH_PUT = 1 << 4,
	KITH_DELETE = 1 << 5,
	KITH_OPTIONS = 1 << 6,
	KITH_OTHER = 1 << 7,	/* any other verb */
};

struct kith_header {
	const char *name;	/* lower case, with hyphens: "content-type" */
	const char *value;
};

/* Bytes of an answer's body, and about those of the rows that it is made of. */
#define KITH_ANSWER_MAX ((size_t)12 << 20)

/* The answer.  It is sent after the transaction's result is known, in one piece. */
struct kith_reply {
	int status;		/* 0 until something decided it */
	struct kith_buf headers;	/* "Name: value\r\n" lines, without Status and Content-Length */
	struct kith_buf body;
	bool elsewhere;		/* the body is a file that nginx sends (X-Accel-Redirect): what is said of it stays */
	bool no_body;		/* 204, 304 and HEAD: send neither body nor Content-Type */
};

struct kith_request {
	struct kith_arena *arena;
	struct kith_error error;
	const char *id;			/* request id: [A-Za-z0-9_-]{8,64} */

	enum kith_method method;
	const char *method_name;	/* as sent */
	const char *path;		/* raw path of REQUEST_URI, percent-encoded, without the query */
	const char *query;		/* raw query string, "" when there is none */
	const struct kith_header *headers;	/* every header, repeated ones too; ends with name NULL */
	const char *remote_addr;

	const char *body;		/* whole body, NUL-terminated behind body_len; "" when there is none */
	size_t body_len;
	size_t unread;			/* bytes of the body to come, for a handler that reads them itself */
	size_t (*receive)(void *p, size_t n);	/* the next n of them; fewer when the peer has left */

	const struct kith_identity *identity;	/* who is calling; set by kith_auth_identify */
	struct kith_reply reply;
	bool committed;			/* what the request wrote will stay, whatever is answered */

	/*
	 * Writes req->error to the reply's body, in a form of the program's own;
	 * may change the error before and add headers.  NULL: as PostgREST does.
	 */
	void (*write_error)(struct kith_request *req);

	bool no_cors;			/* the answer is for no page */

	int fd;				/* connection to nginx, -1 in tests */
	int64_t looked_us;		/* when it was last seen that the peer is there, or has left */
	bool left;
	int64_t sent_us;		/* when nginx took it in, CLOCK_REALTIME, microseconds; 0: it does not say */
	int64_t started_us;		/* CLOCK_MONOTONIC, microseconds */
	int64_t db_us;			/* time spent waiting for PostgreSQL */
	const char *route;		/* template for the log: "/rest/v1/messages" */
	const char *tail;		/* what the "*" of its route stands for, as it was sent; "" for a route without */
	long rows;			/* rows in the answer, for the log; -1 unknown */
};

/*
 * Starts a request from FastCGI parameters ("NAME=value", ends with NULL).
 * They are changed in place and must live as long as the request.  Returns the
 * length of the body that is to come, which is not read here, or -1 when
 * CONTENT_LENGTH is no number.
 */
long kith_request_init(struct kith_request *req, struct kith_arena *arena, char **params);

/*
 * Reads the next bytes of the body, n at most, for a handler that takes it in
 * pieces (struct kith_resource, streams).  0 behind the last one; -1 with 499
 * when the body ends too early: half a body must never be taken for one.
 */
ssize_t kith_request_read(struct kith_request *req, void *p, size_t n);

/*
 * Reads what is left of it to req->body, as other handlers find it.  -1 with
 * 413 when it is larger than KITH_BODY_LIMIT, or 499.
 */
int kith_request_read_all(struct kith_request *req);

/* First value of a header (name in lower case), or NULL. */
const char *kith_request_header(const struct kith_request *req, const char *name);

/* How often a header was sent. */
int kith_request_header_count(const struct kith_request *req, const char *name);

/* Every value of a repeated header joined by ", ", or NULL (RFC 9110, section 5.3). */
const char *kith_request_header_list(struct kith_request *req, const char *name);

/*
 * Decodes %XX (and '+' as blank when plus) into the arena.  Refuses a broken
 * escape, a NUL and invalid UTF-8: then returns NULL and sets the error (400
 * PGRST100); what names the thing for the message.
 */
const char *kith_request_decode(struct kith_request *req, const char *s, size_t n, bool plus, const char *what);

/*
 * Adds an answer header.  Bytes below 0x20 and 0x7f in the value become blanks:
 * what a client sent must not end a header line.
 */
void kith_reply_header(struct kith_request *req, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * True when the peer has closed the connection: then nobody waits for the
 * answer, and a statement not yet sent must not be (a request that nginx gave
 * up on stays in the socket's queue).  What was seen within the last
 * millisecond counts.
 */
bool kith_request_abandoned(const struct kith_request *req);

#endif
