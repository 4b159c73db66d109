#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth.h"
#include "clock.h"
#include "request.h"
#include "settings.h"
#include "utf8.h"

/* A line of 1 KiB is below PIPE_BUF: one write of it is never mixed with a sibling's. */
#define LINE_SIZE ((size_t)1024)
#define TEXT_MAX ((size_t)200)

struct line {
	char s[LINE_SIZE];
	size_t len;
};

static const char *program = "kith";
static int pid;
static bool may_block = true;
static unsigned long lost;

void
kith_log_init(const char *name)
{
	struct stat st;

	program = name;
	pid = (int)getpid();
	may_block = fstat(STDERR_FILENO, &st) || !S_ISREG(st.st_mode);
}

static void
add(struct line *line, const char *s)
{
	size_t n = strlen(s);

	if (n > sizeof(line->s) - line->len)
		n = sizeof(line->s) - line->len;
	memcpy(line->s + line->len, s, n);
	line->len += n;
}

static void
add_number(struct line *line, const char *key, int64_t value)
{
	char digits[24], *p = digits + sizeof(digits);
	uint64_t n = value < 0 ? 0 : (uint64_t)value;

	add(line, key);
	*--p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	add(line, p);
}

/* Microseconds as milliseconds with three decimals. */
static void
add_ms(struct line *line, const char *key, int64_t us)
{
	char fraction[] = ".000";

	if (us < 0)
		us = 0;
	add_number(line, key, us / 1000);
	fraction[1] = (char)('0' + us / 100 % 10);
	fraction[2] = (char)('0' + us / 10 % 10);
	fraction[3] = (char)('0' + us % 10);
	add(line, fraction);
}

/* A JSON string of at most max bytes between its quotes; what is not UTF-8 becomes '?'.  NULL becomes null. */
static void
add_text(struct line *line, const char *key, const char *text, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	char *p, *end;
	size_t n;

	add(line, key);
	if (!text) {
		add(line, "null");
		return;
	}
	/* What follows the text, at most a quote and "}\n", has its place. */
	if (max > sizeof(line->s) - line->len - 8)
		max = sizeof(line->s) - line->len - 8;
	p = line->s + line->len;
	end = p + 1 + max;
	*p++ = '"';
	for (; *text; text += n) {
		unsigned char c = (unsigned char)*text;

		n = 1;
		if (c == '"' || c == '\\') {
			if (end - p < 2)
				break;
			*p++ = '\\';
			*p++ = *text;
		} else if (c < 0x20 || c == 0x7f) {
			if (end - p < 6)
				break;
			memcpy(p, "\\u00", 4);
			p[4] = hex[c >> 4];
			p[5] = hex[c & 15];
			p += 6;
		} else if (c < 0x80) {
			if (p == end)
				break;
			*p++ = *text;
		} else {
			size_t valid = kith_utf8_sequence(text, strnlen(text, 4));

			n = valid ? valid : 1;
			if ((size_t)(end - p) < n)
				break;
			memcpy(p, valid ? text : "?", n);
			p += n;
		}
	}
	*p++ = '"';
	line->len = (size_t)(p - line->s);
}

/* {"ts":"2026-01-02T03:04:05.678Z" - the part up to the second is made once a second. */
static void
begin(struct line *line)
{
	static char second_text[40];
	static time_t second = -1;
	char fraction[] = ".000Z\"";
	struct timespec now;
	struct tm tm;
	long ms;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != second) {
		second = now.tv_sec;
		gmtime_r(&second, &tm);
		strftime(second_text, sizeof(second_text), "{\"ts\":\"%Y-%m-%dT%H:%M:%S", &tm);
	}
	ms = now.tv_nsec / 1000000;
	fraction[1] = (char)('0' + ms / 100);
	fraction[2] = (char)('0' + ms / 10 % 10);
	fraction[3] = (char)('0' + ms % 10);
	line->len = 0;
	add(line, second_text);
	add(line, fraction);
}

/*
 * Nobody waits for the log: when its reader is stuck the line is lost, and the
 * next one says how many were.
 */
static void
finish(struct line *line)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	add(line, "}\n");
	if ((may_block && poll(&out, 1, 0) != 1) || write(STDERR_FILENO, line->s, line->len) != (ssize_t)line->len)
		lost++;
}

static void
add_lost(struct line *line)
{
	if (lost) {
		add_number(line, ",\"lost\":", (int64_t)lost);
		lost = 0;
	}
}

void
kith_log(enum kith_log_level level, const char *format, ...)
{
	static const char *const names[] = { "debug", "info", "warning", "error" };
	struct line line;
	char message[LINE_SIZE];
	va_list args;

	if ((int)level < kith_settings.log_level)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	begin(&line);
	add_text(&line, ",\"level\":", names[level], TEXT_MAX);
	add_text(&line, ",\"program\":", program, TEXT_MAX);
	add_number(&line, ",\"pid\":", pid);
	add_lost(&line);
	add_text(&line, ",\"message\":", message, LINE_SIZE);
	finish(&line);
}

void
kith_log_request(const struct kith_request *req)
{
	int status = req->reply.status;
	struct line line;

	if (kith_settings.log_level > (status >= 500 ? KITH_LOG_ERROR : KITH_LOG_INFO))
		return;
	begin(&line);
	add_text(&line, ",\"id\":", req->id, 64);
	add_text(&line, ",\"program\":", program, 64);
	add_number(&line, ",\"pid\":", pid);
	add_text(&line, ",\"method\":", req->method == KITH_OTHER ? "OTHER" : req->method_name, 8);
	add_text(&line, ",\"route\":", req->route, TEXT_MAX);
	add_number(&line, ",\"status\":", status);
	add_text(&line, ",\"code\":", req->error.code, 32);
	add_ms(&line, ",\"ms\":", kith_now_us() - req->started_us);
	add_ms(&line, ",\"db_ms\":", req->db_us);
	if (req->rows < 0)
		add(&line, ",\"rows\":null");
	else
		add_number(&line, ",\"rows\":", req->rows);
	add_number(&line, ",\"in\":", (int64_t)req->body_len);
	add_number(&line, ",\"out\":", req->reply.no_body ? 0 : (int64_t)req->reply.body.len);
	add_text(&line, ",\"role\":", req->identity ? req->identity->role_name : NULL, 32);
	add_lost(&line);
	add_text(&line, ",\"why\":", req->error.log, LINE_SIZE);
	finish(&line);
}
