#include "http.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "log.h"
#include "settings.h"

#define TIMEOUT_MS 20000

static void
free_headers(void *arg)
{
	struct kith_http *call = arg;

	curl_slist_free_all(call->headers);
}

struct kith_http *
kith_http_new(struct kith_arena *a, const char *provider, const char *method, const char *base, const char *path)
{
	struct kith_http *call = kith_new(a, struct kith_http);
	size_t n = strlen(base);

	if (n && base[n - 1] == '/')
		n--;
	*call = (struct kith_http){ .arena = a, .provider = provider, .method = method, .route = path, .answer = "",
		.timeout_ms = TIMEOUT_MS, .attempt = 1, .date = -1, .retry_ms = -1 };
	call->url = kith_format(a, "%.*s%s", (int)n, base, path);
	kith_arena_later(a, free_headers, call);
	/* libcurl would wait a second for the leave to send a large body. */
	kith_http_header(call, "Expect", "%s", "");
	return call;
}

void
kith_http_header(struct kith_http *call, const char *name, const char *format, ...)
{
	struct curl_slist *longer;
	const char *value, *p;
	va_list args;

	va_start(args, format);
	value = kith_vformat(call->arena, format, args);
	va_end(args);
	for (p = value; *p && (unsigned char)*p >= ' ' && *p != 0x7f; p++)
		;
	if (*p) {
		call->refused = true;
		return;
	}
	/* "Name:" alone takes out a header that libcurl would send. */
	longer = curl_slist_append(call->headers, kith_format(call->arena, *value ? "%s: %s" : "%s:", name, value));
	if (longer)
		call->headers = longer;
	call->refused |= !longer;
}

static size_t
take(char *p, size_t size, size_t n, void *arg)
{
	struct kith_buf *answer = arg;

	kith_buf_add(answer, p, size * n);
	return answer->full ? 0 : n;
}

/* The last of the answer's headers of that name; NULL without one. */
static const char *
received(CURL *handle, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(handle, name, 0, CURLH_HEADER, -1, &header) ? NULL : header->value;
}

int64_t
kith_http_hint(const char *header, const char *value, int64_t now)
{
	long n;

	if (!strcmp(header, "retry-after-ms")) {
		if (!kith_parse_long(value, 0, 1L << 40, &n))
			return -1;
	} else if (kith_parse_long(value, 0, 1L << 40, &n)) {
		n = (strcmp(header, "x-ratelimit-reset") ? n : n - now) * 1000;
	} else if (!strcmp(header, "retry-after") && (n = curl_getdate(value, NULL)) != -1) {
		n = (n - now) * 1000;
	} else {
		return -1;
	}
	if (n < 0)
		return 0;
	return n < KITH_HTTP_HINT_MAX_MS ? n : KITH_HTTP_HINT_MAX_MS;
}

/* What every failure may carry, and what counts only for who was too fast. */
static int64_t
find_hint(CURL *handle, long status)
{
	static const char *const names[] = { "retry-after-ms", "retry-after", "ratelimit-reset", "x-ratelimit-reset" };

	for (size_t i = 0; i < (status == 429 ? 4 : 2); i++) {
		const char *value = received(handle, names[i]);
		int64_t hint = value ? kith_http_hint(names[i], value, kith_clock_us() / 1000000) : -1;

		if (hint >= 0)
			return hint;
	}
	return -1;
}

enum kith_outcome
kith_http_outcome(long status, const char *should_retry)
{
	if (status >= 200 && status < 300)
		return KITH_DONE;
	if (status == 401 || status == 403)
		return KITH_DENIED;
	if (should_retry && !strcmp(should_retry, "false"))
		return KITH_REFUSED;
	if (status == 429)
		return KITH_BUSY;
	if (status == 408 || status == 409 || status == 425 || status >= 500)
		return KITH_FAILED;
	return should_retry && !strcmp(should_retry, "true") ? KITH_FAILED : KITH_REFUSED;
}

static enum kith_outcome
judge(struct kith_http *call, CURL *handle, CURLcode code, const struct kith_buf *answer)
{
	const char *should_retry, *date;
	enum kith_outcome outcome;

	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &call->status);
	if (code) {
		/* Half an answer is none: whether it was done there, nobody knows. */
		outcome = kith_outgoing_outcome(handle, code);
		call->error = answer->full ? kith_format(call->arena, "%s: the answer is too large", call->provider) :
		    kith_format(call->arena, "%s: %s", call->provider, curl_easy_strerror(code));
		call->status = 0;
		return outcome;
	}
	call->answer = answer->s;
	call->answer_len = answer->len;
	date = received(handle, "date");
	call->date = date ? curl_getdate(date, NULL) : -1;
	should_retry = received(handle, "stripe-should-retry");
	if (!should_retry)
		should_retry = received(handle, "x-should-retry");
	outcome = kith_http_outcome(call->status, should_retry);
	if (outcome == KITH_DONE)
		return outcome;
	call->retry_ms = find_hint(handle, call->status);
	call->error = kith_format(call->arena, "%s %ld", call->provider, call->status);
	return outcome;
}

static void
write_log(const struct kith_http *call, CURL *handle, CURLcode code, int64_t begun_us)
{
	const char *id = received(handle, "request-id");

	if (!id)
		id = received(handle, "x-request-id");
	kith_log(call->error ? KITH_LOG_WARNING : KITH_LOG_INFO, "%s %s %s: %ld%s%s in %d ms, attempt %d%s%s",
	    call->provider, call->method, call->route, call->status, code ? " " : "",
	    code ? curl_easy_strerror(code) : "", (int)((kith_now_us() - begun_us) / 1000), call->attempt,
	    id ? ", request " : "", id ? id : "");
}

enum kith_outcome
kith_http_send(struct kith_http *call)
{
	int64_t begun_us = kith_now_us();
	enum kith_outcome outcome;
	struct kith_buf answer;
	CURLcode code;
	CURL *handle;

	if (call->refused) {
		call->error = kith_format(call->arena, "%s: a header holds what cannot be sent", call->provider);
		return KITH_REFUSED;
	}
	if (kith_outgoing_refuse(call->url, "https http")) {
		call->error = kith_format(call->arena, "%s: the URL cannot be used", call->provider);
		return KITH_REFUSED;
	}
	kith_buf_init(&answer, call->arena, 0);
	answer.limit = KITH_HTTP_ANSWER_MAX;
	handle = kith_outgoing_handle();
	curl_easy_setopt(handle, CURLOPT_URL, call->url);
	curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, call->timeout_ms);
	curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, (long)call->once);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer);
	if (call->body) {
		curl_easy_setopt(handle, CURLOPT_POSTFIELDS, call->body);
		curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)(call->body_len ? call->body_len : strlen(call->body)));
	}
	if (call->quiet_s) {
		curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, call->quiet_s);
	}
	code = curl_easy_perform(handle);
	outcome = judge(call, handle, code, &answer);
	write_log(call, handle, code, begun_us);
	return outcome;
}
