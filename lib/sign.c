#include "sign.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arena.h"
#include "base64url.h"
#include "ec.h"
#include "keys.h"
#include "keys_load.h"
#include "log.h"
#include "request.h"
#include "settings.h"

#define FILE_MAX 8192
#define SECRET_MIN 32
#define POINT (1 + 2 * KITH_EC_BYTES)	/* 4, x, y */

/* The key in force, in an arena of its own. */
struct signing_key {
	struct kith_arena *arena;
	jwt_alg_t algorithm;
	const char *kid;	/* NULL: none */
	char *text;		/* what libjwt wants */
	int length;
};

static struct signing_key current;
static struct stat stamp;

/* The thumbprint of an EC key; NULL when it is none on P-256. */
static const char *
thumbprint(struct kith_arena *a, const char *pem)
{
	unsigned char point[POINT], digest[SHA256_DIGEST_LENGTH];
	char group[32] = "", *members;
	BIO *in = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	size_t n = 0;
	bool fits;

	fits = key && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) && !strcmp(group, "prime256v1") &&
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) && n == POINT;
	EVP_PKEY_free(key);
	BIO_free(in);
	ERR_clear_error();
	if (!fits)
		return NULL;
	/* These members, in this order, without blanks. */
	members = kith_format(a, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
	    kith_base64url_encode(a, point + 1, KITH_EC_BYTES), kith_base64url_encode(a, point + 1 + KITH_EC_BYTES, KITH_EC_BYTES));
	SHA256((const unsigned char *)members, strlen(members), digest);
	return kith_base64url_encode(a, digest, sizeof(digest));
}

/* NULL, or what is wrong with the file. */
static const char *
read_key(const char *path, struct signing_key *key)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return strerror(errno);
	key->text = kith_alloc(key->arena, FILE_MAX + 1);
	n = fread(key->text, 1, FILE_MAX, f);
	fclose(f);
	if (strstr(key->text, "-----BEGIN")) {
		key->algorithm = JWT_ALG_ES256;
		key->kid = thumbprint(key->arena, key->text);
		if (!key->kid)
			return "holds no private key on P-256";
	} else {
		/* As an editor leaves it. */
		n = strcspn(key->text, "\r\n");
		key->algorithm = JWT_ALG_HS256;
		if (n < SECRET_MIN)
			return "holds a secret of less than 32 bytes";
	}
	key->length = (int)n;
	return NULL;
}

static const char *
load(void)
{
	struct signing_key key = { .arena = kith_arena_new(0) };
	const char *wrong;

	if (stat(kith_settings.signing_key, &stamp))
		memset(&stamp, 0, sizeof(stamp));
	wrong = read_key(kith_settings.signing_key, &key);
	if (wrong) {
		kith_arena_free(key.arena);
		return wrong;
	}
	kith_arena_free(current.arena);
	current = key;
	return NULL;
}

int
kith_sign_init(void)
{
	const char *wrong;

	if (!kith_settings.signing_key) {
		fputs("KITH_SIGNING_KEY: must name the file of the key that signs tokens\n", stderr);
		return -1;
	}
	wrong = load();
	if (wrong)
		fprintf(stderr, "KITH_SIGNING_KEY: %s: %s\n", kith_settings.signing_key, wrong);
	return wrong ? -1 : 0;
}

static void
look(void)
{
	struct stat now;
	const char *wrong;

	if (stat(kith_settings.signing_key, &now) || (now.st_ino == stamp.st_ino && now.st_size == stamp.st_size &&
	    now.st_mtim.tv_sec == stamp.st_mtim.tv_sec && now.st_mtim.tv_nsec == stamp.st_mtim.tv_nsec))
		return;
	wrong = load();
	if (wrong)
		kith_log(KITH_LOG_ERROR, "%s: %s: the old key goes on signing", kith_settings.signing_key, wrong);
}

const char *
kith_sign(struct kith_request *req, const char *claims)
{
	const char *token = NULL;
	char *text = NULL;
	jwt_t *jwt = NULL;

	look();
	if (!jwt_new(&jwt) && !jwt_add_grants_json(jwt, claims) &&
	    (!current.kid || !jwt_add_header(jwt, "kid", current.kid)) &&
	    !jwt_set_alg(jwt, current.algorithm, (const unsigned char *)current.text, current.length))
		text = jwt_encode_str(jwt);
	if (text)
		token = kith_strdup(req->arena, text);
	free(text);
	jwt_free(jwt);
	ERR_clear_error();
	if (!token) {
		kith_fail(req, 500, "unexpected_failure", "the access token could not be signed");
		kith_fail_log(req, "libjwt refuses to sign");
	}
	return token;
}
