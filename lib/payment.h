/*
 * Calls to the payment providers: where they are, by which key, and what their
 * errors say.  Contract: outgoing calls, sections 2 and 3.
 */
#ifndef KITH_PAYMENT_H
#define KITH_PAYMENT_H

#include <stdbool.h>

struct kith_arena;
struct kith_http;

enum kith_payment {
	KITH_STRIPE,
	KITH_LEMONSQUEEZY,
};

#define KITH_PAYMENTS 2

/* "stripe", "lemonsqueezy": how the log, the jobs and the database call it. */
const char *kith_payment_name(enum kith_payment provider);

/* Finds a provider by that name; false for any other. */
bool kith_payment_find(const char *name, enum kith_payment *provider);

/* Is there a key? */
bool kith_payment_configured(enum kith_payment provider);

/* Looks at the settings, and whether the keys can be read.  0, or -1 after a line on stderr. */
int kith_payment_init(void);

/*
 * A call with our key and the version of the API that we speak; route is the
 * path as the log may show it.  The key is read anew each time, so a new one
 * counts at once.  NULL, *why set, when it cannot be read.
 */
struct kith_http *kith_payment_call(struct kith_arena *a, enum kith_payment provider, const char *method,
    const char *path, const char *route, const char **why);

/* Part of the path of a call: the id of something at a provider.  NULL when it is none. */
const char *kith_payment_id(const char *id);

/* What a refusal is about; "" where the provider does not say. */
struct kith_payment_error {
	const char *code;	/* Stripe's code, or else its type: "resource_missing" */
	const char *param;	/* the last name of what is wrong: "email", "customer" */
};

struct kith_payment_error kith_payment_error(struct kith_arena *a, const struct kith_http *call);

#endif
