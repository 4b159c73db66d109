#include "refresh_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"

#define UUID_SIZE 16
#define VARINT_MAX 9	/* seven bits in each: what an int64_t holds */
#define MAC_SIZE 16
#define SUM_SIZE 4
#define HEAD_MAX (1 + UUID_SIZE + VARINT_MAX)
#define TOKEN_MAX (HEAD_MAX + MAC_SIZE + SUM_SIZE)

static const unsigned char hyphen_before[UUID_SIZE] = { [4] = 1, [6] = 1, [8] = 1, [10] = 1 };

static unsigned char
hex_value(char c)
{
	return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void
uuid_bytes(const char *uuid, unsigned char *bytes)
{
	for (int i = 0; i < UUID_SIZE; i++, uuid += 2) {
		uuid += hyphen_before[i];
		bytes[i] = (unsigned char)(hex_value(uuid[0]) << 4 | hex_value(uuid[1]));
	}
}

static const char *
uuid_text(struct kith_arena *a, const unsigned char *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = kith_alloc(a, 2 * UUID_SIZE + 5), *out = text;

	for (int i = 0; i < UUID_SIZE; i++) {
		if (hyphen_before[i])
			*out++ = '-';
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	return text;
}

static void
mac(const unsigned char *p, size_t n, const void *key, size_t key_len, unsigned char *out)
{
	unsigned char whole[SHA256_DIGEST_LENGTH];

	HMAC(EVP_sha256(), key, (int)key_len, p, n, whole, NULL);
	memcpy(out, whole, MAC_SIZE);
}

static void
checksum(const unsigned char *p, size_t n, unsigned char *out)
{
	unsigned char whole[SHA256_DIGEST_LENGTH];

	SHA256(p, n, whole);
	memcpy(out, whole, SUM_SIZE);
}

const char *
kith_refresh_token_make(struct kith_arena *a, const char *session, int64_t counter, const void *key, size_t key_len)
{
	unsigned char bytes[TOKEN_MAX] = { 0 };
	uint64_t left = (uint64_t)counter;
	size_t n = 1 + UUID_SIZE;

	uuid_bytes(session, bytes + 1);
	for (; left >= 0x80; left >>= 7)
		bytes[n++] = (unsigned char)(left | 0x80);
	bytes[n++] = (unsigned char)left;
	mac(bytes, n, key, key_len, bytes + n);
	n += MAC_SIZE;
	checksum(bytes, n, bytes + n);
	return kith_base64url_encode(a, bytes, n + SUM_SIZE);
}

int
kith_refresh_token_parse(struct kith_arena *a, const char *text, struct kith_refresh_token *token)
{
	unsigned char sum[SUM_SIZE];
	const unsigned char *bytes;
	uint64_t counter = 0;
	size_t n, head = 1 + UUID_SIZE;
	int shift = 0;

	bytes = (const unsigned char *)kith_base64url_decode(a, text, strnlen(text, 2 * TOKEN_MAX), &n);
	if (!bytes || n > TOKEN_MAX || n < 1 + UUID_SIZE + 1 + MAC_SIZE + SUM_SIZE || bytes[0])
		return -1;
	checksum(bytes, n - SUM_SIZE, sum);
	if (memcmp(sum, bytes + n - SUM_SIZE, SUM_SIZE))
		return -1;
	n -= MAC_SIZE + SUM_SIZE;
	do {
		counter |= (uint64_t)(bytes[head] & 0x7f) << shift;
		shift += 7;
	} while (bytes[head++] & 0x80 && head < n);
	if (head != n || bytes[head - 1] & 0x80)
		return -1;
	*token = (struct kith_refresh_token){ uuid_text(a, bytes + 1), (int64_t)counter, bytes, n };
	return 0;
}

bool
kith_refresh_token_signed(const struct kith_refresh_token *token, const void *key, size_t key_len)
{
	unsigned char made[MAC_SIZE];

	mac(token->bytes, token->signed_len, key, key_len, made);
	return !CRYPTO_memcmp(made, token->bytes + token->signed_len, MAC_SIZE);
}
