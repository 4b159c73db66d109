/*
 * The body of a form with files (multipart/form-data, RFC 7578), read part by
 * part while it comes in: what is in memory at once is one buffer.
 */
#ifndef KITH_MULTIPART_H
#define KITH_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct kith_multipart;
struct kith_request;

/* One part, in the request's arena. */
struct kith_part {
	const char *name;	/* of the field, "" when it is empty, or missing */
	const char *filename;	/* as the client calls it, for display only; NULL when the part is no file */
	const char *type;	/* its Content-Type; NULL when it has none */
};

/* Whether the request's body is declared as such a form. */
bool kith_multipart_declared(const struct kith_request *req);

/*
 * Begins to read the request's body (kith_request_read).  Here and below,
 * failing is -1 or NULL with the error set: 400 for what is no form, or ends
 * too early, 499 for a body that is not whole.
 */
struct kith_multipart *kith_multipart_new(struct kith_request *req);

/*
 * Goes on to the next part, skipping what was not read of this one.  1, or 0
 * behind the last part: then the body has been read to its end.
 */
int kith_multipart_next(struct kith_multipart *m, struct kith_part *part);

/*
 * The next bytes of the part, *p, as many as there are in the buffer: they stay
 * until the next call.  Returns their number, 0 at the part's end.
 */
ssize_t kith_multipart_read(struct kith_multipart *m, const char **p);

/* All of a part that is text: UTF-8 without NUL, of at most max bytes.  NULL with 400 for anything else. */
const char *kith_multipart_text(struct kith_multipart *m, size_t max);

#endif
