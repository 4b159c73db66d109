#include "worker.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "settings.h"
#include "supervisor.h"

#define PATIENCE_US (120 * SECOND_US)
#define FIRST_PAUSE_US (SECOND_US / 20)
#define LAST_PAUSE_US (5 * SECOND_US)
#define MOMENT_US (SECOND_US / 10)
#define QUIET_US (10 * SECOND_US)

static PGconn *pg;
static int64_t pause_us;	/* before the next attempt to connect */
static int64_t closed_until_us;

static void
ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/* While the database is away every worker says so every ten seconds. */
static void
complain(const char *what)
{
	static int64_t said_us;

	if (said_us && kith_now_us() - said_us < QUIET_US)
		return;
	said_us = kith_now_us();
	kith_log(KITH_LOG_WARNING, "database: %.*s", (int)strcspn(what, "\n"), what);
}

static void
disconnect(void)
{
	PQfinish(pg);
	pg = NULL;
	/* Half to all of it: what was cut off together does not come back together. */
	pause_us = pause_us ? 2 * pause_us : FIRST_PAUSE_US;
	if (pause_us > LAST_PAUSE_US)
		pause_us = LAST_PAUSE_US;
	closed_until_us = kith_now_us() + pause_us / 2 + random() % (pause_us / 2);
}

static int
try_to_connect(void)
{
	static const char options[] = "-c jit=off -c statement_timeout=15000";
	const char *keywords[] = { "dbname", "user", "connect_timeout", "client_encoding", "options",
		"fallback_application_name", "tcp_user_timeout", NULL };
	const char *values[] = { kith_settings.database, "kith_worker", "3", "UTF8", options, "kith-worker", "15000",
		NULL };
	PGresult *result;
	bool listens;

	if (pg)
		return 0;
	if (kith_now_us() < closed_until_us)
		return -1;
	pg = PQconnectdbParams(keywords, values, 1);
	PQsetNoticeReceiver(pg, ignore_notice, NULL);
	/* Before the queue is looked at for the first time: what comes later is heard. */
	result = PQexec(pg, "listen kith_jobs");
	listens = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	if (listens) {
		pause_us = 0;
		return 0;
	}
	complain(PQerrorMessage(pg));
	disconnect();
	return -1;
}

static void
clear(void *result)
{
	PQclear(result);
}

const PGresult *
worker_db_run(struct kith_arena *a, const char *sql, const char *const *params, int n)
{
	PGresult *result;
	ExecStatusType status;

	if (try_to_connect())
		return NULL;
	result = PQexecParams(pg, sql, n, NULL, params, NULL, NULL, 0);
	status = PQresultStatus(result);
	kith_arena_later(a, clear, result);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	/* The message could quote a parameter; the code says enough. */
	if (PQresultErrorField(result, PG_DIAG_SQLSTATE))
		complain(kith_format(a, "SQLSTATE %s", PQresultErrorField(result, PG_DIAG_SQLSTATE)));
	else
		complain(PQerrorMessage(pg));
	disconnect();
	return NULL;
}

const PGresult *
worker_db_insist(struct kith_arena *a, const char *sql, const char *const *params, int n)
{
	int64_t end_us = kith_now_us() + PATIENCE_US;
	const PGresult *result;

	/* Whoever waits for the database is in no call that could be stuck. */
	while (!(result = worker_db_run(a, sql, params, n)) && kith_now_us() < end_us) {
		kith_supervisor_busy();
		poll(NULL, 0, (int)(FIRST_PAUSE_US / 1000));
	}
	return result;
}

long
worker_db_number(const PGresult *row, int column)
{
	long n = 0;

	kith_parse_long(PQgetvalue(row, 0, column), LONG_MIN, LONG_MAX, &n);
	return n;
}

int64_t
worker_db_due_us(const char *seconds)
{
	int64_t us = (int64_t)(strtod(seconds, NULL) * (double)SECOND_US);

	return kith_now_us() + (us > MOMENT_US ? us : MOMENT_US);
}

/* What they say does not matter: whoever hears one looks. */
static bool
heard_news(void)
{
	PGnotify *notify;
	bool any = false;

	for (; pg && (notify = PQnotifies(pg)); any = true)
		PQfreemem(notify);
	return any;
}

void
worker_db_wait(int64_t until_us)
{
	struct pollfd p = { .events = POLLIN };
	int64_t left_us;
	struct timespec left;
	sigset_t none;

	/* Those that came with the answer to a statement are read already: the socket says nothing of them. */
	if (heard_news())
		return;
	sigemptyset(&none);
	/* Without a connection nothing is heard: it is made for that. */
	if (try_to_connect() && closed_until_us < until_us)
		until_us = closed_until_us;
	left_us = until_us - kith_now_us();
	if (left_us < 0)
		left_us = 0;
	left = (struct timespec){ .tv_sec = left_us / SECOND_US, .tv_nsec = left_us % SECOND_US * 1000 };
	p.fd = pg ? PQsocket(pg) : -1;
	if (ppoll(&p, 1, &left, &none) <= 0 || !pg)
		return;
	if (!PQconsumeInput(pg) || PQstatus(pg) == CONNECTION_BAD) {
		complain(PQerrorMessage(pg));
		disconnect();
		return;
	}
	heard_news();
}
