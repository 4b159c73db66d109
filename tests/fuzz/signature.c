/*
 * Signatures of webhooks.  The input is lines: a digit for the scheme, the
 * secrets, the header, Svix's id and time; the rest is the body.  A "$" in the
 * header stands for the right signature of the first secret, so that what is
 * around a good one is tried too.
 *
 * Nothing is believed without it, nothing at a time that is not near.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "signature.h"

#define NOW 1790000000
#define MAC_SIZE 32

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
demand(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

/* Takes a line off the input. */
static char *
line(struct kith_arena *a, const char **p, const char *end)
{
	const char *stop = memchr(*p, '\n', (size_t)(end - *p));
	char *text = kith_strndup(a, *p, (size_t)((stop ? stop : end) - *p));

	*p = stop ? stop + 1 : end;
	return text;
}

/* The time that the header, or Svix's own, tells. */
static const char *
told_time(struct kith_arena *a, enum kith_signature scheme, const struct kith_signed *sent)
{
	const char *t = scheme == KITH_SIGNATURE_SVIX ? sent->timestamp : sent->signature;

	if (scheme == KITH_SIGNATURE_SVIX)
		return t;
	while (t && strncmp(t, "t=", 2))
		t = (t = strchr(t, ',')) ? t + 1 : NULL;
	return t ? kith_strndup(a, t + 2, strcspn(t + 2, ",")) : "";
}

/* The header with the right signature in place of each "$". */
static const char *
fill_in(struct kith_arena *a, enum kith_signature scheme, const struct kith_secret *secret, const struct kith_signed *sent)
{
	unsigned char mac[MAC_SIZE];
	char text[2 * MAC_SIZE + 1];
	struct kith_buf message, header;

	kith_buf_init(&message, a, 0);
	kith_buf_init(&header, a, 0);
	if (scheme == KITH_SIGNATURE_SVIX)
		kith_buf_printf(&message, "%s.", sent->id);
	if (scheme != KITH_SIGNATURE_LEMONSQUEEZY)
		kith_buf_printf(&message, "%s.", told_time(a, scheme, sent));
	kith_buf_add(&message, sent->body, sent->body_len);
	HMAC(EVP_sha256(), secret->bytes, (int)secret->n, (const unsigned char *)message.s, message.len, mac, NULL);
	if (scheme == KITH_SIGNATURE_SVIX)
		EVP_EncodeBlock((unsigned char *)text, mac, MAC_SIZE);
	else
		for (int i = 0; i < MAC_SIZE; i++)
			snprintf(text + 2 * i, 3, "%02x", mac[i]);
	for (const char *p = sent->signature; *p; p++)
		kith_buf_add(&header, *p == '$' ? text : p, *p == '$' ? strlen(text) : 1);
	return header.s;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct kith_arena *a = kith_arena_new(0);
	const char *p = (const char *)data, *end = p + size, *error;
	enum kith_signature scheme = (enum kith_signature)((unsigned char)line(a, &p, end)[0] % 5);
	const struct kith_secret *secrets = kith_signature_secrets(a, scheme, line(a, &p, end), &error);
	struct kith_signed sent;

	sent.signature = line(a, &p, end);
	sent.id = line(a, &p, end);
	sent.timestamp = line(a, &p, end);
	demand(secrets || error, "no secret, and nothing to say why");
	for (const struct kith_secret *s = secrets; s; s = s->next)
		demand(s->n, "an empty secret");
	sent.body = p;
	sent.body_len = (size_t)(end - p);
	if (secrets) {
		bool filled = strchr(sent.signature, '$');
		long off = labs(NOW - strtol(told_time(a, scheme, &sent), NULL, 10));

		if (filled)
			sent.signature = fill_in(a, scheme, secrets, &sent);
		if (kith_signature_verify(a, scheme, secrets, &sent, NOW) && scheme != KITH_SIGNATURE_TELEGRAM) {
			demand(filled, "believed without a right signature");
			demand(scheme == KITH_SIGNATURE_LEMONSQUEEZY || off <= 1800, "believed at another time");
		}
		demand(!kith_signature_verify(a, scheme, NULL, &sent, NOW), "believed without a secret");
	}
	kith_arena_free(a);
	return 0;
}
