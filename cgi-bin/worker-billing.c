#include "worker.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "http.h"
#include "json.h"
#include "log.h"
#include "payment.h"
#include "settings.h"

#define ROUND_US (60 * SECOND_US)

/* Somebody has to give us a key first. */
#define NO_KEY_MS 3600000

/* Lemon Squeezy takes 300 calls a minute, of checkouts too; Stripe, of a test key, 25 a second. */
static struct worker_provider providers[KITH_PAYMENTS] = {
	[KITH_STRIPE] = { .name = "stripe", .interval_us = SECOND_US / 20 },
	[KITH_LEMONSQUEEZY] = { .name = "lemonsqueezy", .interval_us = SECOND_US / 4 },
};

/* A subscription, and the call that is made for it. */
struct billing {
	struct kith_arena *a;
	const struct worker_job *job;
	struct worker_result *result;
	enum kith_payment provider;
	const char *subscription;
};

int
worker_billing_init(void)
{
	return kith_payment_init();
}

/* A job names its provider: there is work as long as one of them may be called. */
struct worker_provider *
worker_billing_provider(void)
{
	static struct worker_provider any = { .name = "payments" };

	any.ready_us = INT64_MAX;
	for (int i = 0; i < KITH_PAYMENTS; i++)
		if (kith_payment_configured((enum kith_payment)i) && providers[i].ready_us < any.ready_us)
			any.ready_us = providers[i].ready_us;
	if (any.ready_us == INT64_MAX)
		any.ready_us = 0;
	return &any;
}

/* False when this is no time for it, and the result says so. */
static bool
wait_for_turn(struct billing *b)
{
	int64_t left_us = providers[b->provider].ready_us - kith_now_us();

	if (left_us > SECOND_US) {
		b->result->outcome = KITH_BUSY;
		b->result->error = kith_format(b->a, "%s: not called for a while", providers[b->provider].name);
		b->result->retry_ms = left_us / 1000;
		return false;
	}
	if (left_us > 0)
		poll(NULL, 0, (int)(left_us / 1000) + 1);
	return true;
}

/*
 * One call about the subscription; body makes it a POST, which has the job's key.
 * NULL when it was not made.  Otherwise the result says how it ended.
 */
static struct kith_http *
call(struct billing *b, const char *method, const char *body)
{
	struct worker_result *result = b->result;
	struct kith_http *http;
	const char *why;

	if (!wait_for_turn(b))
		return NULL;
	http = kith_payment_call(b->a, b->provider, method, kith_format(b->a, "/v1/subscriptions/%s", b->subscription),
	    "/v1/subscriptions/{id}", &why);
	worker_provider_begin(&providers[b->provider]);
	if (!http) {
		result->outcome = KITH_DENIED;
		result->error = why;
	} else {
		if (body) {
			kith_http_header(http, "Idempotency-Key", "%s", b->job->key);
			http->body = body;
		}
		http->attempt = b->job->attempt;
		result->outcome = kith_http_send(http);
		result->error = http->error;
		result->retry_ms = http->retry_ms;
		if (result->outcome == KITH_BUSY)
			result->pause_ms = result->retry_ms < 0 ? 1000 : result->retry_ms;
		result->fault = result->outcome == KITH_UNREACHED ||
		    (result->outcome == KITH_FAILED && http->status != 409);
	}
	worker_provider_end(&providers[b->provider], result);
	return http;
}

/* False, and the result says why, when the payload names no subscription of a provider. */
static bool
begin(struct billing *b, struct kith_arena *a, const struct worker_job *job, struct worker_result *result)
{
	const char *name = kith_json_string(job->payload, "provider");

	*b = (struct billing){ .a = a, .job = job, .result = result };
	b->subscription = kith_payment_id(kith_json_string(job->payload, "subscription_id"));
	result->outcome = KITH_REFUSED;
	if (name && b->subscription && kith_payment_find(name, &b->provider))
		return true;
	result->error = "the payload names no subscription";
	return false;
}

/* --- what it is, there --- */

/* The answer's JSON, when it is one that PostgreSQL takes too; NULL, and the result says so, when it is not. */
static const struct kith_json *
read_answer(struct billing *b, const struct kith_http *http)
{
	const struct kith_json *answer = kith_json_parse(b->a, http->answer, http->answer_len, NULL);

	if (answer && http->date > 0)
		return answer;
	b->result->outcome = KITH_FAILED;
	b->result->error =
	    kith_format(b->a, "%s: the answer %s", http->provider, answer ? "has no date" : "is no JSON");
	return NULL;
}

/* What the SQL function that applies it returned: an outcome of the ledger, or null. */
static void
note(struct billing *b, const PGresult *row, const char *otherwise)
{
	const char *name = providers[b->provider].name;

	b->result->outcome = KITH_REFUSED;
	if (!row) {
		b->result->outcome = KITH_UNREACHED;
		b->result->error = "the database is away";
	} else if (PQgetisnull(row, 0, 0)) {
		b->result->error = kith_format(b->a, "%s: %s", name, otherwise);
	} else if (!strcmp(PQgetvalue(row, 0, 0), "failed")) {
		b->result->error = kith_format(b->a, "%s: kith webhooks list failed", name);
	} else {
		b->result->outcome = KITH_DONE;
		b->result->error = NULL;
	}
}

/* A key says which half of Stripe it sees; NULL: it does not. */
static const char *
key_is_live(struct kith_arena *a)
{
	const char *why, *key = kith_outgoing_secret(a, kith_settings.stripe_key, &why);

	if (!key)
		return NULL;
	if (strstr(key, "_live_"))
		return "true";
	return strstr(key, "_test_") ? "false" : NULL;
}

static void
apply_missing(struct billing *b, const struct kith_http *http)
{
	static const char sql[] = "select kith.apply_missing_stripe($1, $2, $3)";
	const char *date = kith_format(b->a, "%lld", (long long)http->date);

	note(b, worker_db_run(b->a, sql, WORKER_PARAMS(b->subscription, key_is_live(b->a), date)),
	    "404 resource_missing, of the other mode or another account");
}

static void
apply(struct billing *b, const struct kith_http *http)
{
	const char *date = kith_format(b->a, "%lld", (long long)http->date);
	const char *store = kith_format(b->a, "%ld", kith_settings.lemonsqueezy_store);
	const PGresult *row;

	if (!read_answer(b, http))
		return;
	if (b->provider == KITH_STRIPE)
		row = worker_db_run(b->a, "select kith.apply_fetched_stripe($1, $2, $3)",
		    WORKER_PARAMS(b->subscription, http->answer, date));
	else
		row = worker_db_run(b->a, "select kith.apply_fetched_lemonsqueezy($1, $2, $3, $4)",
		    WORKER_PARAMS(b->subscription, http->answer, date, store));
	note(b, row, "the answer is another subscription");
}

void
worker_do_reconcile_subscription(struct kith_arena *a, const struct worker_job *job, struct worker_result *result)
{
	struct kith_http *http;
	struct billing b;

	if (!begin(&b, a, job, result))
		return;
	if (!kith_payment_configured(b.provider)) {
		/* Nobody can be asked: the rounds end what ends. */
		result->outcome = KITH_DONE;
		return;
	}
	if (!(http = call(&b, "GET", NULL)))
		return;
	if (result->outcome == KITH_DONE)
		apply(&b, http);
	else if (b.provider == KITH_STRIPE && http->status == 404 && http->date > 0 &&
	    !strcmp(kith_payment_error(a, http).code, "resource_missing"))
		apply_missing(&b, http);
}

/* --- its end --- */

/* Whether it has ended already: then it cannot be ended again, which is no error. */
static bool
is_over(struct billing *b)
{
	/* Of Stripe the first two, of Lemon Squeezy the others. */
	static const char *const ends[] = { "canceled", "incomplete_expired", "cancelled", "expired" };
	const struct kith_http *http = call(b, "GET", NULL);
	const struct kith_json *answer;
	const char *status;

	if (!http || b->result->outcome != KITH_DONE || !(answer = read_answer(b, http)))
		return false;
	if (b->provider == KITH_LEMONSQUEEZY)
		answer = kith_json_get(kith_json_get(answer, "data"), "attributes");
	status = kith_json_string(answer, "status");
	for (size_t i = 0; status && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!strcmp(status, ends[i]))
			return true;
	return false;
}

/* Nobody is left who could complain: what is not ended is said again and again. */
void
worker_do_cancel_subscription(struct kith_arena *a, const struct worker_job *job, struct worker_result *result)
{
	const struct kith_http *http;
	const char *refusal;
	struct billing b;

	if (!begin(&b, a, job, result))
		return;
	if (!kith_payment_configured(b.provider)) {
		result->outcome = KITH_UNREACHED;
		result->error = kith_format(a, "%s: there is no API key to end it with", providers[b.provider].name);
		result->retry_ms = NO_KEY_MS;
		return;
	}
	if (b.provider == KITH_STRIPE)
		http = call(&b, "POST", "cancel_at_period_end=true");
	else
		http = call(&b, "DELETE", NULL);
	if (!http || result->outcome != KITH_REFUSED || http->status == 404)
		return;
	refusal = result->error;
	if (is_over(&b)) {
		result->error = NULL;
	} else if (result->outcome == KITH_DONE) {
		result->outcome = KITH_REFUSED;
		result->error = refusal;
	}
}

/* --- rounds --- */

void
worker_billing_round(void)
{
	static int64_t next_us;
	struct kith_arena *a;

	if (kith_now_us() < next_us)
		return;
	next_us = kith_now_us() + ROUND_US;
	a = kith_arena_new(0);
	for (int i = 0; i < KITH_PAYMENTS; i++) {
		const char *name = kith_payment_name((enum kith_payment)i), *n;
		bool key = kith_payment_configured((enum kith_payment)i);
		const char *sql = key ? "select kith.go_round($1)" : "select kith.expire_subscriptions($1)";
		const PGresult *row = worker_db_run(a, sql, WORKER_PARAMS(name));

		if (!row) {
			next_us = kith_now_us() + SECOND_US;
			continue;
		}
		n = PQgetvalue(row, 0, 0);
		if (strcmp(n, "0") != 0)
			kith_log(KITH_LOG_INFO, "%s: %s subscriptions to be %s", name, n,
			    key ? "fetched" : "taken as ended");
	}
	kith_arena_free(a);
}
