/* Goal: a signature is good when the key's owner made it for this text, and in no other case. */
#include "mint.h"

#include "ec.h"

#define TEXT "header.claims"

static EVP_PKEY *owner, *stranger;
static struct kith_arena *arena;
static struct evp_pkey_st *key;
static unsigned char good[2 * KITH_EC_BYTES];

static void
coordinate(EVP_PKEY *of, const char *name, unsigned char *out)
{
	BIGNUM *n = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(of, name, &n), 1);
	assert_int_equal(BN_bn2binpad(n, out, KITH_EC_BYTES), KITH_EC_BYTES);
	BN_free(n);
}

/* The signature of a text by of. */
static void
sign(EVP_PKEY *of, const char *text, unsigned char *signature)
{
	unsigned char der[128];
	size_t n = sizeof(der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, of), 1);
	assert_int_equal(EVP_DigestSign(context, der, &n, (const unsigned char *)text, strlen(text)), 1);
	EVP_MD_CTX_free(context);
	assert_int_equal(mint_raw_signature(der, n, KITH_EC_BYTES), sizeof(good));
	memcpy(signature, der, sizeof(good));
}

static bool
verify(const char *text, const unsigned char *signature, size_t n)
{
	return kith_ec_verify(key, text, strlen(text), signature, n);
}

static void
of_the_owner(void **state)
{
	(void)state;
	assert_true(verify(TEXT, good, sizeof(good)));
	/* Again and again, however many zeros its halves begin with. */
	for (int i = 0; i < 600; i++) {
		unsigned char signature[sizeof(good)];
		char text[16];

		snprintf(text, sizeof(text), "text %d", i);
		sign(owner, text, signature);
		assert_true(verify(text, signature, sizeof(signature)));
	}
}

static void
of_others(void **state)
{
	unsigned char signature[sizeof(good)];

	(void)state;
	sign(stranger, TEXT, signature);
	assert_false(verify(TEXT, signature, sizeof(signature)));
	assert_false(verify("header.claimS", good, sizeof(good)));
	assert_false(verify("", good, sizeof(good)));
	for (size_t i = 0; i < sizeof(good); i++) {
		memcpy(signature, good, sizeof(good));
		signature[i] ^= 1;
		assert_false(verify(TEXT, signature, sizeof(signature)));
	}
}

static void
of_no_shape(void **state)
{
	unsigned char signature[2 * sizeof(good)];

	(void)state;
	for (size_t n = 0; n < sizeof(good); n++)
		assert_false(verify(TEXT, good, n));
	memcpy(signature, good, sizeof(good));
	memset(signature + sizeof(good), 0, sizeof(good));
	for (size_t n = sizeof(good) + 1; n <= sizeof(signature); n++)
		assert_false(verify(TEXT, signature, n));
	/* Numbers that no signature has: 0 and the largest. */
	for (int half = 0; half < 2; half++)
		for (int byte = 0; byte < 256; byte += 255) {
			memcpy(signature, good, sizeof(good));
			memset(signature + half * KITH_EC_BYTES, byte, KITH_EC_BYTES);
			assert_false(verify(TEXT, signature, sizeof(good)));
		}
	memset(signature, 0, sizeof(good));
	assert_false(verify(TEXT, signature, sizeof(good)));
}

static void
no_key(void **state)
{
	unsigned char x[KITH_EC_BYTES], y[KITH_EC_BYTES], odd[KITH_EC_BYTES];

	(void)state;
	coordinate(owner, OSSL_PKEY_PARAM_EC_PUB_X, x);
	coordinate(owner, OSSL_PKEY_PARAM_EC_PUB_Y, y);
	assert_non_null(kith_ec_key(arena, x, y));
	assert_null(kith_ec_key(arena, y, x));
	memcpy(odd, y, sizeof(odd));
	odd[31] ^= 1;
	assert_null(kith_ec_key(arena, x, odd));
	memset(odd, 0, sizeof(odd));
	assert_null(kith_ec_key(arena, odd, odd));
	memset(odd, 255, sizeof(odd));
	assert_null(kith_ec_key(arena, odd, y));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("the owner's signature is good", of_the_owner),
		unit_that("another's is not, nor that of another text, nor one that was changed", of_others),
		unit_that("what has not the shape of a signature is none", of_no_shape),
		unit_that("what is no point of the curve is no key", no_key),
	};
	unsigned char x[KITH_EC_BYTES], y[KITH_EC_BYTES];
	int rc;

	owner = EVP_EC_gen("P-256");
	stranger = EVP_EC_gen("P-256");
	arena = kith_arena_new(0);
	coordinate(owner, OSSL_PKEY_PARAM_EC_PUB_X, x);
	coordinate(owner, OSSL_PKEY_PARAM_EC_PUB_Y, y);
	key = kith_ec_key(arena, x, y);
	sign(owner, TEXT, good);
	rc = unit_run(tests);
	kith_arena_free(arena);
	EVP_PKEY_free(owner);
	EVP_PKEY_free(stranger);
	return rc;
}
