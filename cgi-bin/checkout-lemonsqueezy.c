#include "checkout-program.h"

#include <string.h>

#include "arena.h"
#include "http.h"
#include "json.h"
#include "settings.h"

/*
 * What the workspace is called must be text, whatever it looks like.  Nothing
 * says whether it is a test: the key does.
 */
static struct kith_http *
make(struct kith_arena *a, const struct checkout *c, const char **why)
{
	struct kith_http *call =
	    kith_payment_call(a, KITH_LEMONSQUEEZY, "POST", "/v1/checkouts", "/v1/checkouts", why);
	struct kith_buf body;

	if (!call)
		return NULL;
	kith_buf_init(&body, a, 1024);
	kith_buf_lit(&body, "{\"data\":{\"type\":\"checkouts\",\"attributes\":{\"checkout_data\":{");
	kith_json_write_member(&body, "email", c->email);
	kith_buf_printf(&body, "%s\"custom\":{", c->email ? "," : "");
	kith_json_write_member(&body, "user_id", c->user);
	kith_json_write_member(&body, "workspace_id", c->workspace);
	kith_buf_lit(&body, "}},\"product_options\":{");
	kith_json_write_member(&body, "redirect_url", c->success_url);
	kith_buf_printf(&body, ",\"enabled_variants\":[%s]}", c->price);
	kith_json_write_member(&body, "expires_at", c->expires);
	kith_buf_printf(&body, "},\"relationships\":{\"store\":{\"data\":{\"type\":\"stores\",\"id\":\"%ld\"}},",
	    kith_settings.lemonsqueezy_store);
	kith_buf_printf(&body, "\"variant\":{\"data\":{\"type\":\"variants\",\"id\":\"%s\"}}}}}", c->price);
	call->body = body.s;
	return call;
}

static const struct kith_json *
attributes(struct kith_arena *a, const struct kith_http *call)
{
	const struct kith_json *answer = kith_json_parse(a, call->answer, call->answer_len, NULL);

	return kith_json_get(kith_json_get(answer, "data"), "attributes");
}

static const char *
url(struct kith_arena *a, const struct kith_http *call)
{
	const char *found = kith_json_string(attributes(a, call), "url");

	return found ? found : "";
}

/* An address that is not taken is asked for there. */
static bool
mend(struct kith_arena *a, struct checkout *c, const struct kith_http *call)
{
	if (!c->email || strcmp(kith_payment_error(a, call).param, "email") != 0)
		return false;
	c->email = NULL;
	return true;
}

/* It can be opened for a day, so it is asked for anew with each click. */
static struct kith_http *
make_portal(struct kith_arena *a, const struct checkout *c, const char **why)
{
	if (c->subscription)
		return kith_payment_call(a, KITH_LEMONSQUEEZY, "GET",
		    kith_format(a, "/v1/subscriptions/%s", c->subscription), "/v1/subscriptions/{id}", why);
	return kith_payment_call(a, KITH_LEMONSQUEEZY, "GET", kith_format(a, "/v1/customers/%s", c->customer),
	    "/v1/customers/{id}", why);
}

/* A customer without a subscription has none. */
static const char *
portal_url(struct kith_arena *a, const struct kith_http *call)
{
	const struct kith_json *found = kith_json_get(kith_json_get(attributes(a, call), "urls"), "customer_portal");

	if (found && found->type == KITH_JSON_NULL)
		return NULL;
	return found && found->type == KITH_JSON_STRING ? found->text : "";
}

const struct checkout_request checkout_lemonsqueezy = { make, url, mend };
const struct checkout_request checkout_lemonsqueezy_portal = { make_portal, portal_url, NULL };
