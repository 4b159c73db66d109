#include "checkout-program.h"

#include <poll.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "http.h"
#include "json.h"
#include "log.h"

/* For all attempts together: nginx waits half a minute, and the database was asked before. */
#define TIME_MS 24000

/* Longer than this nobody is kept waiting, and not twice. */
#define HINT_MAX_MS 2000
#define LOCKED_MS 1000

/* One after a wait, and what may be mended: the customer, the address, the key. */
#define ATTEMPTS 5

/* Five faults in a row: no call for half a minute, and then one that tries. */
#define FAULTS 5
#define CLOSED_US 30000000

static struct {
	int faults;
	int64_t closed_until_us;
} health[KITH_PAYMENTS];

static int
refuse_for_now(struct kith_request *req, int64_t ms)
{
	kith_reply_header(req, "Retry-After", "%lld", (long long)(ms > 0 ? (ms + 999) / 1000 : 30));
	kith_fail(req, 503, "KITH503", "the payment provider does not answer");
	return kith_fail_hint(req, "Nothing was bought: try again as Retry-After says.");
}

/* Nothing of this is the caller's doing, and nothing of the provider's words is theirs to read. */
static int
refuse_for_good(struct kith_request *req, const char *why)
{
	kith_fail(req, 502, "KITH502", "the payment provider did not do what it was asked for");
	kith_fail_hint(req, "Whoever runs this server finds the reason in its log.");
	return kith_fail_log(req, "%s", why);
}

static void
note(enum kith_payment provider, const struct kith_http *call, enum kith_outcome outcome)
{
	bool fault = outcome == KITH_UNREACHED || (outcome == KITH_FAILED && call->status != 409);

	health[provider].faults = fault ? health[provider].faults + 1 : 0;
	if (health[provider].faults < FAULTS)
		return;
	health[provider].closed_until_us = kith_now_us() + CLOSED_US;
	kith_log(KITH_LOG_WARNING, "%s: no call for 30 s: %s", call->provider, call->error);
}

/* A refusal that concerns what the caller sent, or who they are there. */
static int
refuse(struct kith_request *req, const struct kith_http *call)
{
	static const char *const urls[] = { "success_url", "cancel_url", "return_url", "redirect_url" };
	struct kith_payment_error error = kith_payment_error(req->arena, call);

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		if (!strcmp(error.param, urls[i]))
			return kith_fail(req, 400, "KITH400", "the payment provider does not take that %s", urls[i]);
	if (call->status == 404 || (!strcmp(error.code, "resource_missing") && !strcmp(error.param, "customer")))
		return kith_fail(req, 404, "KITH404", "the payment provider knows no such customer");
	return refuse_for_good(req, kith_format(req->arena, "%s %s %s", call->error, error.code, error.param));
}

static int
answer(struct kith_request *req, const struct checkout_request *how, const struct kith_http *call)
{
	const char *url = how->url(req->arena, call);

	if (!url)
		return kith_fail(req, 404, "KITH404", "the payment provider knows no such customer");
	/* Whoever answered: a browser goes there next. */
	if (kith_outgoing_refuse(url, "https http"))
		return refuse_for_good(req, "the answer holds no URL");
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
	kith_buf_lit(&req->reply.body, "{\"url\":");
	kith_json_write_string(&req->reply.body, url, strlen(url));
	kith_buf_putc(&req->reply.body, '}');
	return 0;
}

/* How long the provider asks to wait.  Of Stripe 409 says that the same request is under way, or something locked. */
static int64_t
hint_ms(const struct kith_http *call)
{
	return call->retry_ms < 0 && call->status == 409 ? LOCKED_MS : call->retry_ms;
}

/* Whether another attempt makes sense; waits until it does. */
static bool
again(struct kith_arena *a, struct checkout *c, const struct checkout_request *how, const struct kith_http *call,
    enum kith_outcome outcome, bool *waited)
{
	if (outcome == KITH_REFUSED)
		return how->mend && how->mend(a, c, call);
	if (*waited || (outcome != KITH_BUSY && outcome != KITH_FAILED) || hint_ms(call) < 0 ||
	    hint_ms(call) > HINT_MAX_MS)
		return false;
	*waited = true;
	poll(NULL, 0, (int)hint_ms(call));
	return true;
}

int
checkout_ask(struct kith_request *req, struct checkout *c, const struct checkout_request *how)
{
	int64_t begun_us = kith_now_us(), closed_us = health[c->provider].closed_until_us - begun_us;
	struct kith_http *call;
	enum kith_outcome outcome;
	bool waited = false;
	const char *why;

	if (closed_us > 0)
		return refuse_for_now(req, closed_us / 1000);
	for (int attempt = 1;; attempt++) {
		long left_ms = TIME_MS - (long)((kith_now_us() - begun_us) / 1000);

		call = how->make(req->arena, c, &why);
		if (!call)
			return refuse_for_good(req, why);
		if (call->timeout_ms > left_ms)
			call->timeout_ms = left_ms > 0 ? left_ms : 1;
		call->attempt = attempt;
		outcome = kith_http_send(call);
		note(c->provider, call, outcome);
		if (outcome == KITH_DONE)
			return answer(req, how, call);
		if (attempt == ATTEMPTS || !again(req->arena, c, how, call, outcome, &waited))
			break;
	}
	if (outcome == KITH_REFUSED)
		return refuse(req, call);
	if (outcome == KITH_DENIED)
		return refuse_for_good(
		    req, kith_format(req->arena, "%s does not take our key (%s)", call->provider, call->error));
	return refuse_for_now(req, call->retry_ms);
}
