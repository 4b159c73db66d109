/*
 * Signatures of webhooks: the proof that an event comes from who shares a
 * secret with us.  Contract: webhooks, section 1.
 *
 * All are HMAC-SHA256, but for Telegram, which sends the secret itself.  A
 * secret may be replaced at any time, so there are several, and each signature
 * that was sent is compared with each of them in constant time: what is wrong
 * takes as long as what is right, and nothing says which part was wrong.
 */
#ifndef KITH_SIGNATURE_H
#define KITH_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kith_arena;

enum kith_signature {
	KITH_SIGNATURE_STRIPE,		/* Stripe-Signature: t=TIME,v1=HEX,v1=HEX over "TIME.BODY", 300 s */
	KITH_SIGNATURE_LEMONSQUEEZY,	/* X-Signature: HEX over the body, of any age */
	KITH_SIGNATURE_TELEGRAM,	/* X-Telegram-Bot-Api-Secret-Token: the secret */
	KITH_SIGNATURE_SVIX,		/* svix-signature: v1,BASE64 v1,BASE64 over "ID.TIME.BODY", 300 s; Resend's */
	KITH_SIGNATURE_ELEVENLABS,	/* ElevenLabs-Signature: t=TIME,v0=HEX over "TIME.BODY", 1800 s */
};

struct kith_secret {
	const char *bytes;
	size_t n;
	struct kith_secret *next;	/* an older one */
};

/*
 * The secrets in a text, with blanks, line breaks or commas between.  Svix's are
 * base64 behind "whsec_"; those of Stripe begin alike and are taken as they are.
 * NULL and *error, of static storage, when there is none, or one that the
 * provider cannot have given: a text that is blank must never verify anything.
 */
const struct kith_secret *kith_signature_secrets(struct kith_arena *a, enum kith_signature scheme, const char *text,
    const char **error);

/* What was sent; a header that was not, or more than once, is NULL. */
struct kith_signed {
	const char *signature;
	const char *id;		/* of Svix: svix-id */
	const char *timestamp;	/* of Svix: svix-timestamp */
	const char *body;	/* the exact bytes */
	size_t body_len;
};

/*
 * True when one of the signatures was made with one of the secrets, and not too
 * long before or after now (seconds since 1970).  Those of other versions do not
 * count: v0 of Stripe is made without a secret of ours.
 */
bool kith_signature_verify(struct kith_arena *a, enum kith_signature scheme, const struct kith_secret *secrets,
    const struct kith_signed *sent, int64_t now);

#endif
