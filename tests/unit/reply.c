/* Goal: an answer arrives whole, framed as FastCGI, with the headers that belong to it and no others. */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reply.h"

#define ID 513

static char *text;	/* what came on FCGI_STDOUT */
static size_t text_len;

static void *
read_all(void *arg)
{
	int fd = *(int *)arg;
	size_t len = 0, cap = 0;
	char *raw = NULL;
	ssize_t n;

	do {
		if (cap - len < 65536)
			raw = realloc(raw, cap = cap * 2 + 65536);
		n = read(fd, raw + len, cap - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	text = raw;
	text_len = len;
	return NULL;
}

/* Checks the records and leaves their content in text. */
static void
unframe(void)
{
	unsigned char *p = (unsigned char *)text, *stop = p + text_len;
	bool closed = false, ended = false;
	char *to = text;

	while (p < stop) {
		size_t n = (size_t)p[4] << 8 | p[5];
		int type = p[1];

		assert_true(stop - p >= 8 && !ended);
		assert_int_equal(p[0], 1);
		assert_int_equal(p[2] << 8 | p[3], ID);
		p += 8;
		assert_true((size_t)(stop - p) >= n);
		if (type == 6) {
			assert_false(closed);
			closed = !n;
			memmove(to, p, n);
			to += n;
		} else {
			assert_int_equal(type, 3);
			assert_int_equal(n, 8);
			assert_true(closed);
			ended = true;
		}
		p += n;
	}
	assert_true(ended);
	text_len = (size_t)(to - text);
	*to = '\0';
}

static void
send_reply(struct kith_request *req)
{
	pthread_t reader;
	int pair[2];

	free(text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_all, &pair[1]), 0);
	req->fd = pair[0];
	assert_int_equal(kith_reply_send(req, ID), 0);
	close(pair[0]);
	pthread_join(reader, NULL);
	close(pair[1]);
	unframe();
}

static bool
has(const char *header)
{
	return strstr(text, header) != NULL;
}

static const char *
body(void)
{
	return strstr(text, "\r\n\r\n") + 4;
}

static void
plain(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	req->reply.status = 206;
	kith_reply_header(req, "Content-Type", "text/csv");
	kith_reply_header(req, "Content-Range", "%d-%d/*", 0, 9);
	kith_buf_puts(&req->reply.body, "a,b");
	send_reply(req);
	assert_memory_equal(text, "Status: 206 Partial Content\r\n", 29);
	assert_true(has("\r\nContent-Type: text/csv\r\n"));
	assert_true(has("\r\nContent-Range: 0-9/*\r\n"));
	assert_true(has("\r\nContent-Length: 3\r\n"));
	assert_true(has("\r\nAccess-Control-Allow-Origin: *\r\n"));
	assert_true(has("Access-Control-Expose-Headers: Content-Range"));
	assert_string_equal(body(), "a,b");
}

static void
without_body(void **state)
{
	static const struct {
		enum kith_method method;
		int status;
	} rows[] = { { KITH_HEAD, 200 }, { KITH_PATCH, 204 }, { KITH_GET, 304 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kith_request *req = unit_request();

		req->method = rows[i].method;
		req->reply.status = rows[i].status;
		kith_reply_header(req, "Content-Type", "application/json");
		kith_reply_header(req, "Content-Range", "0-1/2");
		kith_buf_puts(&req->reply.body, "[]");
		send_reply(req);
		assert_false(has("Content-Type"));
		assert_false(has("Content-Length"));
		assert_true(has("Content-Range: 0-1/2"));
		assert_string_equal(body(), "");
	}
}

static void
created(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	req->method = KITH_POST;
	req->reply.status = 201;
	send_reply(req);
	assert_true(has("Content-Length: 0\r\n"));
	assert_false(has("Content-Type"));
}

static void
errors(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "text/csv");
	kith_reply_header(req, "WWW-Authenticate", "Bearer");
	kith_buf_puts(&req->reply.body, "half an answ");
	kith_fail(req, 401, "PGRST303", "JWT expired");
	send_reply(req);
	assert_memory_equal(text, "Status: 401 Unauthorized\r\n", 26);
	assert_false(has("text/csv"));
	assert_true(has("\r\nWWW-Authenticate: Bearer\r\n"));
	assert_true(has("\r\nProxy-Status: Kith; error=PGRST303\r\n"));
	assert_true(has("\r\nContent-Type: application/json; charset=utf-8\r\n"));
	assert_true(has("\r\nAccess-Control-Allow-Origin: *\r\n"));
	assert_false(has("\r\nRetry-After"));
	assert_string_equal(body(),
	    "{\"code\":\"PGRST303\",\"details\":null,\"hint\":null,\"message\":\"JWT expired\"}");
}

static void
head_errors(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	req->method = KITH_HEAD;
	kith_fail(req, 503, "PGRST001", "Database connection lost");
	send_reply(req);
	assert_memory_equal(text, "Status: 503 ", 12);
	assert_true(has("\r\nProxy-Status: Kith; error=PGRST001\r\n"));
	assert_true(has("\r\nRetry-After: 1\r\n"));
	assert_false(has("Content-Type"));
	assert_string_equal(body(), "");
}

static void
strange_statuses(void **state)
{
	static const int rows[] = { 0, -1, 101, 600 };
	struct kith_request *req;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		req = unit_request();
		req->reply.status = rows[i];
		send_reply(req);
		assert_memory_equal(text, "Status: 500 ", 12);
	}
	req = unit_request();
	req->reply.status = 418;
	send_reply(req);
	assert_memory_equal(text, "Status: 418 Refused\r\n", 21);
}

static void
header_safety(void **state)
{
	struct kith_request *req = unit_request();
	char value[700];

	(void)state;
	kith_reply_header(req, "Location", "/x%s", "\r\nSet-Cookie: a=b\x7f\t\x01");
	assert_string_equal(req->reply.headers.s, "Location: /x  Set-Cookie: a=b   \r\n");
	for (size_t n = 100; n < sizeof(value); n += 7) {
		req = unit_request();
		memset(value, 'v', n);
		value[n] = '\0';
		kith_reply_header(req, "A", "%s", value);
		assert_int_equal(req->reply.headers.len, n + 5);
		assert_int_equal(strspn(req->reply.headers.s + 3, "v"), n);
	}
}

static void
preflight(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	unit_header(req, "access-control-request-headers", "apikey,authorization , Prefer,b@d,x y,,end");
	kith_reply_preflight(req);
	send_reply(req);
	assert_memory_equal(text, "Status: 200 OK\r\n", 16);
	assert_true(has("\r\nAccess-Control-Allow-Headers: apikey, authorization, Prefer, end\r\n"));
	assert_true(has("\r\nAccess-Control-Allow-Methods: GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS\r\n"));
	assert_true(has("\r\nAccess-Control-Max-Age: 86400\r\n"));
	assert_true(has("\r\nAccess-Control-Allow-Origin: *\r\n"));
	assert_true(has("\r\nContent-Length: 0\r\n"));
}

static void
preflight_without_headers(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	unit_header(req, "access-control-request-headers", "(,)");
	kith_reply_preflight(req);
	assert_null(strstr(req->reply.headers.s, "Allow-Headers"));
	req = unit_request();
	kith_reply_preflight(req);
	assert_non_null(strstr(req->reply.headers.s, "Allow-Headers: apikey, authorization, "));
}

/* More than one record, more than one sendmsg, more than the socket holds. */
static void
large(void **state)
{
	static const size_t sizes[] = { 65527, 65528, 65529, 3 * 65528, 5000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct kith_request *req = unit_request();
		const char *got;

		req->reply.status = 200;
		kith_buf_reserve(&req->reply.body, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			req->reply.body.s[k] = (char)('a' + k % 23);
		req->reply.body.len = sizes[i];
		send_reply(req);
		got = body();
		assert_int_equal(text + text_len - got, sizes[i]);
		assert_memory_equal(got, req->reply.body.s, sizes[i]);
	}
}

static void
peer_gone(void **state)
{
	struct kith_request *req = unit_request();
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	req->fd = pair[0];
	req->reply.status = 200;
	assert_int_equal(kith_reply_send(req, ID), -1);
	close(pair[0]);
}

static void
out_of_memory(void **state)
{
	struct kith_request *req = unit_request();
	pthread_t reader;
	int pair[2];

	(void)state;
	free(text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_all, &pair[1]), 0);
	req->fd = pair[0];
	kith_reply_exhausted(req, ID);
	close(pair[0]);
	pthread_join(reader, NULL);
	close(pair[1]);
	unframe();
	assert_memory_equal(text, "Status: 503 ", 12);
	assert_true(has("\r\nRetry-After: 1\r\n"));
	assert_memory_equal(body(), "{\"code\":\"KITH503\",", 18);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("an answer has its status, headers, length and body", plain),
		unit_that("HEAD, 204 and 304 have no body and say nothing of one", without_body),
		unit_that("an empty body has length 0", created),
		unit_that("an error replaces what was begun, and keeps its own headers", errors),
		unit_that("an error of HEAD is in the headers", head_errors),
		unit_that("a status that is none becomes 500", strange_statuses),
		unit_that("no value ends a header line", header_safety),
		unit_that("a preflight is granted the headers it asks for", preflight),
		unit_that("a preflight that asks for nothing sensible gets a list or none", preflight_without_headers),
		unit_that("answers of any size arrive whole", large),
		unit_that("a peer that left ends the sending", peer_gone),
		unit_that("out of memory is told without memory", out_of_memory),
	};
	int failed = unit_run(tests);

	free(text);
	return failed;
}
