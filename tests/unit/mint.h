/*
 * Keys and tokens for tests: real ones, and any wrong one that may be wished
 * for.  A test program includes this once.
 */
#ifndef KITH_MINT_H
#define KITH_MINT_H

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "settings.h"
#include "unit.h"

#define ANA "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define SESSION "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define ISSUER "http://127.0.0.1:8000/auth/v1"
#define SECRET "a shared secret of more than 32 bytes"

/* Seconds by which the library's clocks are wrong. */
static time_t mint_clock_offset;
static time_t mint_monotonic_offset;

/* In place of the C library's. */
int
clock_gettime(clockid_t id, struct timespec *now)
{
	long rc = syscall(SYS_clock_gettime, id, now);

	now->tv_sec += mint_clock_offset + (id == CLOCK_REALTIME ? 0 : mint_monotonic_offset);
	return (int)rc;
}

/* Of the whole program: keys are slow to make. */
static struct kith_arena *mint_arena;

static inline struct kith_arena *
mint_memory(void)
{
	if (!mint_arena)
		mint_arena = kith_arena_new(0);
	return mint_arena;
}

static inline const char *
mint_base64url(const void *bytes, size_t n)
{
	char *text = kith_alloc(mint_memory(), n / 3 * 4 + 8);

	EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
	for (char *p = text; *p; p++)
		*p = (char)(*p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p);
	return text;
}

static inline const char *
mint_number(EVP_PKEY *key, const char *name, int bytes)
{
	unsigned char out[1024];
	BIGNUM *n = NULL;
	const char *text;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
	if (!bytes)
		bytes = BN_num_bytes(n);
	BN_bn2binpad(n, out, bytes);
	text = mint_base64url(out, (size_t)bytes);
	BN_free(n);
	return text;
}

/* The members of a public key's JWK, without braces. */
static inline const char *
mint_jwk(EVP_PKEY *key)
{
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return kith_format(mint_memory(), "\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"",
		    mint_number(key, OSSL_PKEY_PARAM_RSA_N, 0), mint_number(key, OSSL_PKEY_PARAM_RSA_E, 0));
	return kith_format(mint_memory(), "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"",
	    mint_number(key, OSSL_PKEY_PARAM_EC_PUB_X, EVP_PKEY_get_bits(key) / 8),
	    mint_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, EVP_PKEY_get_bits(key) / 8));
}

static inline const char *
mint_pem(EVP_PKEY *key)
{
	BIO *out = BIO_new(BIO_s_mem());
	const char *text;
	char *p;
	long n;

	PEM_write_bio_PUBKEY(out, key);
	n = BIO_get_mem_data(out, &p);
	text = kith_strndup(mint_memory(), p, (size_t)n);
	BIO_free(out);
	return text;
}

/* r and s side by side, as JOSE wants them, out of DER. */
static inline size_t
mint_raw_signature(unsigned char *signature, size_t n, int bytes)
{
	const unsigned char *p = signature;
	ECDSA_SIG *rs = d2i_ECDSA_SIG(NULL, &p, (long)n);

	BN_bn2binpad(ECDSA_SIG_get0_r(rs), signature, bytes);
	BN_bn2binpad(ECDSA_SIG_get0_s(rs), signature + bytes, bytes);
	ECDSA_SIG_free(rs);
	return 2 * (size_t)bytes;
}

static inline const char *
mint_sign(const char *text, EVP_PKEY *key)
{
	unsigned char signature[1024];
	size_t n = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(context, signature, &n, (const unsigned char *)text, strlen(text)), 1);
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		n = mint_raw_signature(signature, n, (EVP_PKEY_get_bits(key) + 7) / 8);
	return mint_base64url(signature, n);
}

static inline const char *
mint_mac(const char *text, const char *secret)
{
	unsigned char mac[32];

	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, strlen(text), mac, NULL);
	return mint_base64url(mac, sizeof(mac));
}

static inline const char *
mint_unsigned(const char *header, const char *claims)
{
	return kith_format(mint_memory(), "%s.%s", mint_base64url(header, strlen(header)),
	    mint_base64url(claims, strlen(claims)));
}

/* A token by key, or by secret when key is NULL. */
static inline const char *
mint_token(const char *header, const char *claims, EVP_PKEY *key, const char *secret)
{
	const char *text = mint_unsigned(header, claims);

	return kith_format(mint_memory(), "%s.%s", text, key ? mint_sign(text, key) : mint_mac(text, secret ? secret : ""));
}

/* Claims of a user that all hold, and what more there is: ",\"a\":1". */
static inline const char *
mint_claims(const char *more)
{
	return kith_format(mint_memory(),
	    "{\"iss\":\"" ISSUER "\",\"sub\":\"" ANA "\",\"aud\":\"authenticated\",\"role\":\"authenticated\",\"exp\":%ld%s}",
	    (long)time(NULL) + 600, more);
}

/* A file in the test's own directory, replaced in one step, so long ago that it was noticed; returns its path. */
static inline const char *
mint_file(const char *name, const char *text, mode_t mode)
{
	static char directory[] = "/tmp/kith-unit-XXXXXX";
	const char *path, *new;
	FILE *f;

	if (strstr(directory, "XXXXXX"))
		assert_non_null(mkdtemp(directory));
	path = kith_format(mint_memory(), "%s/%s", directory, name);
	new = kith_format(mint_memory(), "%s.new", path);
	f = fopen(new, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(new, mode);
	assert_int_equal(rename(new, path), 0);
	mint_monotonic_offset++;
	return path;
}

static inline void
mint_remove(const char *path)
{
	assert_int_equal(unlink(path), 0);
	mint_monotonic_offset++;
}

/* Removes what mint_file made, and the keys' memory. */
static inline void
mint_end(const char *path)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf '%.*s'", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(system(command), 0);
	kith_arena_free(mint_arena);
	mint_arena = NULL;
}

#endif
