#include "pipeline.h"

#include <string.h>

#include "arena.h"
#include "auth.h"
#include "db_connection.h"
#include "request.h"
#include "sql.h"

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
fail_lost(struct kith_pipeline *run)
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
fail_sql(struct kith_pipeline *run, const PGresult *result, struct kith_statement *statement)
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
	run->refusal = kith_hint_refusal(req, result);
	if (details)
		kith_fail_details(req, "%s", details);
	if (hint)
		kith_fail_hint(req, "%s", hint);
	return -1;
}

int
kith_pipeline_send(struct kith_pipeline *run, const char *role, const struct kith_sql *sql,
    struct kith_statement **statement)
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
receive(struct kith_pipeline *run)
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
receive_prepared(struct kith_pipeline *run, struct kith_statement *statement)
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

const PGresult *
kith_pipeline_receive(struct kith_pipeline *run, struct kith_statement *statement)
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

int
kith_pipeline_finish(struct kith_pipeline *run)
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

bool
kith_pipeline_rows(struct kith_pipeline *run, struct kith_statement *statement,
    int (*take)(void *arg, const PGresult *result, int row), void *arg)
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
			ok = !take(arg, result, i);
		PQclear(result);
	}
	if (run->end)
		fail_lost(run);
	return ok && !run->end;
}

int
kith_pipeline_sync(struct kith_pipeline *run)
{
	return PQpipelineSync(run->c->pg) ? 0 : fail_lost(run);
}

int
kith_pipeline_flush(struct kith_pipeline *run)
{
	return PQsendFlushRequest(run->c->pg) ? 0 : fail_lost(run);
}

int
kith_pipeline_rollback(struct kith_pipeline *run)
{
	return PQsendQueryParams(run->c->pg, "rollback", 0, NULL, NULL, NULL, NULL, 0) ? 0 : fail_lost(run);
}
