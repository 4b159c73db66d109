#include "signature.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "buf.h"
#include "settings.h"

#define BETWEEN ", \t\r\n"
#define SVIX_PREFIX "whsec_"
#define TELEGRAM_MAX 256

/* Room for 32 bytes in hexadecimal. */
#define TEXT_MAX (2 * SHA256_DIGEST_LENGTH + 1)

/* clang-format off */
static const struct {
	const char *version;	/* what a signature begins with */
	char between;		/* signatures; 0: the header is one */
	long past, future;	/* seconds that it may be off; 0: it has no time */
} schemes[] = {
	[KITH_SIGNATURE_STRIPE]       = { "v1=", ',',  300, 300 },
	[KITH_SIGNATURE_LEMONSQUEEZY] = { "",      0,    0,   0 },
	[KITH_SIGNATURE_TELEGRAM]     = { "",      0,    0,   0 },
	[KITH_SIGNATURE_SVIX]         = { "v1,", ' ',  300, 300 },
	[KITH_SIGNATURE_ELEVENLABS]   = { "v0=", ',', 1800, 300 },
};
/* clang-format on */

/* A part of a header. */
struct part {
	const char *s;
	size_t n;
};

/* Takes the next part off *rest, without the separator; false behind the last one. */
static bool
next_part(const char **rest, char between, struct part *part)
{
	const char *end;

	if (!*rest)
		return false;
	end = between ? strchr(*rest, between) : NULL;
	*part = (struct part){ *rest, end ? (size_t)(end - *rest) : strlen(*rest) };
	*rest = end ? end + 1 : NULL;
	return true;
}

/* Whether it begins so; then it is what follows. */
static bool
take_prefix(struct part *part, const char *prefix)
{
	size_t n = strlen(prefix);

	if (part->n < n || memcmp(part->s, prefix, n))
		return false;
	part->s += n;
	part->n -= n;
	return true;
}

/* What base64 says, which may lack its padding; NULL when it is none. */
static const char *
decode_base64(struct kith_arena *a, const char *s, size_t *n)
{
	char *copy = kith_strdup(a, s);
	size_t length = strlen(copy);

	for (int i = 0; i < 2 && length && copy[length - 1] == '='; i++)
		length--;
	for (char *p = copy; *p; p++) {
		if (*p == '-' || *p == '_')
			return NULL;
		*p = (char)(*p == '+' ? '-' : *p == '/' ? '_' : *p);
	}
	return kith_base64url_decode(a, copy, length, n);
}

static const char *
set_secret(struct kith_arena *a, enum kith_signature scheme, struct kith_secret *secret)
{
	static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *text = secret->bytes;

	if (scheme == KITH_SIGNATURE_TELEGRAM && (strspn(text, token) != secret->n || secret->n > TELEGRAM_MAX))
		return "a secret must be 1 to 256 of A-Z a-z 0-9 _ -";
	if (scheme != KITH_SIGNATURE_SVIX)
		return NULL;
	if (!strncmp(text, SVIX_PREFIX, strlen(SVIX_PREFIX)))
		text += strlen(SVIX_PREFIX);
	secret->bytes = decode_base64(a, text, &secret->n);
	return secret->bytes && secret->n ? NULL : "a secret must be base64, behind " SVIX_PREFIX;
}

const struct kith_secret *
kith_signature_secrets(struct kith_arena *a, enum kith_signature scheme, const char *text, const char **error)
{
	struct kith_secret *first = NULL, **last = &first;

	*error = NULL;
	for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
		size_t n = strcspn(text, BETWEEN);

		*last = kith_new(a, struct kith_secret);
		**last = (struct kith_secret){ .bytes = kith_strndup(a, text, n), .n = n };
		*error = set_secret(a, scheme, *last);
		if (*error)
			return NULL;
		last = &(*last)->next;
		text += n;
	}
	if (!first)
		*error = "there is no secret";
	return first;
}

/* The time in a list of signatures, which has one only. */
static const char *
find_time(struct kith_arena *a, const char *header)
{
	const char *found = NULL;
	struct part part;

	while (next_part(&header, ',', &part)) {
		if (!take_prefix(&part, "t="))
			continue;
		if (found)
			return NULL;
		found = kith_strndup(a, part.s, part.n);
	}
	return found;
}

static bool
is_timely(enum kith_signature scheme, const char *timestamp, int64_t now)
{
	long at;

	if (!schemes[scheme].past)
		return true;
	if (!timestamp || !kith_parse_long(timestamp, 0, INT_MAX, &at))
		return false;
	return now - at <= schemes[scheme].past && at - now <= schemes[scheme].future;
}

static void
hex(const unsigned char *bytes, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

/* The signature that this secret makes, as the provider writes it. */
static void
sign(enum kith_signature scheme, const struct kith_secret *secret, const struct kith_buf *message, char *text)
{
	unsigned char mac[SHA256_DIGEST_LENGTH];

	HMAC(EVP_sha256(), secret->bytes, (int)secret->n, (const unsigned char *)message->s, message->len, mac, NULL);
	if (scheme == KITH_SIGNATURE_SVIX)
		EVP_EncodeBlock((unsigned char *)text, mac, sizeof(mac));
	else
		hex(mac, text);
}

/* Whether one of the header's signatures is this one; all are compared. */
static bool
has_signature(enum kith_signature scheme, const char *header, const char *wanted)
{
	size_t n = strlen(wanted);
	bool found = false;
	struct part part;

	while (next_part(&header, schemes[scheme].between, &part))
		if (take_prefix(&part, schemes[scheme].version) && part.n == n)
			found |= !CRYPTO_memcmp(part.s, wanted, n);
	return found;
}

/* Secrets of any length are compared by their digests. */
static bool
is_secret(const struct kith_secret *secret, const char *token)
{
	unsigned char ours[SHA256_DIGEST_LENGTH], theirs[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)secret->bytes, secret->n, ours);
	SHA256((const unsigned char *)token, strlen(token), theirs);
	return !CRYPTO_memcmp(ours, theirs, sizeof(ours));
}

bool
kith_signature_verify(struct kith_arena *a, enum kith_signature scheme, const struct kith_secret *secrets,
    const struct kith_signed *sent, int64_t now)
{
	const char *header = sent->signature ? sent->signature : "";
	const char *timestamp = scheme == KITH_SIGNATURE_SVIX ? sent->timestamp : find_time(a, header);
	bool found = false, complete = scheme != KITH_SIGNATURE_SVIX || sent->id;
	struct kith_buf message;
	char wanted[TEXT_MAX];

	kith_buf_init(&message, a, sent->body_len + 256);
	if (scheme == KITH_SIGNATURE_SVIX)
		kith_buf_printf(&message, "%s.", sent->id ? sent->id : "");
	/* The text of the time as it was sent, not the number that it stands for. */
	if (schemes[scheme].past)
		kith_buf_printf(&message, "%s.", timestamp ? timestamp : "");
	kith_buf_add(&message, sent->body, sent->body_len);
	for (; secrets; secrets = secrets->next) {
		if (scheme == KITH_SIGNATURE_TELEGRAM) {
			found |= is_secret(secrets, header);
			continue;
		}
		sign(scheme, secrets, &message, wanted);
		found |= has_signature(scheme, header, wanted);
	}
	return found & complete & is_timely(scheme, timestamp, now);
}
