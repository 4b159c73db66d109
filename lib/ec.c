#include "ec.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "arena.h"

/* Two numbers of 33 bytes, each with two bytes before it, and two before both. */
#define DER_MAX 80

static void
free_key(void *key)
{
	EVP_PKEY_free(key);
}

/*
 * What OpenSSL looks up for its first signature it keeps: done once in the
 * parent of our processes, that is in memory once.
 */
static void
try_it(EVP_PKEY *key)
{
	static const unsigned char ones[2 * KITH_EC_BYTES] = { [KITH_EC_BYTES - 1] = 1, [2 * KITH_EC_BYTES - 1] = 1 };

	kith_ec_verify(key, "", 0, ones, sizeof(ones));
}

struct evp_pkey_st *
kith_ec_key(struct kith_arena *a, const unsigned char *x, const unsigned char *y)
{
	char group[] = "prime256v1";
	unsigned char point[1 + 2 * KITH_EC_BYTES] = { 0x04 };	/* uncompressed */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY_CTX *check = NULL;
	EVP_PKEY *key = NULL;
	bool good;

	memcpy(point + 1, x, KITH_EC_BYTES);
	memcpy(point + 1 + KITH_EC_BYTES, y, KITH_EC_BYTES);
	if (make && EVP_PKEY_fromdata_init(make) > 0 && EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, params) > 0)
		check = EVP_PKEY_CTX_new(key, NULL);
	good = check && EVP_PKEY_public_check(check) > 0;
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(make);
	ERR_clear_error();
	if (!good) {
		EVP_PKEY_free(key);
		return NULL;
	}
	kith_arena_later(a, free_key, key);
	try_it(key);
	return key;
}

/* The signature as OpenSSL wants it; its length, 0 when it is none. */
static int
to_der(const unsigned char *signature, size_t n, unsigned char *der)
{
	ECDSA_SIG *pair;
	BIGNUM *r, *s;
	int len = 0;

	if (n != 2 * KITH_EC_BYTES)
		return 0;
	pair = ECDSA_SIG_new();
	r = BN_bin2bn(signature, KITH_EC_BYTES, NULL);
	s = BN_bin2bn(signature + KITH_EC_BYTES, KITH_EC_BYTES, NULL);
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
		len = i2d_ECDSA_SIG(pair, &der);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return len > 0 ? len : 0;
}

bool
kith_ec_verify(struct evp_pkey_st *key, const char *text, size_t n, const unsigned char *signature,
    size_t signature_len)
{
	unsigned char der[DER_MAX];
	int len = to_der(signature, signature_len, der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = len && context && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(context, der, (size_t)len, (const unsigned char *)text, n) == 1;

	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return good;
}
