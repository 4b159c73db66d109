/* Goal: a form is read as browsers write it, however its bytes arrive, and nothing else is taken for one. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "multipart.h"

#define TYPE "multipart/form-data; boundary=XyZ"

static struct kith_request *req;
static const char *input;

static size_t
receive(void *p, size_t n)
{
	memcpy(p, input, n);
	input += n;
	return n;
}

static struct kith_multipart *
begin(const char *type, const char *body, size_t n)
{
	req = unit_request();
	unit_header(req, "content-type", type);
	input = body;
	req->unread = n;
	req->receive = receive;
	return kith_multipart_new(req);
}

#define begin_text(body) begin(TYPE, (body), strlen(body))

static void
refused(const char *body)
{
	struct kith_multipart *m = begin_text(body);
	struct kith_part part;
	int more;

	assert_non_null(m);
	while ((more = kith_multipart_next(m, &part)) > 0)
		;
	if (!more)
		fail_msg("taken for a form: %s", body);
	assert_int_equal(req->error.status, 400);
}

static void
parts(void **state)
{
	static const char body[] =
	    "--XyZ\r\nContent-Disposition: form-data; name=\"cacheControl\"\r\n\r\n3600\r\n"
	    "--XyZ\r\ncontent-disposition: form-data; name=\"\"; filename=\"blob\"\r\nContent-Type: audio/webm;codecs=opus\r\n\r\n"
	    "a\r\n--XyzZY\0\r\n-\r\n"
	    "--XyZ \t\r\nContent-Disposition: form-data; filename=last\r\n\r\n\r\n"
	    "--XyZ--\r\nwhatever";
	struct kith_multipart *m = begin(TYPE, body, sizeof(body) - 1);
	struct kith_part part;
	const char *p;
	ssize_t n;

	(void)state;
	assert_int_equal(kith_multipart_next(m, &part), 1);
	assert_string_equal(part.name, "cacheControl");
	assert_null(part.filename);
	assert_null(part.type);
	assert_string_equal(kith_multipart_text(m, 4), "3600");
	assert_int_equal(kith_multipart_next(m, &part), 1);
	assert_string_equal(part.name, "");
	assert_string_equal(part.filename, "blob");
	assert_string_equal(part.type, "audio/webm;codecs=opus");
	n = kith_multipart_read(m, &p);
	assert_int_equal(n, 14);
	assert_memory_equal(p, "a\r\n--XyzZY\0\r\n-", 14);
	assert_int_equal(kith_multipart_read(m, &p), 0);
	assert_int_equal(kith_multipart_read(m, &p), 0);
	assert_int_equal(kith_multipart_next(m, &part), 1);
	assert_string_equal(part.name, "");
	assert_string_equal(part.filename, "last");
	assert_string_equal(kith_multipart_text(m, 0), "");
	assert_int_equal(kith_multipart_next(m, &part), 0);
	assert_int_equal(req->unread, 0);
}

/* Longer than the buffer, with beginnings of a boundary at every distance from its end. */
static void
long_part(void **state)
{
	static const char head[] = "--XyZ\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n", tail[] = "\r\n--XyZ--\r\n";
	static char body[sizeof(head) + 300000 + sizeof(tail)], seen[300000];

	(void)state;
	for (size_t size = 130900; size < 131300; size++) {
		struct kith_multipart *m;
		struct kith_part part;
		size_t total = 0;
		const char *p;
		ssize_t n;

		memcpy(body, head, sizeof(head) - 1);
		for (size_t i = 0; i < size; i++)
			body[sizeof(head) - 1 + i] = "\r\n--XyQ"[i % 7];
		memcpy(body + sizeof(head) - 1 + size, tail, sizeof(tail) - 1);
		m = begin(TYPE, body, sizeof(head) - 1 + size + sizeof(tail) - 1);
		assert_int_equal(kith_multipart_next(m, &part), 1);
		while ((n = kith_multipart_read(m, &p)) > 0) {
			assert_true(total + (size_t)n <= size);
			memcpy(seen + total, p, (size_t)n);
			total += (size_t)n;
		}
		assert_int_equal(n, 0);
		assert_int_equal(total, size);
		assert_memory_equal(seen, body + sizeof(head) - 1, size);
		assert_int_equal(kith_multipart_next(m, &part), 0);
	}
}

static void
boundaries(void **state)
{
	static const char *const good[] = { "multipart/form-data; boundary=a", "Multipart/Form-Data;boundary=\"a b\"",
		"multipart/form-data; charset=utf-8; Boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", NULL };
	static const char *const bad[] = { "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
		"multipart/form-data; boundary=\"a", "multipart/form-data; boundary=\"a \"", "multipart/form-data; boundary=\xc3\xa4",
		"multipart/form-data; xboundary=a",
		"multipart/form-data; boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL };

	(void)state;
	for (const char *const *type = good; *type; type++) {
		assert_non_null(begin(*type, "", 0));
		assert_true(kith_multipart_declared(req));
	}
	for (const char *const *type = bad; *type; type++) {
		if (begin(*type, "", 0))
			fail_msg("taken: %s", *type);
		assert_int_equal(req->error.status, 400);
	}
	begin("multipart/form-data2; boundary=a", "", 0);
	assert_false(kith_multipart_declared(req));
	begin("multipart/mixed; boundary=a", "", 0);
	assert_false(kith_multipart_declared(req));
}

#define PART "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n"

static void
broken(void **state)
{
	static char header[17000 + sizeof(PART)] = "--XyZ\r\nX: ";

	(void)state;
	refused("");
	refused("--XyZ");
	refused("--XyZ\r\n");
	refused("--XyZ-");
	refused("--XyZx\r\n");
	refused("XyZ--");
	refused(PART);
	refused(PART "x");
	refused(PART "x\r\n");
	refused(PART "x\r\n--Xy");
	refused(PART "x\r\n--XyZ");
	refused(PART "x\n--XyZ--");
	refused("--XyZ\r\nContent-Disposition: form-data; name=a\r\n");
	refused("--XyZ\r\n\r\nx\r\n--XyZ--");
	refused("--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XyZ--");
	refused("--XyZ\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\nx\r\n--XyZ--");
	memset(header + 10, 'x', 17000);
	memcpy(header + 17010, "\r\n--XyZ--", 9);
	refused(header);
}

static void
half(void **state)
{
	struct kith_multipart *m = begin_text(PART "x\r\n--XyZ--");
	struct kith_part part;

	(void)state;
	assert_int_equal(kith_multipart_next(m, &part), 1);
	assert_null(kith_multipart_text(m, 0));
	assert_int_equal(req->error.status, 400);
	m = begin_text(PART "\xff\r\n--XyZ--");
	assert_int_equal(kith_multipart_next(m, &part), 1);
	assert_null(kith_multipart_text(m, 10));
	assert_int_equal(req->error.status, 400);
}

static size_t
gone(void *p, size_t n)
{
	(void)p;
	(void)n;
	return 0;
}

static void
left(void **state)
{
	struct kith_multipart *m = begin(TYPE, "", 1000);
	struct kith_part part;

	(void)state;
	req->receive = gone;
	assert_int_equal(kith_multipart_next(m, &part), -1);
	assert_int_equal(req->error.status, 499);
}

static void
quoting(void **state)
{
	static const char body[] = "--XyZ\r\n"
	    "Content-Disposition: form-data; name=\"a\\\"b\\\\c\\d\"; filename=\"C:\\dir\\x; name=y.txt\"\r\n\r\nx\r\n--XyZ--";
	struct kith_multipart *m = begin_text(body);
	struct kith_part part;

	(void)state;
	assert_int_equal(kith_multipart_next(m, &part), 1);
	assert_string_equal(part.name, "a\"b\\c\\d");
	assert_string_equal(part.filename, "C:\\dir\\x; name=y.txt");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("fields, files, empty ones, and what only looks like a boundary", parts),
		unit_that("a boundary is found wherever the buffer ends", long_part),
		unit_that("a form is what says so and names its boundary", boundaries),
		unit_that("what is broken is refused", broken),
		unit_that("a field is short text", half),
		unit_that("a client that left has sent no form", left),
		unit_that("names are unquoted as browsers quote them", quoting),
	};

	return unit_run(tests);
}
