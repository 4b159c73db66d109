/*
 * One HTTP call to a provider.
 *
 *	struct kith_http *call = kith_http_new(a, "resend", "POST", base, "/emails");
 *
 *	kith_http_header(call, "Authorization", "Bearer %s", key);
 *	call->body = json;
 *	outcome = kith_http_send(call);
 *
 * What was sent and what came is never logged; the line of a call names the
 * provider, the route, the status, the time it took, the attempt, and what the
 * provider calls the request.
 */
#ifndef KITH_HTTP_H
#define KITH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outgoing.h"

struct kith_arena;
struct curl_slist;

/* An answer that is JSON; more is a fault of the provider's. */
#define KITH_HTTP_ANSWER_MAX ((size_t)8 << 20)

/* A provider that asks for more patience than this gets its job back later all the same. */
#define KITH_HTTP_HINT_MAX_MS INT64_C(3600000)

struct kith_http {
	struct kith_arena *arena;
	const char *provider;
	const char *method;
	const char *url;
	const char *route;	/* how the log calls the URL; the path, unless it holds an id or a key */
	struct curl_slist *headers;
	bool refused;		/* a header was not fit to be sent */

	/* To be set by the caller. */
	const char *body;	/* NULL: none */
	size_t body_len;	/* 0: as long as the text is */
	long timeout_ms;	/* for all of it; 20 s unless it is set */
	long quiet_s;		/* gives up when nothing came for so long; 0: never */
	int attempt;		/* for the log; counted from 1 */
	/*
	 * On a connection of its own.  When a kept one turns out to be closed,
	 * libcurl sends the request again by itself: for providers that know a
	 * repeated one by its key.
	 */
	bool once;

	/* What came. */
	long status;		/* 0: no answer */
	const char *answer;	/* NUL-terminated, never NULL */
	size_t answer_len;
	int64_t date;		/* when, by the provider's clock: seconds since 1970; -1: it does not say */
	int64_t retry_ms;	/* how long the provider asks to wait; -1: it does not say */
	const char *error;	/* "resend 503"; NULL when done */
};

/* A call of method to base and path: one "/" between them, whatever the base ends with. */
struct kith_http *kith_http_new(
    struct kith_arena *a, const char *provider, const char *method, const char *base, const char *path);

/* Adds a header.  One that would hold a control character is not added, and the call then not made. */
void kith_http_header(struct kith_http *call, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the call and says how it ended. */
enum kith_outcome kith_http_send(struct kith_http *call);

/* What a status means; should_retry is what the provider's header says of it, "true", "false" or NULL. */
enum kith_outcome kith_http_outcome(long status, const char *should_retry);

/*
 * Milliseconds until a time that a header names: "retry-after" (seconds, or a
 * date), "retry-after-ms", "ratelimit-reset" (seconds), "x-ratelimit-reset"
 * (seconds since 1970), now being such seconds.  KITH_HTTP_HINT_MAX_MS at most;
 * -1 for what is none.
 */
int64_t kith_http_hint(const char *header, const char *value, int64_t now);

#endif
