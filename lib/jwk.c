#include "jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "ec.h"
#include "json.h"
#include "keys.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define EXPONENT_BITS_MAX 32
#define SECRET_BYTES_MIN 32

/* The bytes of a base64url member; NULL when it is absent or not base64url. */
static unsigned char *
bytes(struct kith_arena *a, const struct kith_json *jwk, const char *member, size_t *n)
{
	const char *text = kith_json_string(jwk, member);

	return text ? (unsigned char *)kith_base64url_decode(a, text, strlen(text), n) : NULL;
}

/* The PEM text of an RSA key made from params; NULL when OpenSSL finds it no key. */
static const char *
pem(struct kith_arena *a, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY_CTX *check = NULL;
	EVP_PKEY *pkey = NULL;
	BIO *out = BIO_new(BIO_s_mem());
	const char *text = NULL;
	char *p;
	long n;

	if (make && out && EVP_PKEY_fromdata_init(make) > 0 &&
	    EVP_PKEY_fromdata(make, &pkey, EVP_PKEY_PUBLIC_KEY, params) > 0)
		check = EVP_PKEY_CTX_new(pkey, NULL);
	if (check && EVP_PKEY_public_check(check) > 0 && PEM_write_bio_PUBKEY(out, pkey)) {
		n = BIO_get_mem_data(out, &p);
		text = kith_strndup(a, p, (size_t)n);
	}
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(make);
	EVP_PKEY_free(pkey);
	BIO_free(out);
	ERR_clear_error();
	return text;
}

static const char *
read_ec(struct kith_arena *a, const struct kith_json *jwk, struct kith_key *key)
{
	const char *curve = kith_json_string(jwk, "crv");
	unsigned char *x, *y;
	size_t nx = 0, ny = 0;

	x = bytes(a, jwk, "x", &nx);
	y = bytes(a, jwk, "y", &ny);
	if (!curve || strcmp(curve, "P-256") || !x || !y || nx != KITH_EC_BYTES || ny != KITH_EC_BYTES)
		return "is not on P-256 with x and y of 32 bytes";
	key->algorithm = KITH_ES256;
	key->ec = kith_ec_key(a, x, y);
	return key->ec ? NULL : "is not a valid public key";
}

static const char *
read_rsa(struct kith_arena *a, const struct kith_json *jwk, struct kith_key *key)
{
	OSSL_PARAM_BLD *builder = NULL;
	OSSL_PARAM *params = NULL;
	BIGNUM *modulus = NULL, *exponent = NULL;
	const char *text = NULL;
	unsigned char *n, *e;
	size_t nn = 0, ne = 0;

	n = bytes(a, jwk, "n", &nn);
	e = bytes(a, jwk, "e", &ne);
	if (!n || !e || nn > RSA_BITS_MAX / 8 || ne > EXPONENT_BITS_MAX / 8)
		return "has no n of 2048 to 4096 bits or no e of 32 bits at most";
	modulus = BN_bin2bn(n, (int)nn, NULL);
	exponent = BN_bin2bn(e, (int)ne, NULL);
	builder = OSSL_PARAM_BLD_new();
	if (modulus && exponent && builder && BN_num_bits(modulus) >= RSA_BITS_MIN && BN_is_odd(exponent) &&
	    !BN_is_one(exponent) && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
		params = OSSL_PARAM_BLD_to_param(builder);
	if (params)
		text = pem(a, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(modulus);
	BN_free(exponent);
	if (!text)
		return "is not a valid public key";
	key->algorithm = KITH_RS256;
	key->material = (const unsigned char *)text;
	key->length = (int)strlen(text);
	return NULL;
}

/* An empty HMAC secret would accept everything, a short one can be guessed. */
static const char *
read_secret(struct kith_arena *a, const struct kith_json *jwk, struct kith_key *key)
{
	size_t n = 0;
	unsigned char *secret = bytes(a, jwk, "k", &n);

	if (!secret || n < SECRET_BYTES_MIN)
		return "has a secret of less than 32 bytes";
	key->algorithm = KITH_HS256;
	key->material = secret;
	key->length = (int)n;
	return NULL;
}

static bool
may_verify(const struct kith_json *jwk)
{
	const struct kith_json *use = kith_json_get(jwk, "use");
	const struct kith_json *operations = kith_json_get(jwk, "key_ops");

	if (use && (use->type != KITH_JSON_STRING || strcmp(use->text, "sig")))
		return false;
	if (!operations)
		return true;
	if (operations->type != KITH_JSON_ARRAY)
		return false;
	for (const struct kith_json *o = operations->first; o; o = o->next) {
		if (o->type == KITH_JSON_STRING && !strcmp(o->text, "verify"))
			return true;
	}
	return false;
}

const char *
kith_jwk_read(struct kith_arena *a, const struct kith_json *jwk, bool secret, struct kith_key *key)
{
	static const char *const privates[] = { "d", "p", "q", "dp", "dq", "qi", "oth" };
	/* clang-format off */
	static const struct {
		const char *kty, *alg;
		const char *(*read)(struct kith_arena *a, const struct kith_json *jwk, struct kith_key *key);
		bool is_secret;
	} kinds[] = {
		{ "EC",  "ES256", read_ec,     false },
		{ "RSA", "RS256", read_rsa,    false },
		{ "oct", "HS256", read_secret, true },
	};
	/* clang-format on */
	const char *kty = kith_json_string(jwk, "kty");
	const struct kith_json *alg = kith_json_get(jwk, "alg");
	const struct kith_json *kid = kith_json_get(jwk, "kid");

	if (!kty)
		return "has no kty";
	if (!may_verify(jwk))
		return "is not for verifying";
	for (size_t i = 0; i < sizeof(privates) / sizeof(*privates); i++) {
		if (kith_json_get(jwk, privates[i]))
			return "holds a private key";
	}
	if (kid && kid->type != KITH_JSON_STRING)
		return "has a kid that is no text";
	key->kid = kid ? kid->text : NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kty, kinds[i].kty) || (kinds[i].is_secret && !secret))
			continue;
		if (alg && (alg->type != KITH_JSON_STRING || strcmp(alg->text, kinds[i].alg)))
			return "has another alg than its kty implies";
		return kinds[i].read(a, jwk, key);
	}
	return "is of an unknown kty";
}
