/*
 * What the parts of the checkout program share.
 */
#ifndef CHECKOUT_PROGRAM_H
#define CHECKOUT_PROGRAM_H

#include <stdbool.h>

#include "outgoing.h"
#include "payment.h"
#include "request.h"

struct kith_http;

/* What somebody wants to buy, or to look at. */
struct checkout {
	enum kith_payment provider;
	const char *user;		/* uuid */
	const char *workspace;		/* uuid; NULL with Stripe, where users subscribe themselves */
	const char *price;		/* as the provider calls it */
	const char *customer;		/* as the provider calls them; NULL: it does not know them yet */
	const char *subscription;	/* likewise */
	const char *email;		/* NULL: none */
	const char *key;		/* by which the provider knows a repeated request */
	const char *expires;		/* RFC 3339 */
	const char *success_url, *cancel_url, *return_url;
};

/* One request to a provider, and how it is understood. */
struct checkout_request {
	/* Makes the call; NULL, *why set, when our key cannot be read. */
	struct kith_http *(*make)(struct kith_arena *a, const struct checkout *c, const char **why);
	/* The URL in its answer; NULL when there is none. */
	const char *(*url)(struct kith_arena *a, const struct kith_http *call);
	/*
	 * Whether the provider refuses what it could be asked without: changes
	 * *c to ask again.
	 */
	bool (*mend)(struct kith_arena *a, struct checkout *c, const struct kith_http *call);
};

extern const struct checkout_request checkout_stripe, checkout_stripe_portal;
extern const struct checkout_request checkout_lemonsqueezy, checkout_lemonsqueezy_portal;

/*
 * Asks the provider, again where that makes sense, and answers {"url":...}.  -1 with the error
 * set: 400 and 404 for what the provider says of the caller's part, 503 with
 * Retry-After when it does not answer, 502 when it does not do what we asked.
 */
int checkout_ask(struct kith_request *req, struct checkout *c, const struct checkout_request *how);

#endif
