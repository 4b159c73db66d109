/*
 * The REST dialect: one request from identity to answer.  Contract: REST.
 */
#ifndef KITH_REST_H
#define KITH_REST_H

struct kith_request;
struct kith_resource;

/*
 * Answers a request below /rest/v1/: fills req->reply, or returns -1 with the
 * error set.  Also answers preflights.
 */
int kith_rest_handle(struct kith_request *req, const struct kith_resource *resource);

#endif
