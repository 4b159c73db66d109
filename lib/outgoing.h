/*
 * Calls out of Kith: what HTTP (http.h) and mail (smtp.h) have in common.
 * Contract: outgoing calls, section 1.
 *
 * A program makes one call at a time, with one libcurl handle that keeps its
 * connections.  libcurl is set up at the first call: who makes none pays nothing.
 */
#ifndef KITH_OUTGOING_H
#define KITH_OUTGOING_H

#include <curl/curl.h>
#include <stdbool.h>

struct kith_arena;

/* How a call ended, and so what becomes of its job. */
enum kith_outcome {
	KITH_DONE,
	KITH_REFUSED,		/* and would be again */
	KITH_DENIED,		/* our key or password is no good: nothing works before somebody looks at it */
	KITH_FAILED,		/* there, or nobody knows: worth a few more attempts */
	KITH_BUSY,		/* not now, says the provider */
	KITH_UNREACHED,		/* nothing went out */
};

#define KITH_CONNECT_TIMEOUT_MS 5000

/*
 * The handle, as if it were new but for its connections: no redirects, no
 * proxy, no netrc, no cookies, peers verified, TLS 1.2 at least.  Valid until
 * the next call of this.
 */
CURL *kith_outgoing_handle(void);

/* May this URL be used without TLS?  On loopback, or where KITH_ALLOW_HTTP_PROVIDERS says so. */
bool kith_outgoing_plain(const char *url);

/* Is it on this machine? */
bool kith_outgoing_loopback(const char *url);

/*
 * Why this base URL cannot be used, for a person; NULL: it can.  schemes are
 * those allowed: "https http".
 */
const char *kith_outgoing_refuse(const char *url, const char *schemes);

/* How a call without an answer ended. */
enum kith_outcome kith_outgoing_outcome(CURL *handle, CURLcode code);

/* The text of a file, without the line end behind it: a key or a password.  NULL, *why set, when others may read it. */
const char *kith_outgoing_secret(struct kith_arena *a, const char *path, const char **why);

#endif
