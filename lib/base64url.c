#include "base64url.h"

#include <stdint.h>

#include "arena.h"

/* -1 for a character outside of the alphabet. */
static int
value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

char *
kith_base64url_decode(struct kith_arena *a, const char *p, size_t n, size_t *decoded)
{
	uint32_t bits = 0;
	unsigned nbits = 0;
	size_t len = 0;
	char *out;

	if (n % 4 == 1)
		return NULL;
	out = kith_alloc(a, n / 4 * 3 + 3);
	for (size_t i = 0; i < n; i++) {
		int v = value(p[i]);

		if (v < 0)
			return NULL;
		bits = bits << 6 | (uint32_t)v;
		nbits += 6;
		if (nbits >= 8) {
			nbits -= 8;
			out[len++] = (char)(bits >> nbits);
		}
	}
	if (bits & ((1u << nbits) - 1))
		return NULL;
	*decoded = len;
	return out;
}

char *
kith_base64url_encode(struct kith_arena *a, const void *p, size_t n)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *byte = p;
	char *text = kith_alloc(a, n / 3 * 4 + 5), *out = text;
	unsigned bits = 0;
	int have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | byte[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = '\0';
	return text;
}
