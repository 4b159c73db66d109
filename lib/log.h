/*
 * One JSON line per request on stderr, at most 1 KiB, written by one write(2).
 * No body, query value, token, key or e-mail ever goes in.
 */
#ifndef KITH_LOG_H
#define KITH_LOG_H

struct kith_request;

enum kith_log_level {
	KITH_LOG_DEBUG,
	KITH_LOG_INFO,
	KITH_LOG_WARNING,
	KITH_LOG_ERROR,
};

/* Names the program in every line; before the first line. */
void kith_log_init(const char *program);

/* A line of its own: {"ts":...,"level":...,"program":...,"pid":...,"message":...}. */
void kith_log(enum kith_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The line of a finished request: ts, id, program, pid, method, route, status,
 * code, ms, db_ms, rows, in, out, role, why.
 */
void kith_log_request(const struct kith_request *req);

#endif
