/*
 * webhooks - what providers tell: payments, mails, messages of Telegram, voices.
 *
 * Who speaks is proved by a signature over the exact bytes.  What an event means
 * is one function of sql/30?_*.sql, called by a login that can do nothing else:
 * the event, its effect and its trace are one transaction.  Nothing is asked of
 * anybody else meanwhile.  Contract: webhooks.
 */
#include "webhooks-program.h"

#include <libpq-fe.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "db.h"
#include "json.h"
#include "kith.h"
#include "log.h"
#include "settings.h"

/* A provider waits for two seconds gladly, and for five at most. */
#define STATEMENT_TIMEOUT_MS 3000
#define BODY_MAX (1 << 20)
#define PATIENCE_S 30

/* Several, since those that wait for the same customer's lock hold up nobody else. */
#define PROCESSES 4

/* clang-format off */
static const struct endpoint {
	const char *name;
	enum kith_signature scheme;
	const char *signature;	/* the header */
	int refusal;		/* status without a good one */
	const char *call;
} endpoints[] = {
	[WEBHOOKS_STRIPE] = {
		"stripe", KITH_SIGNATURE_STRIPE, "stripe-signature", 400, "select kith.apply_stripe(" },
	[WEBHOOKS_LEMONSQUEEZY] = {
		"lemonsqueezy", KITH_SIGNATURE_LEMONSQUEEZY, "x-signature", 400, "select kith.apply_lemonsqueezy(" },
	[WEBHOOKS_RESEND] = {
		"resend", KITH_SIGNATURE_SVIX, "svix-signature", 400, "select kith.apply_resend(" },
	[WEBHOOKS_TELEGRAM] = {
		"telegram", KITH_SIGNATURE_TELEGRAM, "x-telegram-bot-api-secret-token", 401, "select kith.apply_telegram(" },
	[WEBHOOKS_ELEVENLABS] = {
		"elevenlabs", KITH_SIGNATURE_ELEVENLABS, "elevenlabs-signature", 400, "select kith.apply_elevenlabs(" },
};
/* clang-format on */

int
webhooks_init(void)
{
	kith_settings.statement_timeout = STATEMENT_TIMEOUT_MS;
	kith_settings.body_limit = BODY_MAX;
	for (int p = 0; p < WEBHOOKS_PROVIDERS; p++)
		webhooks_secrets((enum webhooks_provider)p, endpoints[p].scheme);
	return 0;
}

static const char *
sole_header(const struct kith_request *req, const char *name)
{
	return kith_request_header_count(req, name) == 1 ? kith_request_header(req, name) : NULL;
}

const char *
webhooks_header(const struct kith_request *req, const char *name)
{
	const char *value = sole_header(req, name);

	if (!value && !strncmp(name, "svix-", 5))
		value = sole_header(req, kith_format(req->arena, "webhook-%s", name + 5));
	return value;
}

static int
check_signature(struct kith_request *req, const struct endpoint *endpoint, const struct kith_secret *secrets)
{
	struct kith_signed sent = {
		.signature = webhooks_header(req, endpoint->signature),
		.id = webhooks_header(req, "svix-id"),
		.timestamp = webhooks_header(req, "svix-timestamp"),
		.body = req->body,
		.body_len = req->body_len,
	};

	if (kith_signature_verify(req->arena, endpoint->scheme, secrets, &sent, time(NULL)))
		return 0;
	return kith_fail(req, endpoint->refusal, "bad_signature", "the signature is not good");
}

static const PGresult *
apply(struct kith_request *req, const struct endpoint *endpoint, const struct webhooks_event *event)
{
	const char *const arguments[] = { event->id, event->type, event->at, event->payload,
		kith_format(req->arena, "\\x%s", event->digest) };
	struct kith_sql *sql = kith_sql_new(req->arena);

	kith_buf_puts(&sql->text, endpoint->call);
	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		if (i)
			kith_sql_text(sql, ", ");
		kith_sql_param(sql, arguments[i]);
	}
	if (endpoint->scheme == KITH_SIGNATURE_LEMONSQUEEZY) {
		long store = kith_settings.lemonsqueezy_store;

		kith_sql_text(sql, ", ");
		kith_sql_param(sql, store ? kith_format(req->arena, "%ld", store) : NULL);
		kith_sql_text(sql, ", ");
		kith_sql_param(sql, kith_settings.lemonsqueezy_allow_test ? "true" : "false");
	}
	kith_sql_text(sql, ")");
	return kith_db_call(req, sql);
}

/* What no repetition would change: a value that cannot be cast, a rule that is broken. */
static bool
is_poison(const struct kith_error *e)
{
	return strlen(e->code) == 5 && (!strncmp(e->code, "22", 2) || !strncmp(e->code, "23", 2));
}

static int
answer(struct kith_request *req, const char *outcome)
{
	req->reply.status = 200;
	kith_reply_header(req, "Content-Type", "application/json; charset=utf-8");
	kith_buf_lit(&req->reply.body, "{\"received\":true,\"outcome\":");
	kith_json_write_string(&req->reply.body, outcome, strlen(outcome));
	kith_buf_putc(&req->reply.body, '}');
	return 0;
}

static int
receive(struct kith_request *req, enum webhooks_provider provider)
{
	const struct endpoint *endpoint = &endpoints[provider];
	const struct kith_secret *secrets = webhooks_secrets(provider, endpoint->scheme);
	struct webhooks_event event;
	const PGresult *result;
	const char *outcome;

	if (!secrets)
		return kith_fail(req, 404, "KITH404", "there is nothing at this path");
	if (check_signature(req, endpoint, secrets) || webhooks_read_event(req, provider, &event))
		return -1;
	result = apply(req, endpoint, &event);
	if (!result && !is_poison(&req->error))
		return -1;
	outcome = result ? PQgetvalue(result, 0, 0) : "failed";
	if (!strcmp(outcome, "failed"))
		kith_log(KITH_LOG_ERROR, "event of %s could not be applied: %s", endpoint->name,
		    result ? "kith webhooks list failed" : req->error.code);
	memset(&req->error, 0, sizeof(req->error));
	return answer(req, outcome);
}

/* Whatever keeps us from applying an event may be over soon: then it comes again. */
static void
write_error(struct kith_request *req)
{
	struct kith_error *e = &req->error;

	if (e->status >= 500) {
		kith_fail_log(req, "%s", e->code);
		e->status = 503;
		e->code = "try_again";
		kith_reply_header(req, "Retry-After", "%d", PATIENCE_S);
	}
	kith_buf_lit(&req->reply.body, "{\"code\":");
	kith_json_write_string(&req->reply.body, e->code, strlen(e->code));
	kith_buf_putc(&req->reply.body, '}');
}

static int
stripe(struct kith_request *req)
{
	return receive(req, WEBHOOKS_STRIPE);
}

static int
lemonsqueezy(struct kith_request *req)
{
	return receive(req, WEBHOOKS_LEMONSQUEEZY);
}

static int
resend(struct kith_request *req)
{
	return receive(req, WEBHOOKS_RESEND);
}

static int
telegram(struct kith_request *req)
{
	return receive(req, WEBHOOKS_TELEGRAM);
}

static int
elevenlabs(struct kith_request *req)
{
	return receive(req, WEBHOOKS_ELEVENLABS);
}

static const struct kith_route routes[] = {
	{ KITH_POST, "/stripe", stripe },
	{ KITH_POST, "/lemonsqueezy", lemonsqueezy },
	{ KITH_POST, "/resend", resend },
	{ KITH_POST, "/telegram", telegram },
	{ KITH_POST, "/elevenlabs", elevenlabs },
	{ 0 },
};

const struct kith_resource kith_webhooks = {
	.name = "webhooks",
	.mount = "/webhooks",
	.routes = routes,
	.login = "kith_webhooks",
	.init = webhooks_init,
	.write_error = write_error,
	.no_cors = true,
	.processes = PROCESSES,
};
