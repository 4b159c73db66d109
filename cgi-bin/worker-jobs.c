#include "worker.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "supervisor.h"
#include "teststop.h"

/* Room for the largest answer, which grows by doubling, and for what is made of it. */
#define JOB_MAX ((size_t)64 << 20)

/* What we can do, and whom we need for it. */
static const struct kind {
	const char *kind;
	int how_quick;
	struct worker_provider *(*provider)(void);
	void (*work)(struct kith_arena *a, const struct worker_job *job, struct worker_result *result);
} kinds[] = {
	{ "mail", WORKER_QUICK, worker_mail_provider, worker_do_mail },
	{ "delete_files", WORKER_QUICK, worker_files_provider, worker_do_delete_files },
	{ "probe_recording", WORKER_SLOW, worker_media_provider, worker_do_probe_recording },
	{ "reconcile_subscription", WORKER_SLOW, worker_billing_provider, worker_do_reconcile_subscription },
	{ "cancel_subscription", WORKER_SLOW, worker_billing_provider, worker_do_cancel_subscription },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* "{mail,...}": kinds that can be done at that time; NULL when there are none.  Others wait, and are not claimed. */
static const char *
possible(struct kith_arena *a, int how_quick, int64_t now_us)
{
	const char *list = NULL;

	for (size_t i = 0; i < KINDS; i++) {
		const struct worker_provider *provider = kinds[i].how_quick & how_quick ? kinds[i].provider() : NULL;

		if (provider && provider->ready_us <= now_us)
			list = kith_format(a, "%s%s", list ? kith_format(a, "%s,", list) : "", kinds[i].kind);
	}
	return list ? kith_format(a, "{%s}", list) : NULL;
}

static const struct kind *
kind_of(const struct worker_job *job)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].kind, job->kind))
			return &kinds[i];
	abort();	/* claimed, so among them */
}

static const char *
seconds(struct kith_arena *a, int64_t ms)
{
	return ms < 0 ? NULL : kith_format(a, "%lld milliseconds", (long long)ms);
}

/* After one that does not count: what was asked for, or half a second doubled up to a minute, a fifth more or less. */
static int64_t
delay_ms(const struct worker_job *job, const struct worker_result *result)
{
	int64_t ms = 500;

	if (result->retry_ms >= 0)
		return result->retry_ms;
	for (int i = 1; i < job->attempt && ms < 60000; i++)
		ms *= 2;
	return (ms < 60000 ? ms : 60000) * (80 + random() % 41) / 100;
}

/* Notes how it ended, and says so. */
static void
end(struct kith_arena *a, const struct worker_job *job, const struct worker_result *result)
{
	const char *template = kith_json_string(job->payload, "template"), *became;
	const PGresult *row;

	switch (result->outcome) {
	case KITH_DONE:
		row = worker_db_insist(a, "select case when kith.finish_job($1, $2) then 'done' end",
		    WORKER_PARAMS(job->id, job->attempt_text));
		break;
	case KITH_REFUSED:
	case KITH_FAILED:
		row = worker_db_insist(a, "select kith.fail_job($1, $2, $3, $4, $5)",
		    WORKER_PARAMS(job->id, job->attempt_text, result->error, seconds(a, result->retry_ms),
			result->outcome == KITH_REFUSED ? "true" : "false"));
		break;
	default:
		row = worker_db_insist(a, "select case when kith.postpone_job($1, $2, $3, $4) then 'postponed' end",
		    WORKER_PARAMS(job->id, job->attempt_text, result->error, seconds(a, delay_ms(job, result))));
	}
	if (!row)
		became = "not noted: it will be done again";
	else
		became = PQgetisnull(row, 0, 0) ? "no longer ours" : PQgetvalue(row, 0, 0);
	kith_log(!strcmp(became, "failed") ? KITH_LOG_ERROR : result->error ? KITH_LOG_WARNING : KITH_LOG_INFO,
	    "job %s (%s%s%s), attempt %d: %s%s%s", job->id, job->kind, template ? " " : "", template ? template : "",
	    job->attempt, became, result->error ? ": " : "", result->error ? result->error : "");
}

static void
work_on(struct kith_arena *a, const PGresult *row)
{
	enum { ID, KIND, KEY, PAYLOAD, ATTEMPT, AGE };
	struct worker_result result = { .outcome = KITH_REFUSED, .retry_ms = -1, .pause_ms = -1 };
	struct worker_job job = {
		.id = PQgetvalue(row, 0, ID),
		.kind = PQgetvalue(row, 0, KIND),
		.key = PQgetvalue(row, 0, KEY),
		.payload = kith_json_parse(a, PQgetvalue(row, 0, PAYLOAD), strlen(PQgetvalue(row, 0, PAYLOAD)), NULL),
		.attempt_text = PQgetvalue(row, 0, ATTEMPT),
		.attempt = (int)worker_db_number(row, ATTEMPT),
		.age_s = worker_db_number(row, AGE),
	};
	const struct kind *kind = kind_of(&job);

	KITH_TEST_POINT("job-claimed");
	if (job.payload)
		kind->work(a, &job, &result);
	else
		result.error = "the payload cannot be read";
	KITH_TEST_POINT("job-done");
	end(a, &job, &result);
}

bool
worker_jobs_work(int how_quick)
{
	/* One at a time: what is held by a worker that is killed waits until its lease has run out. */
	static const char claim[] =
	    "select id, kind, key, payload, attempts, floor(extract(epoch from now() - created_at))"
	    " from kith.claim_jobs($1, $2, 1)";
	struct kith_arena *a = kith_arena_new(JOB_MAX);
	const char *can = possible(a, how_quick, kith_now_us());
	const PGresult *row = can ? worker_db_run(a, claim, WORKER_PARAMS(can, WORKER_LEASE)) : NULL;
	bool found = row && PQntuples(row) > 0;

	if (found) {
		kith_supervisor_busy();
		work_on(a, row);
		kith_supervisor_idle();
	}
	kith_arena_free(a);
	return found;
}

int64_t
worker_jobs_next_us(void)
{
	struct kith_arena *a = kith_arena_new(0);
	int64_t next_us = INT64_MAX, now_us = kith_now_us();
	const char *can = possible(a, WORKER_QUICK | WORKER_SLOW, now_us);
	const PGresult *row = can ? worker_db_run(a, "select kith.next_job($1)", WORKER_PARAMS(can)) : NULL;

	if (row && !PQgetisnull(row, 0, 0))
		next_us = worker_db_due_us(PQgetvalue(row, 0, 0));
	for (size_t i = 0; i < KINDS; i++) {
		const struct worker_provider *provider = kinds[i].provider();

		if (provider && provider->ready_us > now_us && provider->ready_us < next_us)
			next_us = provider->ready_us;
	}
	kith_arena_free(a);
	return next_us;
}
