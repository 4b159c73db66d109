#include "db_connection.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog.h"
#include "clock.h"
#include "db.h"
#include "log.h"
#include "request.h"
#include "settings.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if SANITIZED
/* gcc of Debian brings no header for it. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

#define SECOND ((int64_t)1000000)

/*
 * Long-lived back ends are recycled: they kept RLS plans over changes of role
 * membership until PostgreSQL 15.19 and 17.11 (CVE-2026-14666).
 */
#define MAX_AGE (900 * SECOND)
#define MAX_REQUESTS 10000

/*
 * A time zone that some value names stays in the back end for as long as that
 * lives, with 24 kB: one body of timestamps in odd zones makes it 500 MB.  So
 * it lives until it was sent this many bytes, or so many at once.
 */
#define MAX_FED ((size_t)512 << 10)
#define MAX_FED_AT_ONCE ((size_t)64 << 10)

/* What the rows of one statement may take; libpq needs more than their text. */
#define RESULT_MAX ((ssize_t)KITH_ANSWER_MAX / 3 * 4)

#define CONNECT_TIMEOUT "3" /* seconds */
#define GREET_TIMEOUT (3 * SECOND)
#define CANCEL_TIMEOUT 1 /* seconds */

static struct kith_connection api = { .login = "kith_api" };
static struct kith_connection service = { .login = "kith_service" };
static struct kith_connection own;
static struct kith_connection *const connections[] = {
	[KITH_LOGIN_API] = &api,
	[KITH_LOGIN_SERVICE] = &service,
	[KITH_LOGIN_OWN] = &own,
};

void
kith_connection_close(struct kith_connection *c)
{
	for (size_t i = 0; i < sizeof(c->statements) / sizeof(c->statements[0]); i++)
		free(c->statements[i].key);
	memset(c->statements, 0, sizeof(c->statements));
	c->nstatements = 0;
	PQfinish(c->pg);
	c->pg = NULL;
}

static void
ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/*
 * "reload schema" came, or the connection is dead: both make the socket
 * readable.  A back end that is ended says so first, so reading goes on until
 * there is no more: the end of the connection stands behind its last words.
 */
static void
read_all(struct kith_connection *c)
{
	struct pollfd p = { .fd = PQsocket(c->pg), .events = POLLIN };

	do {
		if (!PQconsumeInput(c->pg) || PQstatus(c->pg) == CONNECTION_BAD) {
			kith_connection_close(c);
			return;
		}
	} while (poll(&p, 1, 0) > 0);
}

/* They may also have come with the answer to a statement. */
static void
take_notices(struct kith_connection *c)
{
	PGnotify *notify;

	while ((notify = PQnotifies(c->pg))) {
		PQfreemem(notify);
		kith_catalog_expire();
	}
}

static int
refuse(struct kith_request *req, const char *why)
{
	size_t n = strcspn(why, "\n");

	if (strstr(why, "too many") || strstr(why, "remaining connection slots"))
		kith_fail(req, 503, "PGRST003", "Timed out acquiring connection from connection pool.");
	else
		kith_fail(req, 503, "PGRST000", "Database connection error. Retrying the connection.");
	return kith_fail_log(req, "connection: %.*s", n > 300 ? 300 : (int)n, why);
}

/* PQcancel() waits until the server has closed its side, and a frozen one never does: hence a thread. */
static void *
send_cancel(void *arg)
{
	PGcancel *request = arg;
	char why[256];

	PQcancel(request, why, sizeof(why));
	PQfreeCancel(request);
	return NULL;
}

/* -1 when the server does not take it within a second: then the connection is of no use either. */
static int
cancel(struct kith_connection *c)
{
	PGcancel *request = PQgetCancel(c->pg);
	struct timespec end;
	pthread_t thread;

	if (!request || pthread_create(&thread, NULL, send_cancel, request)) {
		PQfreeCancel(request);
		return -1;
	}
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += CANCEL_TIMEOUT;
	if (!pthread_timedjoin_np(thread, NULL, &end))
		return 0;
	pthread_detach(thread);
	kith_log(KITH_LOG_WARNING, "could not cancel a statement: the server does not answer");
	return -1;
}

/* Bytes that malloc has given out. */
static size_t
held(void)
{
#if SANITIZED
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#endif
}

void
kith_connection_weigh(struct kith_connection *c)
{
	c->weight = held();
}

/* libpq takes in whatever comes, and a row gets its room as soon as it is announced. */
static bool
too_large(struct kith_connection *c)
{
	ssize_t more = (ssize_t)held() - (ssize_t)c->weight;

	c->bloated |= more > RESULT_MAX / 4;
	return more > RESULT_MAX;
}

PGresult *
kith_connection_result(struct kith_request *req, struct kith_connection *c, int64_t deadline_us,
    bool cancel_when_abandoned, enum kith_end *end)
{
	bool cancelled = false;
	int reads = 0;

	*end = KITH_CAME;
	for (;;) {
		int unsent = PQflush(c->pg);
		int64_t left = (deadline_us - kith_now_us() + 999) / 1000;
		bool watch = cancel_when_abandoned && !cancelled && req->fd >= 0;
		struct pollfd p[] = {
			{ .fd = PQsocket(c->pg), .events = (short)(unsent == 1 ? POLLIN | POLLOUT : POLLIN) },
			{ .fd = watch ? req->fd : -1, .events = POLLRDHUP },
		};

		if (unsent < 0)
			break;
		if (!unsent && !PQisBusy(c->pg))
			return PQgetResult(c->pg);
		if (left <= 0) {
			if (!cancelled)
				cancel(c);
			*end = KITH_TIMED_OUT;
			return NULL;
		}
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			break;
		if (p[1].revents) {
			cancelled = true;
			if (cancel(c)) {
				*end = KITH_TIMED_OUT;
				return NULL;
			}
		}
		if (!(p[0].revents & ~POLLOUT))
			continue;
		/* What comes in one piece is small. */
		if (reads++ && too_large(c)) {
			*end = KITH_TOO_LARGE;
			return NULL;
		}
		if (!PQconsumeInput(c->pg))
			break;
	}
	*end = KITH_LOST;
	return NULL;
}

/*
 * LISTEN is committed first: a change of the schema from here on is heard.
 * What changed before is told by the version, so that a connection reopened
 * after an idle minute need not read the whole catalog again.
 */
static int
greet(struct kith_request *req, struct kith_connection *c)
{
	static const char sql[] = "begin; listen kith; commit; select last_value from kith.schema_version";
	int64_t deadline_us = kith_now_us() + GREET_TIMEOUT;
	enum kith_end end = PQsendQuery(c->pg, sql) ? KITH_CAME : KITH_LOST;
	bool known = false;
	PGresult *result;

	while (!end && (result = kith_connection_result(req, c, deadline_us, false, &end))) {
		if (PQresultStatus(result) == PGRES_TUPLES_OK) {
			kith_catalog_version(strtoll(PQgetvalue(result, 0, 0), NULL, 10));
			known = true;
		}
		PQclear(result);
	}
	if (end || !known)
		return refuse(req, end == KITH_TIMED_OUT ? "the server does not answer" : PQerrorMessage(c->pg));
	return 0;
}

static int
open_connection(struct kith_request *req, struct kith_connection *c)
{
	/* Replanning costs more than the generic plan loses; PostgreSQL's JIT pays off for no query of ours. */
	static const char options[] = "-c plan_cache_mode=force_generic_plan -c jit=off -c lock_timeout=5000"
				      " -c idle_in_transaction_session_timeout=10000";
	const char *keywords[] = { "dbname", "user", "connect_timeout", "client_encoding", "options",
		"fallback_application_name", NULL };
	const char *values[] = { kith_settings.database, c->login, CONNECT_TIMEOUT, "UTF8", options, "kith", NULL };
	int64_t begun = kith_now_us();

	if (begun < c->refused_until_us)
		return refuse(req, "the last attempt ran into its timeout");
	c->pg = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(c->pg) == CONNECTION_OK) {
		PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
		if (!PQsetnonblocking(c->pg, 1) && !greet(req, c) && PQenterPipelineMode(c->pg)) {
			c->opened_us = c->used_us = kith_now_us();
			c->requests = 0;
			c->fed = 0;
			c->bloated = false;
			kith_connection_weigh(c);
			return 0;
		}
	}
	/* A frozen server costs the whole timeout: one caller a second pays it, not everybody. */
	if (kith_now_us() - begun > SECOND)
		c->refused_until_us = kith_now_us() + SECOND;
	refuse(req, PQerrorMessage(c->pg));
	kith_connection_close(c);
	return -1;
}

static bool
worn_out(const struct kith_connection *c)
{
	return c->nstatements >= KITH_DB_STATEMENTS || c->requests >= MAX_REQUESTS || c->fed >= MAX_FED || c->bloated ||
	    kith_now_us() - c->opened_us > MAX_AGE;
}

struct kith_connection *
kith_connection_get(struct kith_request *req, enum kith_login login)
{
	struct kith_connection *c = connections[login];

	if (c->pg && worn_out(c))
		kith_connection_close(c);
	if (!c->pg && open_connection(req, c))
		return NULL;
	/* A large body is nothing that came from PostgreSQL. */
	if (req->body_len > MAX_FED_AT_ONCE)
		kith_connection_weigh(c);
	c->requests++;
	c->used_us = kith_now_us();
	return c;
}

void
kith_db_login(const char *login)
{
	own.login = login;
}

void
kith_connection_put(struct kith_connection *c, size_t fed)
{
	c->fed += fed > MAX_FED_AT_ONCE ? MAX_FED : fed;
	if (c->pg && worn_out(c))
		kith_connection_close(c);
}

/* FNV-1a: spreads short texts well enough for a table that compares the text anyway. */
static uint64_t
hash(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h;
}

struct kith_statement *
kith_connection_statement(struct kith_connection *c, const char *role, const char *text)
{
	size_t slots = sizeof(c->statements) / sizeof(c->statements[0]);
	size_t role_len = strlen(role);
	uint64_t h;

	if (!kith_settings.prepared_statements)
		return NULL;
	h = hash(hash(0xcbf29ce484222325, role), text) | 1;
	for (size_t i = h % slots;; i = (i + 1) % slots) {
		struct kith_statement *s = &c->statements[i];

		if (s->hash == h && !strncmp(s->key, role, role_len) && s->key[role_len] == ' ' &&
		    !strcmp(s->key + role_len + 1, text))
			return s;
		if (s->hash)
			continue;
		/* A request brings few statements, so the table, twice the bound, cannot fill before the next check. */
		if (asprintf(&s->key, "%s %s", role, text) < 0)
			abort();
		s->hash = h;
		snprintf(s->name, sizeof(s->name), "s%u", ++c->names);
		c->nstatements++;
		return s;
	}
}

void
kith_connection_forget(struct kith_connection *c, struct kith_statement *s)
{
	/* The slot stays: taking it out would break the chain of those behind it. */
	s->prepared = false;
	snprintf(s->name, sizeof(s->name), "s%u", ++c->names);
}

void
kith_db_notices(struct kith_request *req)
{
	enum { N = sizeof(connections) / sizeof(connections[0]) };
	struct pollfd p[N + 1] = { [N] = { .fd = req->fd, .events = POLLRDHUP } };

	for (int i = 0; i < N; i++)
		p[i] = (struct pollfd){ .fd = connections[i]->pg ? PQsocket(connections[i]->pg) : -1, .events = POLLIN };
	if (poll(p, N + 1, 0) >= 0) {
		req->left = p[N].revents;
		req->looked_us = kith_now_us();
	}
	for (int i = 0; i < N; i++) {
		if (p[i].revents)
			read_all(connections[i]);
		if (connections[i]->pg)
			take_notices(connections[i]);
	}
}

void
kith_db_idle(void)
{
	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		struct kith_connection *c = connections[i];

		if (c->pg && kith_settings.idle_disconnect &&
		    kith_now_us() - c->used_us >= kith_settings.idle_disconnect * SECOND)
			kith_connection_close(c);
	}
}

int
kith_db_idle_timeout(void)
{
	int64_t soonest = -1;

	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		struct kith_connection *c = connections[i];
		int64_t left;

		if (!c->pg || !kith_settings.idle_disconnect)
			continue;
		left = c->used_us + kith_settings.idle_disconnect * SECOND - kith_now_us();
		left = left > 0 ? (left + 999) / 1000 : 0;
		if (soonest < 0 || left < soonest)
			soonest = left;
	}
	return (int)soonest;
}
