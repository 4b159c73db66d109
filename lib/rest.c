#include "rest.h"

#include <string.h>

#include "arena.h"
#include "auth.h"
#include "catalog.h"
#include "db.h"
#include "resource.h"
#include "rest_internal.h"
#include "settings.h"
#include "sql.h"

#define MOUNT "/rest/v1/"
#define RPC "rpc/"

static bool
listed(const char *const *names, const char *name)
{
	for (int i = 0; i < KITH_RESOURCE_MAX && names[i]; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static int
fail_path(struct kith_request *req)
{
	kith_fail(req, 404, "PGRST125", "Invalid path specified in request URL");
	return kith_fail_hint(req, "Tables are at " MOUNT "<table>, functions at " MOUNT RPC "<function>.");
}

/* Sets name and rpc from the path. */
static int
parse_path(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	const char *s = req->path;
	size_t n;

	if (strncmp(s, MOUNT, strlen(MOUNT)))
		return fail_path(req);
	s += strlen(MOUNT);
	rest->root = !*s;
	rest->name = "";
	if (rest->root) {
		kith_rest_known(rest);
		return 0;
	}
	rest->rpc = !strncmp(s, RPC, strlen(RPC));
	if (rest->rpc)
		s += strlen(RPC);
	n = strlen(s);
	if (!n || memchr(s, '/', n))
		return fail_path(req);
	rest->name = kith_request_decode(req, s, n, false, "path");
	return rest->name ? 0 : -1;
}

static int
check_method(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	unsigned allowed = KITH_GET | KITH_HEAD;

	if (!rest->root)
		allowed |= KITH_POST | (rest->rpc ? 0u : KITH_PATCH | KITH_DELETE);
	if (req->method & allowed)
		return 0;
	kith_reply_header(req, "Allow", rest->root ? "GET, HEAD, OPTIONS" : rest->rpc ?
	    "GET, HEAD, POST, OPTIONS" : "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
	if (rest->rpc)
		return kith_fail(req, 405, "PGRST101", "Cannot use the %.40s method on RPC", req->method_name);
	return kith_fail(req, 405, "PGRST117", "Unsupported HTTP method: %.40s", req->method_name);
}

static int
choose_schema(struct kith_rest *rest)
{
	struct kith_request *req = rest->req;
	bool reads = req->method == KITH_GET || req->method == KITH_HEAD;
	const char *profile = kith_request_header(req, reads ? "accept-profile" : "content-profile");
	struct kith_buf exposed;

	rest->schema = kith_settings.schemas[0];
	if (!profile)
		return 0;
	kith_buf_init(&exposed, req->arena, 0);
	for (const char **s = kith_settings.schemas; *s; s++) {
		kith_buf_printf(&exposed, "%s%s", exposed.len ? ", " : "", *s);
		if (!strcmp(*s, profile)) {
			rest->schema = *s;
			return 0;
		}
	}
	kith_fail(req, 406, "PGRST106", "Invalid schema: %.100s", profile);
	return kith_fail_hint(req, "Only the following schemas are exposed: %s", exposed.s);
}

/* A name that exists may stand in the log; any other may be a secret in the wrong place. */
void
kith_rest_known(struct kith_rest *rest)
{
	rest->req->route = kith_format(rest->req->arena, MOUNT "%s%s", rest->rpc ? RPC : "", rest->name);
}

/* The exposed schema first, then what apps expect to find without a prefix. */
static const char *
search_path(struct kith_rest *rest)
{
	struct kith_sql *path = kith_sql_new(rest->req->arena);

	kith_sql_ident(path, rest->schema);
	kith_sql_text(path, ", public, extensions");
	return path->text.s;
}

/* Codes of names that the catalog does not know: they may have come since it was read. */
static bool
may_be_outdated(const char *code)
{
	static const char *const codes[] = { "PGRST200", "PGRST202", "PGRST204", "PGRST205", "42703", "42P01" };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(codes[i], code))
			return true;
	return false;
}

static int
dispatch(struct kith_rest *rest)
{
	return rest->rpc ? kith_rest_rpc(rest) : kith_rest_table(rest);
}

int
kith_rest_handle(struct kith_request *req, const struct kith_resource *resource)
{
	struct kith_rest rest = { .req = req, .hooks = resource->hooks };
	struct kith_error first;

	if (parse_path(&rest))
		return -1;
	if (listed(rest.rpc ? resource->functions : resource->tables, rest.name))
		kith_rest_known(&rest);
	if (kith_auth_identify(req) || check_method(&rest) || choose_schema(&rest) ||
	    kith_prefer_parse(req, &rest.prefer))
		return -1;
	if (rest.root)
		return kith_media_accept_openapi(req, &rest.media) || kith_rest_root(&rest) ? -1 : 0;
	if (kith_media_accept(req, &rest.media))
		return -1;
	rest.transaction.search_path = search_path(&rest);
	rest.transaction.timezone = rest.prefer.timezone;
	kith_db_notices(req);
	if (!dispatch(&rest))
		return 0;
	if (!may_be_outdated(req->error.code))
		return -1;
	first = req->error;
	memset(&req->error, 0, sizeof(req->error));
	if (kith_catalog_refresh(req)) {
		rest.catalog = NULL;
		return dispatch(&rest);
	}
	req->error = first;
	return -1;
}
