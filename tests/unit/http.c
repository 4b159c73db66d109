/* Goal: what a provider says is understood as it is meant, and calls go only where they may. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "http.h"
#include "settings.h"
#include "smtp.h"

/* Sun, 09 Sep 2001 01:46:40 GMT */
#define NOW 1000000000

static void
hints(void **state)
{
	static const struct {
		const char *header, *value;
		int64_t ms;
	} table[] = {
		{ "retry-after", "0", 0 },
		{ "retry-after", "2", 2000 },
		{ "retry-after", "Sun, 09 Sep 2001 01:46:45 GMT", 5000 },
		{ "retry-after", "Sun, 09 Sep 2001 01:46:35 GMT", 0 },
		{ "retry-after", "86400", KITH_HTTP_HINT_MAX_MS },
		{ "retry-after", "Mon, 10 Sep 2001 01:46:45 GMT", KITH_HTTP_HINT_MAX_MS },
		{ "retry-after", "soon", -1 },
		{ "retry-after", "-1", -1 },
		{ "retry-after", "", -1 },
		{ "retry-after", "99999999999999999999", -1 },
		{ "retry-after-ms", "20", 20 },
		{ "retry-after-ms", "1.5", -1 },
		{ "ratelimit-reset", "3", 3000 },
		{ "ratelimit-reset", "Sun, 09 Sep 2001 01:46:45 GMT", -1 },
		{ "x-ratelimit-reset", "1000000007", 7000 },
		{ "x-ratelimit-reset", "999999999", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(kith_http_hint(table[i].header, table[i].value, NOW), table[i].ms);
}

static void
outcomes(void **state)
{
	static const struct {
		long status;
		const char *should_retry;
		enum kith_outcome outcome;
	} table[] = {
		{ 200, NULL, KITH_DONE },
		{ 202, "false", KITH_DONE },
		{ 301, NULL, KITH_REFUSED },
		{ 400, NULL, KITH_REFUSED },
		{ 400, "true", KITH_FAILED },
		{ 401, NULL, KITH_DENIED },
		{ 401, "true", KITH_DENIED },
		{ 403, NULL, KITH_DENIED },
		{ 404, NULL, KITH_REFUSED },
		{ 408, NULL, KITH_FAILED },
		{ 409, NULL, KITH_FAILED },
		{ 409, "false", KITH_REFUSED },
		{ 422, NULL, KITH_REFUSED },
		{ 425, NULL, KITH_FAILED },
		{ 429, NULL, KITH_BUSY },
		{ 429, "true", KITH_BUSY },
		{ 429, "false", KITH_REFUSED },
		{ 500, NULL, KITH_FAILED },
		{ 503, NULL, KITH_FAILED },
		{ 500, "false", KITH_REFUSED },
		{ 599, "maybe", KITH_FAILED },
		{ 100, NULL, KITH_REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(kith_http_outcome(table[i].status, table[i].should_retry), table[i].outcome);
}

static void
smtp_outcomes(void **state)
{
	static const struct {
		long status;
		enum kith_outcome outcome;
	} table[] = {
		{ 421, KITH_BUSY },
		{ 450, KITH_FAILED },
		{ 451, KITH_FAILED },
		{ 452, KITH_FAILED },
		{ 454, KITH_DENIED },
		{ 500, KITH_REFUSED },
		{ 530, KITH_DENIED },
		{ 534, KITH_DENIED },
		{ 535, KITH_DENIED },
		{ 538, KITH_DENIED },
		{ 550, KITH_REFUSED },
		{ 554, KITH_REFUSED },
		{ 600, KITH_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(kith_smtp_outcome(table[i].status), table[i].outcome);
}

static void
urls(void **state)
{
	static const char *const fine[] = { "https://api.example", "https://api.example/v1", "http://127.0.0.1:9/x",
		"http://localhost", "http://[::1]:9", "http://127.8.8.8" };
	static const char *const not_fine[] = { "", "api.example", "ftp://api.example", "file:///etc/passwd",
		"http://api.example", "http://127.0.0.1.example", "http://localhost.example", "https://",
		"https://u:p@api.example", "smtp://localhost", "http://127.0.0.1@api.example" };

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		assert_null(kith_outgoing_refuse(fine[i], "https http"));
	for (size_t i = 0; i < sizeof(not_fine) / sizeof(*not_fine); i++)
		if (!kith_outgoing_refuse(not_fine[i], "https http"))
			fail_msg("accepted: %s", not_fine[i]);
	kith_settings.allow_http_providers = true;
	assert_null(kith_outgoing_refuse("http://api.example", "https http"));
	kith_settings.allow_http_providers = false;
	assert_null(kith_outgoing_refuse("smtp://mail.example:587", "smtp smtps"));
	assert_null(kith_outgoing_refuse("smtps://mail.example", "smtp smtps"));
	assert_non_null(kith_outgoing_refuse("https://mail.example", "smtp smtps"));
	assert_non_null(kith_outgoing_refuse("smtp://u:p@mail.example", "smtp smtps"));
}

static void
bases(void **state)
{
	struct kith_arena *a = unit_request()->arena;

	(void)state;
	assert_string_equal(
	    kith_http_new(a, "x", "GET", "https://api.example", "/emails")->url, "https://api.example/emails");
	assert_string_equal(
	    kith_http_new(a, "x", "GET", "https://api.example/", "/emails")->url, "https://api.example/emails");
	assert_string_equal(kith_http_new(a, "x", "GET", "http://127.0.0.1:9/openai/v1/", "/emails")->url,
	    "http://127.0.0.1:9/openai/v1/emails");
}

/* C13: nothing is called, or these would be KITH_UNREACHED. */
static void
not_sent(void **state)
{
	static const char *const values[] = { "a\r\nHost: evil", "a\nb", "a\x7f", "\x01" };
	struct kith_arena *a = unit_request()->arena;
	struct kith_http *call;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		call = kith_http_new(a, "x", "GET", "http://127.0.0.1:1", "/");
		kith_http_header(call, "Idempotency-Key", "%s", values[i]);
		assert_int_equal(kith_http_send(call), KITH_REFUSED);
		assert_string_equal(call->error, "x: a header holds what cannot be sent");
	}
	call = kith_http_new(a, "x", "GET", "http://api.example", "/");
	assert_int_equal(kith_http_send(call), KITH_REFUSED);
	assert_string_equal(call->error, "x: the URL cannot be used");
}

static void
nobody_there(void **state)
{
	struct kith_http *call = kith_http_new(unit_request()->arena, "x", "POST", "http://127.0.0.1:1", "/");

	(void)state;
	call->body = "{}";
	assert_int_equal(kith_http_send(call), KITH_UNREACHED);
	assert_int_equal(call->status, 0);
	assert_int_equal(call->retry_ms, -1);
	assert_string_equal(call->answer, "");
	assert_non_null(strstr(call->error, "x: "));
}

static void
secrets(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	char path[] = "/tmp/kith-secret-XXXXXX";
	int fd = mkstemp(path);
	const char *why;

	(void)state;
	assert_true(fd >= 0);
	assert_null(kith_outgoing_secret(a, path, &why));
	assert_string_equal(why, "it is empty");
	assert_int_equal(write(fd, "re_1\nmore\n", 10), 10);
	assert_string_equal(kith_outgoing_secret(a, path, &why), "re_1");
	fchmod(fd, 0604);
	assert_null(kith_outgoing_secret(a, path, &why));
	assert_non_null(strstr(why, "others may read it"));
	unlink(path);
	close(fd);
	assert_null(kith_outgoing_secret(a, path, &why));
	assert_non_null(why);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("every form of \"not before\" is a number of milliseconds", hints),
		unit_that("a status says whether a job is done, refused, or tried again", outcomes),
		unit_that("so does the reply of a mail server", smtp_outcomes),
		unit_that("only https is called, but on loopback", urls),
		unit_that("a base may end with a slash or hold a path", bases),
		unit_that("what cannot be sent safely is not sent", not_sent),
		unit_that("where nobody listens nothing went out", nobody_there),
		unit_that("a secret that others may read is none", secrets),
	};

	return unit_run(tests);
}
