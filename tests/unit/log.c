/* Goal: whatever happens, the log is one JSON object a line, short, and nobody waits for it. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "auth.h"
#include "json.h"
#include "log.h"
#include "settings.h"

static char said[8192];
static int old_stderr;

/* From here to end_capture stderr is the write end of a pipe; returns the read end. */
static int
begin_capture(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	old_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	kith_log_init("unit");
	return fds[0];
}

static void
end_capture(int fd)
{
	ssize_t n = read(fd, said, sizeof(said) - 1);

	said[n > 0 ? n : 0] = '\0';
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(fd);
}

/* The one line in said, as a JSON object. */
static const struct kith_json *
line(void)
{
	size_t n = strlen(said);
	const char *error = "";
	const struct kith_json *v;

	assert_true(n > 0 && n <= 1024);
	assert_ptr_equal(strchr(said, '\n'), said + n - 1);
	v = kith_json_parse(unit_request()->arena, said, n, &error);
	assert_null(error);
	return v;
}

static const char *
message(const char *text)
{
	int fd = begin_capture();

	kith_log(KITH_LOG_WARNING, "%s", text);
	end_capture(fd);
	return kith_json_string(line(), "message");
}

static void
fields(void **state)
{
	const struct kith_json *v;

	(void)state;
	assert_string_equal(message("hello"), "hello");
	v = line();
	assert_int_equal(strlen(kith_json_string(v, "ts")), strlen("2026-01-02T03:04:05.678Z"));
	assert_string_equal(kith_json_string(v, "level"), "warning");
	assert_string_equal(kith_json_string(v, "program"), "unit");
	assert_int_equal(kith_json_get(v, "pid")->type, KITH_JSON_NUMBER);
}

static void
escapes(void **state)
{
	(void)state;
	assert_string_equal(message("\"quoted\" back\\slash"), "\"quoted\" back\\slash");
	assert_string_equal(message("two\r\nlines\t\x01\x7f"), "two\r\nlines\t\x01\x7f");
	assert_string_equal(message("caf\xc3\xa9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xf0\x9f\x98\x80");
	assert_string_equal(message("\xff\xc3 \xed\xa0\x80 \xf0\x9f"), "?? ??? ??");
}

/* However the limit falls, inside of a character or an escape, the line stays whole. */
static void
long_text(void **state)
{
	static const char *const fillers[] = { "x", "\"", "\n", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xff" };
	char text[3000];

	(void)state;
	for (size_t f = 0; f < sizeof(fillers) / sizeof(fillers[0]); f++) {
		for (size_t shift = 0; shift < 6; shift++) {
			memset(text, 'a', shift);
			text[shift] = '\0';
			while (strlen(text) < 2000)
				strcat(text, fillers[f]);
			assert_memory_equal(message(text), text, shift);
			assert_true(strlen(said) > 1000);
		}
	}
}

static void
levels(void **state)
{
	int fd = begin_capture();
	struct kith_request *req = unit_request();

	(void)state;
	kith_settings.log_level = KITH_LOG_ERROR;
	kith_log(KITH_LOG_WARNING, "not this");
	req->reply.status = 404;
	kith_log_request(req);
	end_capture(fd);
	assert_string_equal(said, "");
	fd = begin_capture();
	req->reply.status = 503;
	kith_log_request(req);
	end_capture(fd);
	assert_non_null(strstr(said, "\"status\":503"));
	kith_settings.log_level = KITH_LOG_INFO;
}

static void
requests(void **state)
{
	static const struct kith_identity someone = { .role_name = "authenticated" };
	struct kith_request *req = unit_request();
	const struct kith_json *v;
	int fd = begin_capture();
	int64_t n;

	(void)state;
	req->id = "0123456789";
	req->route = "/rest/v1/messages";
	req->query = "content=eq.canary";
	req->body = "canary";
	req->body_len = 6;
	req->identity = &someone;
	req->rows = 20;
	req->db_us = 1234;
	req->reply.status = 200;
	kith_buf_puts(&req->reply.body, "[\"canary\"]");
	kith_log_request(req);
	end_capture(fd);
	assert_null(strstr(said, "canary"));
	v = line();
	assert_string_equal(kith_json_string(v, "id"), "0123456789");
	assert_string_equal(kith_json_string(v, "program"), "unit");
	assert_string_equal(kith_json_string(v, "method"), "GET");
	assert_string_equal(kith_json_string(v, "route"), "/rest/v1/messages");
	assert_string_equal(kith_json_string(v, "role"), "authenticated");
	assert_int_equal(kith_json_integer(v, "status", &n), 1);
	assert_int_equal(n, 200);
	assert_int_equal(kith_json_integer(v, "rows", &n), 1);
	assert_int_equal(n, 20);
	assert_int_equal(kith_json_integer(v, "in", &n), 1);
	assert_int_equal(n, 6);
	assert_int_equal(kith_json_integer(v, "out", &n), 1);
	assert_int_equal(n, 10);
	assert_string_equal(kith_json_get(v, "db_ms")->text, "1.234");
	assert_int_equal(kith_json_get(v, "ms")->type, KITH_JSON_NUMBER);
	assert_int_equal(kith_json_get(v, "code")->type, KITH_JSON_NULL);
	assert_int_equal(kith_json_get(v, "why")->type, KITH_JSON_NULL);
}

static void
refusals(void **state)
{
	struct kith_request *req = unit_request();
	const struct kith_json *v;
	int fd = begin_capture();
	char why[2000];

	(void)state;
	memset(why, '"', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	req->method = KITH_OTHER;
	req->method_name = "\"}\n";
	req->id = req->route = why;
	req->reply.status = 401;
	kith_fail(req, 401, "PGRST301", "canary");
	kith_fail_log(req, "%s", why);
	kith_log_request(req);
	end_capture(fd);
	assert_null(strstr(said, "canary"));
	v = line();
	assert_string_equal(kith_json_string(v, "method"), "OTHER");
	assert_string_equal(kith_json_string(v, "code"), "PGRST301");
	assert_int_equal(kith_json_get(v, "rows")->type, KITH_JSON_NULL);
	assert_true(strlen(kith_json_string(v, "why")) > 100);
}

static void
stuck_reader(void **state)
{
	char drain[4096];
	int fd = begin_capture();

	(void)state;
	/* The pipe holds 64 KiB; were it waited for, this would never end. */
	fcntl(STDERR_FILENO, F_SETFL, 0);
	for (int i = 0; i < 2000; i++)
		kith_log(KITH_LOG_ERROR, "line %d of very many", i);
	while (read(fd, drain, sizeof(drain)) > 0)
		;
	kith_log(KITH_LOG_ERROR, "heard again");
	end_capture(fd);
	assert_non_null(strstr(said, "\"lost\":1"));
	assert_non_null(strstr(said, "heard again"));
	line();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a line says when, how bad, who and what", fields),
		unit_that("any bytes give a line that parses", escapes),
		unit_that("a long text is cut where the line stays whole", long_text),
		unit_that("lines below the level are not written", levels),
		unit_that("a request's line has its numbers and no content", requests),
		unit_that("a refused request says why, within the limit", refusals),
		unit_that("a stuck reader loses lines and is told how many", stuck_reader),
	};

	return unit_run(tests);
}
