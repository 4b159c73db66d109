/*
 * checkout - sends whoever wants to pay, or to change what they pay, to the
 * payment provider: users to Stripe, workspaces to Lemon Squeezy.
 *
 * Called by supabase.functions.invoke('checkout') and ('portal').  Who may, and
 * for which price, is a function of sql/312_checkout.sql; here one call to the
 * provider follows.  In processes of its own, which wait for the provider while
 * everybody else goes on: the tables are those of kith-subscriptions.
 */
#include "checkout-program.h"

#include <string.h>

#include "arena.h"
#include "auth.h"
#include "clock.h"
#include "db.h"
#include "json.h"
#include "kith.h"
#include "redirect_url.h"
#include "settings.h"

/* As many as wait for a provider at the same time. */
#define PROCESSES 4

/* Whoever has waited so long for one of them would not live to see the provider's answer. */
#define PATIENCE_US 4000000

/* Stripe puts the session's id in its place. */
#define PLACEHOLDER "{CHECKOUT_SESSION_ID}"

#define RATE_WINDOW_S "60"

static int
identify(struct kith_request *req)
{
	if (kith_auth_identify(req))
		return -1;
	if (req->identity->role == KITH_AUTHENTICATED && req->identity->subject)
		return 0;
	kith_reply_header(req, "WWW-Authenticate", "Bearer");
	return kith_fail(req, 401, "KITH401", "only a signed-in user can pay");
}

static const struct kith_json *
read_body(struct kith_request *req)
{
	const char *why = NULL;
	const struct kith_json *body = kith_json_parse(req->arena, req->body, req->body_len, &why);

	if (body && body->type == KITH_JSON_OBJECT)
		return body;
	kith_fail(req, 400, "KITH400", "the body must be a JSON object");
	if (why)
		kith_fail_details(req, "%s", why);
	return NULL;
}

/* *text is NULL when the member is absent or null. */
static int
read_text(struct kith_request *req, const struct kith_json *body, const char *member, const char **text)
{
	const struct kith_json *value = kith_json_get(body, member);

	*text = NULL;
	if (!value || value->type == KITH_JSON_NULL)
		return 0;
	if (value->type != KITH_JSON_STRING)
		return kith_fail(req, 400, "KITH400", "%s must be a string", member);
	*text = value->text;
	return 0;
}

/* The URL without the braces of the placeholder, which no other URL may hold. */
static const char *
without_placeholder(struct kith_arena *a, const char *url)
{
	const char *at = strstr(url, PLACEHOLDER);

	return at ? kith_format(a, "%.*sID%s", (int)(at - url), url, at + strlen(PLACEHOLDER)) : url;
}

/* Where the browser goes afterwards: the app, unless the body names another place that the settings allow. */
static int
read_url(struct kith_request *req, const struct kith_json *body, const char *member, const char **url)
{
	if (read_text(req, body, member, url))
		return -1;
	if (!*url) {
		*url = kith_settings.site_url;
		return 0;
	}
	if (kith_redirect_url_allowed(
		without_placeholder(req->arena, *url), kith_settings.site_url, kith_settings.redirect_urls))
		return 0;
	kith_fail(req, 400, "KITH400", "%s may not lead there", member);
	return kith_fail_hint(req, "Addresses of the app are allowed, and those that KITH_REDIRECT_URLS lists.");
}

static int
begin(struct kith_request *req, struct checkout *c, const struct kith_json **body)
{
	int64_t waited_us = req->sent_us ? kith_clock_us() - req->sent_us : 0;

	memset(c, 0, sizeof(*c));
	if (waited_us > PATIENCE_US) {
		kith_reply_header(req, "Retry-After", "5");
		return kith_fail(req, 503, "KITH503", "too many people are paying at this moment");
	}
	if (identify(req) || !(*body = read_body(req)) || read_text(req, *body, "workspace_id", &c->workspace))
		return -1;
	c->user = req->identity->subject;
	c->provider = c->workspace ? KITH_LEMONSQUEEZY : KITH_STRIPE;
	if (kith_payment_configured(c->provider))
		return 0;
	if (!c->workspace) {
		kith_fail(req, 404, "KITH404", "nothing can be paid for here with Stripe");
		return kith_fail_hint(req, "Workspaces are paid for by their workspace_id.");
	}
	kith_fail(req, 404, "KITH404", "nothing can be paid for here with Lemon Squeezy");
	return kith_fail_hint(req, "Users themselves subscribe without workspace_id.");
}

/* The column of that name in the only row; NULL for SQL's null. */
static const char *
column(const PGresult *row, const char *name)
{
	int i = PQfnumber(row, name);

	return i < 0 || PQgetisnull(row, 0, i) ? NULL : PQgetvalue(row, 0, i);
}

/* What the database knows of them.  Counted there too: a provider takes so many calls of us, and no more. */
static int
take(struct kith_request *req, struct checkout *c, const PGresult *row)
{
	if (!row)
		return -1;
	if (column(row, "wait")) {
		kith_reply_header(req, "Retry-After", "%s", column(row, "wait"));
		return kith_fail(req, 429, "KITH429", "too many attempts to pay");
	}
	c->price = column(row, "price_id");
	c->customer = kith_payment_id(column(row, "customer_id"));
	c->subscription = kith_payment_id(column(row, "subscription_id"));
	c->email = column(row, "email");
	c->key = column(row, "key");
	c->expires = column(row, "expires_at");
	return 0;
}

static void
arguments(struct kith_sql *sql, struct kith_request *req, const struct checkout *c)
{
	kith_sql_param(sql, c->user);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, req->identity->session);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, c->workspace);
}

static int
checkout(struct kith_request *req)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const struct kith_json *body;
	const char *price, *plan;
	struct checkout c;

	if (begin(req, &c, &body) || read_text(req, body, "price", &price) || read_text(req, body, "plan", &plan) ||
	    read_url(req, body, "success_url", &c.success_url) || read_url(req, body, "cancel_url", &c.cancel_url))
		return -1;
	if (!price == !plan)
		return kith_fail(req, 400, "KITH400", "the body must name a plan, or a price");
	kith_sql_text(sql, "select * from kith.begin_checkout(");
	arguments(sql, req, &c);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, plan);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, price);
	kith_sql_text(sql, ")");
	if (take(req, &c, kith_db_call(req, sql)))
		return -1;
	return checkout_ask(req, &c, c.workspace ? &checkout_lemonsqueezy : &checkout_stripe);
}

static int
portal(struct kith_request *req)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const struct kith_json *body;
	struct checkout c;

	if (begin(req, &c, &body) || read_url(req, body, "return_url", &c.return_url))
		return -1;
	kith_sql_text(sql, "select * from kith.begin_portal(");
	arguments(sql, req, &c);
	kith_sql_text(sql, ")");
	if (take(req, &c, kith_db_call(req, sql)))
		return -1;
	return checkout_ask(req, &c, c.workspace ? &checkout_lemonsqueezy_portal : &checkout_stripe_portal);
}

static const struct kith_route routes[] = {
	{ KITH_POST, "/checkout", checkout },
	{ KITH_POST, "/portal", portal },
	{ KITH_POST, "/subscriptions/checkout", checkout },
	{ KITH_POST, "/subscriptions/portal", portal },
	{ 0 },
};

const struct kith_resource kith_checkout = {
	.name = "checkout",
	.mount = KITH_FUNCTIONS,
	.routes = routes,
	.login = "kith_checkout",
	.init = kith_payment_init,
	.processes = PROCESSES,
};
