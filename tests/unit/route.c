/* Goal: a path and a method reach the handler that is listed for them, and nothing else reaches any. */
#include "unit.h"

#include <string.h>

#include "error.h"
#include "resource.h"
#include "route.h"

static const char *called;

static int
token(struct kith_request *req)
{
	called = "token";
	req->reply.status = 200;
	return 0;
}

static int
read_user(struct kith_request *req)
{
	called = "read_user";
	req->reply.status = 200;
	return 0;
}

static int
change_user(struct kith_request *req)
{
	called = "change_user";
	return kith_fail(req, 422, "KITH422", "no");
}

static int
any_user(struct kith_request *req)
{
	called = "any_user";
	req->reply.status = 200;
	return 0;
}

static int
root(struct kith_request *req)
{
	called = "root";
	req->reply.status = 200;
	return 0;
}

static const struct kith_route routes[] = {
	{ KITH_GET, "", root },
	{ KITH_POST, "/token", token },
	{ KITH_GET, "/user", read_user },
	{ KITH_PUT | KITH_PATCH, "/user", change_user },
	{ KITH_GET | KITH_DELETE, "/users/*", any_user },
	{ 0 },
};

static const struct kith_resource gate = { .name = "gate", .mount = "/gate/v1", .routes = routes };
static const struct kith_resource tables = { .name = "tables", .tables = { "tables" } };

static struct kith_request *
ask(enum kith_method method, const char *path)
{
	struct kith_request *req = unit_request();
	int rc;

	called = "nobody";
	req->method = method;
	req->path = path;
	assert_true(kith_route_mounted(&gate, path));
	rc = kith_route_handle(req, &gate);
	assert_int_equal(rc, req->error.status ? -1 : 0);
	return req;
}

static void
reached(enum kith_method method, const char *path, const char *who, const char *tail, const char *route)
{
	struct kith_request *req = ask(method, path);

	assert_string_equal(called, who);
	assert_string_equal(req->tail, tail);
	assert_string_equal(req->route, route);
}

static void
refused(enum kith_method method, const char *path, int status, const char *headers)
{
	struct kith_request *req = ask(method, path);

	assert_string_equal(called, "nobody");
	assert_int_equal(req->error.status, status);
	assert_string_equal(req->reply.headers.s, headers);
}

static void
by_path(void **state)
{
	(void)state;
	reached(KITH_POST, "/gate/v1/token", "token", "", "/gate/v1/token");
	reached(KITH_GET, "/gate/v1/user", "read_user", "", "/gate/v1/user");
	reached(KITH_GET, "/gate/v1", "root", "", "/gate/v1");
}

static void
by_method(void **state)
{
	struct kith_request *req;

	(void)state;
	reached(KITH_PATCH, "/gate/v1/user", "change_user", "", "/gate/v1/user");
	req = ask(KITH_PUT, "/gate/v1/user");
	assert_string_equal(called, "change_user");
	assert_int_equal(req->error.status, 422);
}

static void
head_is_get(void **state)
{
	(void)state;
	reached(KITH_HEAD, "/gate/v1/user", "read_user", "", "/gate/v1/user");
	refused(KITH_HEAD, "/gate/v1/token", 405, "Allow: POST, OPTIONS\r\n");
}

static void
by_tail(void **state)
{
	(void)state;
	reached(KITH_GET, "/gate/v1/users/7/factors", "any_user", "7/factors", "/gate/v1/users/*");
	reached(KITH_DELETE, "/gate/v1/users/a%2Fb", "any_user", "a%2Fb", "/gate/v1/users/*");
	reached(KITH_GET, "/gate/v1/users/", "any_user", "", "/gate/v1/users/*");
	refused(KITH_GET, "/gate/v1/users", 404, "");
}

static void
wrong_method(void **state)
{
	(void)state;
	refused(KITH_POST, "/gate/v1/user", 405, "Allow: GET, HEAD, PATCH, PUT, OPTIONS\r\n");
	refused(KITH_OTHER, "/gate/v1/users/7", 405, "Allow: GET, HEAD, DELETE, OPTIONS\r\n");
}

static void
no_page(void **state)
{
	static const struct kith_resource closed = { .name = "gate", .mount = "/gate/v1", .routes = routes, .no_cors = true };
	struct kith_request *req = unit_request();

	(void)state;
	req->method = KITH_OPTIONS;
	req->path = "/gate/v1/token";
	assert_int_equal(kith_route_handle(req, &closed), -1);
	assert_int_equal(req->error.status, 405);
	assert_string_equal(req->reply.headers.s, "Allow: POST\r\n");
}

static void
wrong_path(void **state)
{
	static const char *const paths[] = { "/gate/v1/", "/gate/v1/Token", "/gate/v1/tok%65n", "/gate/v1/token/",
		"/gate/v1//token", "/gate/v1/toke", "/gate/v1/tokens", "/gate/v1/../v1/token" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		refused(KITH_POST, paths[i], 404, "");
}

static void
mounted(void **state)
{
	(void)state;
	assert_true(kith_route_mounted(&gate, "/gate/v1/x"));
	assert_false(kith_route_mounted(&gate, "/gate/v10"));
	assert_false(kith_route_mounted(&gate, "/gate"));
	assert_false(kith_route_mounted(&gate, ""));
	assert_false(kith_route_mounted(&tables, "/rest/v1/tables"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a path reaches its handler", by_path),
		unit_that("a path has a handler for each method, whose refusal stands", by_method),
		unit_that("HEAD goes where GET goes", head_is_get),
		unit_that("a star takes the rest of the path, as it was sent", by_tail),
		unit_that("another method is 405 with all that would do", wrong_method),
		unit_that("OPTIONS is one of them where no page asks", no_page),
		unit_that("another path is 404, however near", wrong_path),
		unit_that("a mount ends at a slash", mounted),
	};

	return unit_run(tests);
}
