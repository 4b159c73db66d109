/*
 * URLs outside the REST dialect: a program's own verbs, listed in its
 * declaration.
 */
#ifndef KITH_ROUTE_H
#define KITH_ROUTE_H

#include <stdbool.h>

struct kith_request;
struct kith_resource;

/* True for the mount itself and for what lies below it: with "/auth/v1" also "/auth/v1/user", not "/auth/v10". */
bool kith_route_mounted(const struct kith_resource *resource, const char *path);

/*
 * Calls the handler of the first route that fits path and method, with
 * req->route and req->tail set.  A path is compared as it was sent: whoever
 * encodes a letter of a route asks for something else.
 *
 * 0, or -1 with the error set: the handler's, 405 with Allow when only the
 * method does not fit, 404 when no route does.
 */
int kith_route_handle(struct kith_request *req, const struct kith_resource *resource);

#endif
