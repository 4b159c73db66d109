#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "auth.h"
#include "clock.h"
#include "db_connection.h"
#include "hook.h"
#include "preamble.h"
#include "request.h"
#include "settings.h"
#include "sql.h"
#include "teststop.h"

#define MAX_STATEMENTS 3	/* page, count, and what comes before them */
#define GRACE_US 2000000	/* the server's own timeout comes first; this one is for a server that is frozen */

/* One request's pipeline, while it runs. */
struct run {
	struct kith_request *req;
	struct kith_connection *c;
	int64_t deadline_us;
	bool read_only;
	bool beginning;	/* the preamble's result is awaited */
	bool again;	/* trying the whole transaction again is safe and sensible */
	bool hold;	/* the commit waits until the results are here */
	bool hooked;	/* the hook is still at work: nothing can have been written */
	enum kith_end end;	/* other than KITH_CAME: the connection is of no more use */
};

static void
clear(void *result)
{
	PQclear(result);
}

static const char *
field(const PGresult *result, int code)
{
	return PQresultErrorField(result, code);
}

static int
fail_lost(struct run *run)
{
	if (!run->end)
		run->end = KITH_LOST;
	if (run->end == KITH_TOO_LARGE && (run->read_only || run->hold || run->hooked)) {
		kith_fail_answer_too_large(run->req);
	} else if (run->end == KITH_TIMED_OUT) {
		kith_fail(run->req, 504, "57014", "canceling statement due to statement timeout");
	} else {
		kith_fail(run->req, 503, "PGRST001", "Database connection lost");
		kith_fail_log(run->req, "connection: %.200s", PQerrorMessage(run->c->pg));
	}
	return -1;
}

/* kith.check_session() found the session signed out, or its user banned or deleted. */
static int
fail_session(struct kith_request *req, const char *why)
{
	static const char message[] = "JWT session has ended";

	kith_reply_header(req, "WWW-Authenticate", "Bearer error=\"invalid_token\", error_description=\"%s\"", message);
	kith_fail(req, 401, "PGRST303", "%s", message);
	return kith_fail_log(req, "%s", why);
}

static int
fail_sql(struct run *run, const PGresult *result, struct kith_statement *statement)
{
	struct kith_request *req = run->req;
	const char *state = field(result, PG_DIAG_SQLSTATE);
	const char *message = field(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *details = field(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = field(result, PG_DIAG_MESSAGE_HINT);
	bool anonymous = req->identity && req->identity->role == KITH_ANON;
	int status;

	if (!state || !message)
		return fail_lost(run);
	if (!strcmp(state, "26000") || (!strcmp(state, "0A000") && strstr(message, "cached plan"))) {
		if (statement)
			kith_connection_forget(run->c, statement);
		run->again = true;
	}
	if (!strcmp(state, "40001") || !strcmp(state, "40P01"))
		run->again = true;
	/* A standby where the primary was: the conninfo finds the new one. */
	if (!strcmp(state, "25006") && !run->read_only) {
		run->again = true;
		run->end = KITH_LOST;
	}
	if (run->beginning && !strcmp(state, "PT401"))
		return fail_session(req, message);
	status = kith_error_status(state, anonymous);
	/* A nesting that is the caller's doing, under the code of a fault in the server. */
	if (!strcmp(state, "XX000") && !strcmp(message, "tsquery stack too small"))
		status = 400;
	if (status == 401)
		kith_reply_header(req, "WWW-Authenticate", "Bearer");
	kith_fail(req, status, kith_strdup(req->arena, state), "%s", message);
	if (details)
		kith_fail_details(req, "%s", details);
	if (hint)
		kith_fail_hint(req, "%s", hint);
	return -1;
}

static int
send(struct run *run, const char *role, const struct kith_sql *sql, struct kith_statement **statement)
{
	PGconn *pg = run->c->pg;
	struct kith_statement *s = kith_connection_statement(run->c, role, sql->text.s);
	int ok;

	*statement = s;
	if (!s)
		ok = PQsendQueryParams(pg, sql->text.s, sql->nparams, NULL, sql->params, NULL, NULL, sql->binary);
	else
		ok = (s->prepared || PQsendPrepare(pg, s->name, sql->text.s, 0, NULL)) &&
		    PQsendQueryPrepared(pg, s->name, sql->nparams, sql->params, NULL, NULL, sql->binary);
	return ok ? 0 : fail_lost(run);
}

/* Reads up to the NULL that ends one sent command; the result lives until the request ends. */
static const PGresult *
receive(struct run *run)
{
	PGresult *first = NULL, *result;

	while ((result = kith_connection_result(run->req, run->c, run->deadline_us, run->read_only, &run->end))) {
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			return NULL;
		}
		kith_arena_later(run->req->arena, clear, result);
		if (!first)
			first = result;
	}
	if (run->end) {
		fail_lost(run);
		return NULL;
	}
	return first;
}

/* What a statement's preparation came to, if it was new.  -1 when the connection is of no more use. */
static int
receive_prepared(struct run *run, struct kith_statement *statement)
{
	const PGresult *result;

	if (!statement || statement->prepared)
		return 0;
	result = receive(run);
	if (!result)
		return -1;
	if (PQresultStatus(result) == PGRES_COMMAND_OK)
		statement->prepared = true;
	else if (PQresultStatus(result) == PGRES_FATAL_ERROR)
		fail_sql(run, result, statement);
	return 0;
}

/* Result of one statement, after that of its preparation if it was new.  NULL with the error set. */
static const PGresult *
receive_statement(struct run *run, struct kith_statement *statement)
{
	const PGresult *result;

	if (receive_prepared(run, statement))
		return NULL;
	result = receive(run);
	if (!result)
		return NULL;
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		return result;
	case PGRES_FATAL_ERROR:
		fail_sql(run, result, statement);
		return NULL;
	default:	/* PGRES_PIPELINE_ABORTED: an earlier statement failed and has told so */
		return NULL;
	}
}

/* Reads what is left up to the answer to Sync.  0 when the transaction has ended well. */
static int
finish(struct run *run)
{
	for (;;) {
		PGresult *result = kith_connection_result(run->req, run->c, run->deadline_us, false, &run->end);
		ExecStatusType status;

		if (run->end)
			return fail_lost(run);
		if (!result)
			continue;
		status = PQresultStatus(result);
		if (status == PGRES_FATAL_ERROR)
			fail_sql(run, result, NULL);
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			break;
	}
	/* Anything but idle is a transaction that must never meet the next request. */
	if (PQtransactionStatus(run->c->pg) != PQTRANS_IDLE)
		return fail_lost(run);
	return run->req->error.status ? -1 : 0;
}

/* Hands the rows of a statement to the hook, each as it comes; all of them are read, whatever it says. */
static bool
receive_rows(struct run *run, struct kith_statement *statement, const struct kith_transaction *t)
{
	bool ok = true;
	PGresult *result;

	if (receive_prepared(run, statement))
		return false;
	PQsetSingleRowMode(run->c->pg);
	while ((result = kith_connection_result(run->req, run->c, run->deadline_us, run->read_only, &run->end))) {
		ExecStatusType status = PQresultStatus(result);

		if (status == PGRES_FATAL_ERROR)
			fail_sql(run, result, statement);
		if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK)
			ok = false;
		for (int i = 0; ok && i < PQntuples(result); i++)
			ok = !t->hook->row(t->call, result, i);
		PQclear(result);
	}
	if (run->end)
		fail_lost(run);
	return ok && !run->end;
}

/* Ends a transaction that shall come to nothing. */
static int
give_up(struct run *run)
{
	if (run->end)
		return -1;
	if (!PQsendQueryParams(run->c->pg, "rollback", 0, NULL, NULL, NULL, NULL, 0) || !PQpipelineSync(run->c->pg))
		return fail_lost(run);
	finish(run);
	return -1;
}

/*
 * What comes before the statements when there is a hook.  *begin is sent here,
 * and becomes what sets the hook's text: the role is put off before, since it
 * may not set anything, and then taken on again.
 */
static int
run_hook(struct run *run, const struct kith_transaction *t, struct kith_sql **begin)
{
	struct kith_arena *arena = run->req->arena;
	const char *role = run->req->identity->role_name;
	struct kith_sql *set = kith_sql_new(arena), *sql[KITH_HOOK_READS + 2];
	struct kith_statement *statements[KITH_HOOK_READS + 2];
	const PGresult *results[KITH_HOOK_READS + 2];
	struct kith_buf computed;
	bool ok = true;
	int n, last;

	t->call->state = NULL;
	n = t->hook->read(t->call, sql + 1);
	if (n < 0)
		return -1;
	last = n + 1;
	sql[0] = *begin;
	sql[last] = kith_sql_new(arena);
	kith_sql_text(sql[last], "set role none");
	for (int i = 0; i <= last; i++)
		if (send(run, i && i < last ? role : "", sql[i], &statements[i]))
			return -1;
	if (!PQsendFlushRequest(run->c->pg))
		return fail_lost(run);

	run->hooked = true;
	for (int i = 0; i <= last && !run->end; i++) {
		run->beginning = !i;
		if (t->hook->row && i && i < last)
			ok = receive_rows(run, statements[i], t) && ok;
		else
			ok = (results[i] = receive_statement(run, statements[i])) && ok;
	}
	run->beginning = run->hooked = false;
	kith_buf_init(&computed, arena, 0);
	if (!ok || t->hook->compute(t->call, t->hook->row ? NULL : results + 1, &computed))
		return give_up(run);
	kith_sql_text(set, "select set_config('kith.computed', ");
	kith_sql_param(set, computed.s);
	kith_sql_text(set, ", true), set_config('role', ");
	kith_sql_param(set, role);
	kith_sql_text(set, ", true)");
	*begin = set;
	return 0;
}

static int
check_size(struct kith_request *req, const PGresult **results, int nsql)
{
	size_t size = 0;

	for (int i = 0; i < nsql; i++)
		size += PQresultMemorySize(results[i]);
	return size > KITH_ANSWER_MAX ? kith_fail_answer_too_large(req) : 0;
}

static int
attempt(struct run *run, const struct kith_transaction *t, struct kith_sql *begin, struct kith_sql *const *sql,
    int nsql, const PGresult **results, int (*check)(struct kith_request *req, const PGresult **results, void *arg),
    void *arg)
{
	struct kith_request *req = run->req;
	struct kith_statement *statements[MAX_STATEMENTS + 1];
	const char *role = req->identity->role_name;
	bool ok = true;

	if (t->hook && run_hook(run, t, &begin))
		return -1;
	if (send(run, "", begin, &statements[nsql]))
		return -1;
	for (int i = 0; i < nsql; i++)
		if (send(run, role, sql[i], &statements[i]))
			return -1;
	if (!(run->hold ? PQsendFlushRequest(run->c->pg) : PQpipelineSync(run->c->pg)))
		return fail_lost(run);

	/* After an error PostgreSQL skips the rest, and so tells of each statement that it was skipped. */
	run->beginning = true;
	ok = receive_statement(run, statements[nsql]) && ok;
	run->beginning = false;
	for (int i = 0; i < nsql && !run->end; i++) {
		results[i] = receive_statement(run, statements[i]);
		ok = results[i] && ok;
	}
	if (run->end)
		return -1;
	if (run->hold) {
		KITH_TEST_POINT("before-commit");
		if (ok && (check_size(req, results, nsql) || (check && check(req, results, arg))) &&
		    !PQsendQueryParams(run->c->pg, "rollback", 0, NULL, NULL, NULL, NULL, 0))
			return fail_lost(run);
		if (!PQpipelineSync(run->c->pg))
			return fail_lost(run);
	}
	return finish(run);
}

/*
 * What PostgreSQL may keep something of.  A time zone costs it a thousand times
 * its name, which takes three letters of some 25 bytes: so a body of numbers,
 * as an embedding is one, costs nothing.
 */
static size_t
request_size(const struct kith_request *req, const struct kith_transaction *t)
{
	size_t letters = 0, body;

	for (size_t i = 0; i < req->body_len; i++)
		letters += (unsigned char)((req->body[i] | 0x20) - 'a') < 26;
	body = letters * 8 < req->body_len ? letters * 8 : req->body_len;
	return body + strlen(req->query) + (t->timezone ? 1000 : 0);
}

int
kith_db_run(struct kith_request *req, const struct kith_transaction *t, struct kith_sql *const *sql, int nsql,
    const PGresult **results, int (*check)(struct kith_request *req, const PGresult **results, void *arg), void *arg)
{
	struct kith_sql *begin = kith_preamble(req, t);
	long timeout_ms = kith_preamble_timeout(req->identity);
	int rc = -1;

	for (int tries = 0; tries < 3; tries++) {
		struct run run = { .req = req, .read_only = t->read_only, .hold = t->hold || check };
		int64_t begun;

		memset(&req->error, 0, sizeof(req->error));
		run.c = kith_connection_get(req, req->identity->role == KITH_SERVICE ? KITH_LOGIN_SERVICE : KITH_LOGIN_API);
		if (!run.c)
			return -1;
		/* Nobody waits for the answer any more: what was not sent yet must not happen. */
		if (kith_request_abandoned(req))
			return kith_fail(req, 499, "KITH01", "client closed the request");
		begun = kith_now_us();
		run.deadline_us = begun + (int64_t)timeout_ms * 1000 + GRACE_US;
		rc = attempt(&run, t, begin, sql, nsql, results, check, arg);
		req->db_us += kith_now_us() - begun;
		if (run.end) {
			kith_connection_close(run.c);
			/* A read may be sent twice, a write only if it was refused. */
			if (t->read_only && run.end == KITH_LOST && !tries)
				run.again = true;
		}
		kith_connection_put(run.c, request_size(req, t));
		if (!rc || !run.again)
			break;
	}
	if (!rc && t->read_only)
		return check_size(req, results, nsql);
	if (!rc) {
		req->committed = true;
		KITH_TEST_POINT("after-commit");
	}
	return rc;
}

/* One statement, sent with its own transaction's end. */
static const PGresult *
run_alone(struct run *run, const struct kith_sql *sql)
{
	struct kith_statement *statement;
	const PGresult *result;

	run->deadline_us = kith_now_us() + (int64_t)kith_settings.statement_timeout * 1000 + GRACE_US;
	if (send(run, "", sql, &statement))
		return NULL;
	if (!PQpipelineSync(run->c->pg)) {
		fail_lost(run);
		return NULL;
	}
	result = receive_statement(run, statement);
	if (run->end || finish(run))
		return NULL;
	return result;
}

const PGresult *
kith_db_call(struct kith_request *req, const struct kith_sql *sql)
{
	const PGresult *result = NULL;
	bool again = true;

	for (int tries = 0; !result && again && tries < 3; tries++) {
		struct run run = { .req = req };
		int64_t begun;

		memset(&req->error, 0, sizeof(req->error));
		run.c = kith_connection_get(req, KITH_LOGIN_OWN);
		if (!run.c)
			return NULL;
		if (kith_request_abandoned(req)) {
			kith_fail(req, 499, "KITH01", "client closed the request");
			return NULL;
		}
		begun = kith_now_us();
		result = run_alone(&run, sql);
		req->db_us += kith_now_us() - begun;
		again = run.again;
		if (run.end)
			kith_connection_close(run.c);
		kith_connection_put(run.c, req->body_len);
	}
	if (result)
		req->committed = true;
	return result;
}

const PGresult *
kith_db_catalog(struct kith_request *req, const struct kith_sql *sql)
{
	/* The statement may check the session, as a preamble does. */
	struct run run = { .req = req, .beginning = true };
	const PGresult *result;

	run.c = kith_connection_get(req, KITH_LOGIN_API);
	if (!run.c)
		return NULL;
	result = run_alone(&run, sql);
	if (run.end)
		kith_connection_close(run.c);
	else
		kith_connection_weigh(run.c);	/* the catalog stays */
	return result;
}
