#include "db.h"

#include <string.h>

#include "arena.h"
#include "auth.h"
#include "clock.h"
#include "hint.h"
#include "hook.h"
#include "pipeline.h"
#include "preamble.h"
#include "request.h"
#include "settings.h"
#include "sql.h"
#include "teststop.h"

#define MAX_STATEMENTS 3	/* page, count, and what comes before them */
#define GRACE_US 2000000	/* the server's own timeout comes first; this one is for a server that is frozen */

/* Ends a transaction that shall come to nothing. */
static int
give_up(struct kith_pipeline *run)
{
	if (!run->end && !kith_pipeline_rollback(run) && !kith_pipeline_sync(run))
		kith_pipeline_finish(run);
	return -1;
}

static int
take_row(void *transaction, const PGresult *result, int row)
{
	const struct kith_transaction *t = transaction;

	return t->hook->row(t->call, result, row);
}

/*
 * What comes before the statements when there is a hook.  *begin is sent here,
 * and becomes what sets the hook's text: the role is put off before, since it
 * may not set anything, and then taken on again.
 */
static int
run_hook(struct kith_pipeline *run, const struct kith_transaction *t, struct kith_sql **begin)
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
	/* What a hook makes of its arguments, and computes, is nothing that came from PostgreSQL. */
	kith_connection_weigh(run->c);
	last = n + 1;
	sql[0] = *begin;
	sql[last] = kith_sql_new(arena);
	kith_sql_text(sql[last], "set role none");
	for (int i = 0; i <= last; i++)
		if (kith_pipeline_send(run, i && i < last ? role : "", sql[i], &statements[i]))
			return -1;
	if (kith_pipeline_flush(run))
		return -1;

	run->hooked = true;
	for (int i = 0; i <= last && !run->end; i++) {
		run->beginning = !i;
		if (t->hook->row && i && i < last)
			ok = kith_pipeline_rows(run, statements[i], take_row, (void *)(uintptr_t)t) && ok;
		else
			ok = (results[i] = kith_pipeline_receive(run, statements[i])) && ok;
	}
	run->beginning = run->hooked = false;
	kith_buf_init(&computed, arena, 0);
	if (!ok || t->hook->compute(t->call, t->hook->row ? NULL : results + 1, &computed))
		return give_up(run);
	kith_connection_weigh(run->c);
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
attempt(struct kith_pipeline *run, const struct kith_transaction *t, struct kith_sql *begin,
    struct kith_sql *const *sql, int nsql, const PGresult **results,
    int (*check)(struct kith_request *req, const PGresult **results, void *arg), void *arg)
{
	struct kith_request *req = run->req;
	struct kith_statement *statements[MAX_STATEMENTS + 1];
	const char *role = req->identity->role_name;
	bool ok = true;

	if (t->hook && run_hook(run, t, &begin))
		return -1;
	if (kith_pipeline_send(run, "", begin, &statements[nsql]))
		return -1;
	for (int i = 0; i < nsql; i++)
		if (kith_pipeline_send(run, role, sql[i], &statements[i]))
			return -1;
	if (t->rehearsal && kith_pipeline_rollback(run))
		return -1;
	if (run->hold ? kith_pipeline_flush(run) : kith_pipeline_sync(run))
		return -1;

	/* After an error PostgreSQL skips the rest, and so tells of each statement that it was skipped. */
	run->beginning = true;
	ok = kith_pipeline_receive(run, statements[nsql]) && ok;
	run->beginning = false;
	for (int i = 0; i < nsql && !run->end; i++) {
		results[i] = kith_pipeline_receive(run, statements[i]);
		ok = results[i] && ok;
	}
	if (run->end)
		return -1;
	if (run->hold) {
		KITH_TEST_POINT("before-commit");
		if (ok && (check_size(req, results, nsql) || (check && check(req, results, arg))) &&
		    kith_pipeline_rollback(run))
			return -1;
		if (kith_pipeline_sync(run))
			return -1;
	}
	return kith_pipeline_finish(run);
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
	struct kith_refusal refusal = { 0 };
	int rc = -1;

	for (int tries = 0; tries < 3; tries++) {
		struct kith_pipeline run = { .req = req, .read_only = t->read_only, .hold = t->hold || check };
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
		refusal = run.refusal;
		if (!rc || !run.again)
			break;
	}
	if (rc)
		kith_hint(req, &refusal);
	if (!rc && t->read_only)
		return check_size(req, results, nsql);
	if (!rc && !t->rehearsal) {
		req->committed = true;
		KITH_TEST_POINT("after-commit");
	}
	return rc;
}

/* One statement, sent with its own transaction's end. */
static const PGresult *
run_alone(struct kith_pipeline *run, const struct kith_sql *sql)
{
	struct kith_statement *statement;
	const PGresult *result;

	run->deadline_us = kith_now_us() + (int64_t)kith_settings.statement_timeout * 1000 + GRACE_US;
	if (kith_pipeline_send(run, "", sql, &statement) || kith_pipeline_sync(run))
		return NULL;
	result = kith_pipeline_receive(run, statement);
	if (run->end || kith_pipeline_finish(run))
		return NULL;
	return result;
}

const PGresult *
kith_db_call(struct kith_request *req, const struct kith_sql *sql)
{
	const PGresult *result = NULL;
	bool again = true;

	for (int tries = 0; !result && again && tries < 3; tries++) {
		struct kith_pipeline run = { .req = req };
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
	struct kith_pipeline run = { .req = req, .beginning = true };
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
