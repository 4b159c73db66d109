#include "checkout-program.h"

#include <openssl/sha.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "form.h"
#include "http.h"
#include "json.h"

static struct kith_http *
post(struct kith_arena *a, const char *path, const struct checkout *c, const struct kith_buf *form, const char **why)
{
	struct kith_http *call = kith_payment_call(a, KITH_STRIPE, "POST", path, path, why);

	if (!call)
		return NULL;
	kith_http_header(call, "Idempotency-Key", "%s", c->key);
	call->body = form->s;
	return call;
}

/*
 * The user is named three times: for the session, for its metadata, and for the
 * subscription's, since events of each may come first.
 */
static struct kith_http *
make(struct kith_arena *a, const struct checkout *c, const char **why)
{
	struct kith_buf form;

	kith_buf_init(&form, a, 1024);
	kith_form_field(&form, "mode", "subscription");
	kith_form_field(&form, "line_items[0][price]", c->price);
	kith_form_field(&form, "line_items[0][quantity]", "1");
	kith_form_field(&form, "success_url", c->success_url);
	kith_form_field(&form, "cancel_url", c->cancel_url);
	kith_form_field(&form, "client_reference_id", c->user);
	kith_form_field(&form, "metadata[user_id]", c->user);
	kith_form_field(&form, "subscription_data[metadata][user_id]", c->user);
	kith_form_field(&form, "customer", c->customer);
	kith_form_field(&form, "customer_email", c->customer ? NULL : c->email);
	return post(a, "/v1/checkout/sessions", c, &form, why);
}

static const char *
url(struct kith_arena *a, const struct kith_http *call)
{
	const char *found = kith_json_string(kith_json_parse(a, call->answer, call->answer_len, NULL), "url");

	return found ? found : "";
}

/* What was asked for is another session then, and has a key of its own: the same again for the same. */
static const char *
other_key(struct kith_arena *a, const struct checkout *c)
{
	const char *text = kith_format(a, "%s\n%s\n%s\n%s", c->success_url, c->cancel_url,
	    c->customer ? c->customer : "", c->email ? c->email : "");
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, strlen(text), digest);
	return kith_format(a, "%s:%s", c->key, kith_base64url_encode(a, digest, 12));
}

/*
 * A customer who was removed at Stripe is a new one; an address that Stripe
 * does not take is asked for there; and the same price for another way back,
 * within ten minutes, is another session.
 */
static bool
mend(struct kith_arena *a, struct checkout *c, const struct kith_http *call)
{
	struct kith_payment_error error = kith_payment_error(a, call);

	if (c->customer && !strcmp(error.param, "customer"))
		c->customer = NULL;
	else if (c->email && !strcmp(error.param, "customer_email"))
		c->email = NULL;
	else if (strcmp(error.code, "idempotency_error") != 0)
		return false;
	c->key = other_key(a, c);
	return true;
}

static struct kith_http *
make_portal(struct kith_arena *a, const struct checkout *c, const char **why)
{
	struct kith_buf form;

	kith_buf_init(&form, a, 256);
	kith_form_field(&form, "customer", c->customer);
	kith_form_field(&form, "return_url", c->return_url);
	return post(a, "/v1/billing_portal/sessions", c, &form, why);
}

const struct checkout_request checkout_stripe = { make, url, mend };
const struct checkout_request checkout_stripe_portal = { make_portal, url, NULL };
