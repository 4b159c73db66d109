#include "route.h"

#include <string.h>

#include "arena.h"
#include "request.h"
#include "resource.h"

bool
kith_route_mounted(const struct kith_resource *resource, const char *path)
{
	size_t n = resource->mount ? strlen(resource->mount) : 0;

	return n && !strncmp(path, resource->mount, n) && (!path[n] || path[n] == '/');
}

/* What the "*" at the route's end stands for, "" for a route without; NULL when the path is another. */
static const char *
tail_of(const struct kith_route *route, const char *path)
{
	size_t n = strlen(route->path);

	if (n && route->path[n - 1] == '*')
		return strncmp(path, route->path, n - 1) ? NULL : path + n - 1;
	return strcmp(path, route->path) ? NULL : "";
}

/* HEAD goes with GET, and everything that pages ask is asked about with OPTIONS. */
static unsigned
allowed(const struct kith_resource *resource, const struct kith_route *route)
{
	unsigned with = resource->no_cors ? 0u : KITH_OPTIONS;

	return route->methods | with | (route->methods & KITH_GET ? KITH_HEAD : 0u);
}

static int
refuse_method(struct kith_request *req, unsigned methods)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS" };
	struct kith_buf list;

	kith_buf_init(&list, req->arena, 64);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (methods & 1u << i)
			kith_buf_printf(&list, "%s%s", list.len ? ", " : "", names[i]);
	kith_reply_header(req, "Allow", "%s", list.s);
	return kith_fail(req, 405, "KITH405", "the method is not allowed");
}

int
kith_route_handle(struct kith_request *req, const struct kith_resource *resource)
{
	const char *path = req->path + strlen(resource->mount);
	unsigned methods = 0;

	for (const struct kith_route *r = resource->routes; r && r->path; r++) {
		const char *tail = tail_of(r, path);

		if (!tail)
			continue;
		req->route = kith_format(req->arena, "%s%s", resource->mount, r->path);
		req->tail = tail;
		if (req->method & allowed(resource, r))
			return r->handle(req);
		methods |= allowed(resource, r);
	}
	if (methods)
		return refuse_method(req, methods);
	return kith_fail(req, 404, "KITH404", "there is nothing at this path");
}
