/* Goal: tokens are signed with the key in the file, under the name that the key's thumbprint gives it. */
#include "mint.h"

#include <openssl/pem.h>

#include "json.h"
#include "settings.h"
#include "sign.h"
#include "token.h"

static const char *
private_pem(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	BIO *out = BIO_new(BIO_s_mem());
	const char *text;
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(out, &p);
	text = kith_strndup(mint_memory(), p, (size_t)n);
	BIO_free(out);
	EVP_PKEY_free(key);
	return text;
}

static const char *
sign_with(const char *key, const char *claims)
{
	kith_settings.signing_key = mint_file("signing-key", key, 0600);
	assert_int_equal(kith_sign_init(), 0);
	return kith_sign(unit_request(), claims);
}

static void
es256(void **state)
{
	struct kith_token_parts parts;
	const char *token = sign_with(private_pem("prime256v1"), mint_claims(""));

	(void)state;
	assert_non_null(token);
	assert_null(kith_token_split(mint_memory(), token, &parts));
	assert_string_equal(kith_json_string(parts.header, "alg"), "ES256");
	assert_int_equal(strlen(kith_json_string(parts.header, "kid")), 43);
	assert_string_equal(kith_json_string(parts.claims, "sub"), ANA);
}

static void
hs256(void **state)
{
	struct kith_token_parts parts;
	const char *token = sign_with(SECRET "\n", mint_claims("")), *dot = strrchr(token, '.');

	(void)state;
	assert_null(kith_token_split(mint_memory(), token, &parts));
	assert_string_equal(kith_json_string(parts.header, "alg"), "HS256");
	assert_null(kith_json_get(parts.header, "kid"));
	assert_string_equal(dot + 1, mint_mac(kith_strndup(mint_memory(), token, (size_t)(dot - token)), SECRET));
}

static void
rotated(void **state)
{
	struct kith_token_parts first, second;

	(void)state;
	assert_null(kith_token_split(mint_memory(), sign_with(private_pem("prime256v1"), "{}"), &first));
	mint_file("signing-key", private_pem("prime256v1"), 0600);
	assert_null(kith_token_split(mint_memory(), kith_sign(unit_request(), "{}"), &second));
	assert_string_not_equal(kith_json_string(first.header, "kid"), kith_json_string(second.header, "kid"));
	mint_file("signing-key", "short", 0600);
	assert_null(kith_token_split(mint_memory(), kith_sign(unit_request(), "{}"), &first));
	assert_string_equal(kith_json_string(first.header, "kid"), kith_json_string(second.header, "kid"));
}

static void
refused(void **state)
{
	const char *bad[] = { "", "short", private_pem("secp384r1"), "-----BEGIN PRIVATE KEY-----\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		kith_settings.signing_key = mint_file("signing-key", bad[i], 0600);
		assert_int_equal(kith_sign_init(), -1);
	}
	mint_remove(kith_settings.signing_key);
	assert_int_equal(kith_sign_init(), -1);
	mint_end(kith_settings.signing_key);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a private key signs ES256 under its thumbprint", es256),
		unit_that("a shared secret signs HS256", hs256),
		unit_that("a new key signs without a restart, a bad one does not", rotated),
		unit_that("other keys are refused at start", refused),
	};

	return unit_run(tests);
}
