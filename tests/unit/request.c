/* Goal: a request says exactly what the client sent, and an answer can be bent by nobody. */
#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"

static struct kith_request req;
static char texts[16][256];

/* Parameters as libfcgi hands them over: writable. */
static long
init(const char *const *params)
{
	static char *copies[17];
	size_t n = 0;

	for (; *params; params++, n++) {
		assert_true(n < 16 && strlen(*params) < sizeof(texts[0]));
		copies[n] = strcpy(texts[n], *params);
	}
	copies[n] = NULL;
	return kith_request_init(&req, unit_request()->arena, copies);
}

#define init_with(...) init((const char *const[]){ __VA_ARGS__, NULL })

static void
parameters(void **state)
{
	long length = init_with("FCGI_ROLE=RESPONDER", "REQUEST_METHOD=PATCH",
	    "REQUEST_URI=/rest/v1/a%20b?x=1?&y=%3F", "QUERY_STRING=other", "REMOTE_ADDR=10.0.0.1",
	    "CONTENT_LENGTH=12", "CONTENT_TYPE=text/csv", "HTTP_ACCEPT_PROFILE=public", "HTTP_PREFER=", "broken");

	(void)state;
	assert_int_equal(length, 12);
	assert_int_equal(req.method, KITH_PATCH);
	assert_string_equal(req.method_name, "PATCH");
	assert_string_equal(req.path, "/rest/v1/a%20b");
	assert_string_equal(req.query, "x=1?&y=%3F");
	assert_string_equal(req.remote_addr, "10.0.0.1");
	assert_string_equal(kith_request_header(&req, "accept-profile"), "public");
	assert_string_equal(kith_request_header(&req, "content-type"), "text/csv");
	assert_string_equal(kith_request_header(&req, "prefer"), "");
	assert_null(kith_request_header(&req, "accept"));
	assert_string_equal(req.body, "");
	assert_int_equal(req.rows, -1);
	assert_int_equal(req.reply.status, 0);
}

static void
empty_request(void **state)
{
	(void)state;
	assert_int_equal(init((const char *const[]){ NULL }), 0);
	assert_int_equal(req.method, KITH_OTHER);
	assert_string_equal(req.path, "");
	assert_string_equal(req.query, "");
	assert_null(kith_request_header(&req, "host"));
	assert_int_equal(init_with("CONTENT_LENGTH=", "CONTENT_TYPE="), 0);
	assert_null(kith_request_header(&req, "content-type"));
}

static void
methods(void **state)
{
	static const struct {
		const char *param;
		enum kith_method method;
	} rows[] = {
		{ "REQUEST_METHOD=GET", KITH_GET },
		{ "REQUEST_METHOD=HEAD", KITH_HEAD },
		{ "REQUEST_METHOD=POST", KITH_POST },
		{ "REQUEST_METHOD=PUT", KITH_PUT },
		{ "REQUEST_METHOD=DELETE", KITH_DELETE },
		{ "REQUEST_METHOD=OPTIONS", KITH_OPTIONS },
		{ "REQUEST_METHOD=get", KITH_OTHER },
		{ "REQUEST_METHOD=GETX", KITH_OTHER },
		{ "REQUEST_METHOD=TRACE", KITH_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		init_with(rows[i].param);
		assert_int_equal(req.method, rows[i].method);
	}
}

static void
content_lengths(void **state)
{
	static const char *const bad[] = { "CONTENT_LENGTH=-1", "CONTENT_LENGTH=1 ", "CONTENT_LENGTH=+1",
		"CONTENT_LENGTH=0x1", "CONTENT_LENGTH=99999999999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(init_with(bad[i]), -1);
	/* nginx's own count is the one that is true. */
	assert_int_equal(init_with("HTTP_CONTENT_LENGTH=7", "CONTENT_LENGTH=5"), 5);
	assert_int_equal(kith_request_header_count(&req, "content-length"), 1);
	assert_int_equal(init_with("HTTP_CONTENT_TYPE=a", "CONTENT_TYPE=b"), 0);
	assert_int_equal(kith_request_header_count(&req, "content-type"), 1);
	assert_string_equal(kith_request_header(&req, "content-type"), "b");
}

static void
repeated_headers(void **state)
{
	(void)state;
	init_with("HTTP_PREFER=return=minimal", "HTTP_ACCEPT=a", "HTTP_PREFER=count=exact", "HTTP_PREFER=");
	assert_int_equal(kith_request_header_count(&req, "prefer"), 3);
	assert_int_equal(kith_request_header_count(&req, "accept"), 1);
	assert_int_equal(kith_request_header_count(&req, "host"), 0);
	assert_string_equal(kith_request_header(&req, "prefer"), "return=minimal");
	assert_string_equal(kith_request_header_list(&req, "prefer"), "return=minimal, count=exact, ");
	assert_string_equal(kith_request_header_list(&req, "accept"), "a");
	assert_null(kith_request_header_list(&req, "host"));
}

static void
proxy_header(void **state)
{
	(void)state;
	init_with("HTTP_PROXY=http://evil", "HTTP_PROXY_CONNECTION=x");
	assert_null(kith_request_header(&req, "proxy"));
	assert_string_equal(kith_request_header(&req, "proxy-connection"), "x");
}

static void
request_ids(void **state)
{
	static const char *const bad[] = { "KITH_REQUEST_ID=", "KITH_REQUEST_ID=short-7", "KITH_REQUEST_ID=with blank",
		"KITH_REQUEST_ID=two\nlines", "KITH_REQUEST_ID=quote\"s\"",
		"KITH_REQUEST_ID=65-0123456789012345678901234567890123456789012345678901234567890123" };
	char first[80];

	(void)state;
	init_with("KITH_REQUEST_ID=aZ09_-aZ");
	assert_string_equal(req.id, "aZ09_-aZ");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		init_with(bad[i]);
		assert_int_equal(strlen(req.id), 32);
		assert_int_equal(strspn(req.id, "0123456789abcdef"), 32);
	}
	strcpy(first, req.id);
	init_with("KITH_REQUEST_ID=");
	assert_string_not_equal(req.id, first);
}

static void
decoded(void **state)
{
	static const struct {
		const char *in;
		bool plus;
		const char *out;
	} rows[] = {
		{ "", true, "" },
		{ "a+b%20c", true, "a b c" },
		{ "a+b%20c", false, "a+b c" },
		{ "%2B%25%2f", true, "+%/" },
		{ "caf%C3%a9 \xf0\x9f\x98\x80", true, "caf\xc3\xa9 \xf0\x9f\x98\x80" },
		{ "%0d%0a", true, "\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kith_request *r = unit_request();
		const char *in = rows[i].in;

		assert_string_equal(kith_request_decode(r, in, strlen(in), rows[i].plus, "x"), rows[i].out);
		assert_int_equal(r->error.status, 0);
	}
	/* Only the n bytes given are looked at. */
	assert_string_equal(kith_request_decode(unit_request(), "ab%zz", 2, true, "x"), "ab");
}

static void
undecodable(void **state)
{
	static const char *const rows[] = { "%", "a%", "%4", "%zz", "%4g", "%%41", "a%00b", "%ff", "%C3", "%C0%80",
		"%ed%a0%80", "%f4%90%80%80", "\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kith_request *r = unit_request();

		assert_null(kith_request_decode(r, rows[i], strlen(rows[i]), true, "filter value"));
		assert_int_equal(r->error.status, 400);
		assert_string_equal(r->error.code, "PGRST100");
		assert_non_null(strstr(r->error.message, "filter value"));
		assert_non_null(r->error.details);
	}
	/* The cut may fall inside of an escape. */
	assert_null(kith_request_decode(unit_request(), "ab%41", 4, true, "x"));
}

static void
abandoned(void **state)
{
	int pair[2];

	(void)state;
	init((const char *const[]){ NULL });
	assert_false(kith_request_abandoned(&req));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	req.fd = pair[0];
	assert_false(kith_request_abandoned(&req));
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_false(kith_request_abandoned(&req));
	close(pair[1]);
	assert_true(kith_request_abandoned(&req));
	/* Just seen: that counts for a while, and no longer. */
	req.looked_us = kith_now_us();
	while (!kith_request_abandoned(&req))
		;
	assert_true(kith_now_us() - req.looked_us >= 1000);
	close(pair[0]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("parameters become method, path, query and headers", parameters),
		unit_that("a request without parameters is whole too", empty_request),
		unit_that("methods are case-sensitive", methods),
		unit_that("only a plain number is a content length, and nginx's wins", content_lengths),
		unit_that("repeated headers are all kept", repeated_headers),
		unit_that("a Proxy header is nobody's setting", proxy_header),
		unit_that("a strange request id is replaced", request_ids),
		unit_that("escapes are decoded", decoded),
		unit_that("broken escapes, NUL and bad UTF-8 are refused", undecodable),
		unit_that("a peer that left is noticed", abandoned),
	};

	return unit_run(tests);
}
