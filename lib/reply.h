/*
 * How an answer leaves the process: completed with the headers that every
 * answer has, in FastCGI records, by as few system calls as its size allows.
 */
#ifndef KITH_REPLY_H
#define KITH_REPLY_H

struct kith_request;

/* Answers a preflight: whatever is asked for is allowed, since rights go by token, never by origin. */
void kith_reply_preflight(struct kith_request *req);

/*
 * Sends the answer, or req->error when it is set, as stream id of the FastCGI
 * connection req->fd, and ends the stream.  -1 when the peer did not take it
 * all; nothing can be done about that.
 */
int kith_reply_send(struct kith_request *req, int id);

/*
 * Sends 503 without touching the arena: for when there is no memory left.
 */
void kith_reply_exhausted(const struct kith_request *req, int id);

#endif
