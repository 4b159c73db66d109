#include "worker.h"

#include <string.h>

#include "arena.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "settings.h"
#include "supervisor.h"
#include "teststop.h"

#define MESSAGE_MAX ((size_t)64 << 20)
#define CHANNELS "{email}"
#define ATTEMPTS 5
#define PAUSE_MS 60000

struct message {
	const char *id;
	const char *attempt_text;
	int attempt;
	const char *delivery;	/* row of the delivery log: what the provider knows the mail by */
};

static void
finish(struct kith_arena *a, const struct message *m, const char *outcome, const char *reason, const char *provider_id,
    const char *wait)
{
	const PGresult *row = worker_db_insist(a,
	    "select kith.finish_message($1, $2, $3, $4, $5, now() + $6::interval)",
	    WORKER_PARAMS(m->id, m->attempt_text, outcome, reason, provider_id, wait));

	if (!row || strcmp(PQgetvalue(row, 0, 0), "t"))
		outcome = "no longer ours";
	kith_log(!strcmp(outcome, "failed") ? KITH_LOG_ERROR : reason ? KITH_LOG_WARNING : KITH_LOG_INFO,
	    "message %s, attempt %d: %s%s%s", m->id, m->attempt, outcome, reason ? ": " : "", reason ? reason : "");
}

/* What is to be said: content is an object with "text", "html" or both, or a text. */
static bool
read_content(const struct kith_json *content, struct kith_mail *mail)
{
	mail->text = content && content->type == KITH_JSON_STRING ? content->text : kith_json_string(content, "text");
	mail->html = kith_json_string(content, "html");
	return mail->text || mail->html;
}

/* True when it may go out: with its words, and the row of its delivery. */
static bool
post(struct kith_arena *a, struct message *m, struct kith_mail *mail)
{
	const PGresult *row = worker_db_run(a,
	    "select delivery_id, content, subject from kith.post_message($1, $2, null, null, $3)",
	    WORKER_PARAMS(m->id, m->attempt_text, kith_settings.mail));
	const char *content;

	/* Somebody else has it, or the database is away: the claim runs out, and nothing went out. */
	if (!row || !PQntuples(row))
		return false;
	m->delivery = PQgetvalue(row, 0, 0);
	content = PQgetvalue(row, 0, 1);
	if (!read_content(kith_json_parse(a, content, strlen(content), NULL), mail)) {
		finish(a, m, "failed", "content holds no \"text\" and no \"html\"", NULL, NULL);
		return false;
	}
	mail->subject = PQgetisnull(row, 0, 2) ? "A message for you" : kith_mail_line(a, PQgetvalue(row, 0, 2));
	return true;
}

static void
end(struct kith_arena *a, const struct message *m, const struct worker_result *result, const char *provider_id)
{
	long long wait_ms = result->retry_ms >= 0 ? result->retry_ms : PAUSE_MS;

	switch (result->outcome) {
	case KITH_DONE:
		finish(a, m, "sent", NULL, provider_id, NULL);
		break;
	case KITH_REFUSED:
		finish(a, m, "failed", result->error, NULL, NULL);
		break;
	case KITH_FAILED:
		if (m->attempt >= ATTEMPTS) {
			finish(a, m, "failed", result->error, NULL, NULL);
			break;
		}
		/* It may have gone out, so its words stay: when the claim runs out they are sent under the same key. */
		kith_log(KITH_LOG_WARNING, "message %s, attempt %d: %s", m->id, m->attempt, result->error);
		break;
	default:
		finish(a, m, "pending", result->error, NULL, kith_format(a, "%lld milliseconds", wait_ms));
	}
}

static void
work_on(struct kith_arena *a, const PGresult *claimed)
{
	struct worker_result result = { .retry_ms = -1, .pause_ms = -1 };
	struct message m = { .id = PQgetvalue(claimed, 0, 0), .attempt_text = PQgetvalue(claimed, 0, 1) };
	struct kith_mail mail = { .from = kith_settings.mail_from, .to = PQgetvalue(claimed, 0, 2),
		.date = kith_clock_us() / 1000000 };
	const char *id;

	m.attempt = (int)worker_db_number(claimed, 1);
	if (!*mail.to) {
		finish(a, &m, "failed", "the user has no address", NULL, NULL);
		return;
	}
	if (!PQgetisnull(claimed, 0, 3)) {
		finish(a, &m, "failed", PQgetvalue(claimed, 0, 3), NULL, NULL);
		return;
	}
	if (!post(a, &m, &mail))
		return;
	mail.key = kith_format(a, "msg/%s", m.delivery);
	KITH_TEST_POINT("message-posted");
	worker_mail_send(a, &mail, m.delivery, m.attempt, &result, &id);
	KITH_TEST_POINT("message-sent");
	end(a, &m, &result, id);
}

static bool
possible(int64_t now_us)
{
	return worker_mail_provider() && worker_mail_provider()->ready_us <= now_us;
}

bool
worker_messages_work(void)
{
	struct kith_arena *a;
	const PGresult *claimed;
	bool found;

	if (!possible(kith_now_us()))
		return false;
	a = kith_arena_new(MESSAGE_MAX);
	claimed = worker_db_run(a,
	    "select id, attempt, email, kith.refused_address(email, false) from kith.claim_messages(1, $1, $2)",
	    WORKER_PARAMS(WORKER_LEASE, CHANNELS));
	found = claimed && PQntuples(claimed) > 0;
	if (found) {
		kith_supervisor_busy();
		work_on(a, claimed);
		kith_supervisor_idle();
	}
	kith_arena_free(a);
	return found;
}

int64_t
worker_messages_next_us(void)
{
	int64_t now_us = kith_now_us(), next_us = INT64_MAX;
	struct kith_arena *a;
	const PGresult *row;

	if (!worker_mail_provider())
		return INT64_MAX;
	if (!possible(now_us))
		return worker_mail_provider()->ready_us;
	a = kith_arena_new(0);
	row = worker_db_run(a, "select kith.next_message($1)", WORKER_PARAMS(CHANNELS));
	if (row && !PQgetisnull(row, 0, 0))
		next_us = worker_db_due_us(PQgetvalue(row, 0, 0));
	kith_arena_free(a);
	return next_us;
}
