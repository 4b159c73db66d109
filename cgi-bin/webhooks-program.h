/*
 * What the parts of the webhook program share.  Contract: webhooks.
 */
#ifndef WEBHOOKS_PROGRAM_H
#define WEBHOOKS_PROGRAM_H

#include "request.h"
#include "signature.h"

enum webhooks_provider {
	WEBHOOKS_STRIPE,
	WEBHOOKS_LEMONSQUEEZY,
	WEBHOOKS_RESEND,
	WEBHOOKS_TELEGRAM,
	WEBHOOKS_ELEVENLABS,
	WEBHOOKS_PROVIDERS,	/* how many */
};

/* --- secrets (webhooks-secrets.c) --- */

/* For struct kith_resource: reads all files. */
int webhooks_init(void);

/*
 * The secrets of a provider; they live until the next call.  A file that has
 * changed is read again.  NULL where there is none, or none that can be used.
 */
const struct kith_secret *webhooks_secrets(enum webhooks_provider provider, enum kith_signature scheme);

/* --- headers (webhooks.c) --- */

/* A header, name in lower case; NULL when it was not sent, or more than once.  Of svix-id also webhook-id counts. */
const char *webhooks_header(const struct kith_request *req, const char *name);

/* --- events (webhooks-event.c) --- */

/* What is told of an event beside the event itself; NULL for what it does not say. */
struct webhooks_event {
	const char *id;		/* what makes it this event */
	const char *type;
	const char *at;		/* seconds, or RFC 3339: as it was sent */
	const char *payload;	/* JSON that PostgreSQL can keep */
	const char *digest;	/* SHA-256 of the body as it came, in hexadecimal */
};

/* Reads the body; -1 with 400 bad_json when it is no JSON object. */
int webhooks_read_event(struct kith_request *req, enum webhooks_provider provider, struct webhooks_event *event);

#endif
