#include "auth-program.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "arena.h"
#include "base64url.h"
#include "log.h"
#include "settings.h"
#include "sign.h"

#define SECRET_MIN 32
#define RANDOM_MAX 64

/* A text: so a person can look after the file. */
static char secret[256];

int
auth_secrets_init(void)
{
	FILE *f = kith_settings.auth_secret ? fopen(kith_settings.auth_secret, "re") : NULL;
	bool got = f && fgets(secret, sizeof(secret), f);

	if (f)
		fclose(f);
	secret[strcspn(secret, "\r\n")] = '\0';
	if (!got || strlen(secret) < SECRET_MIN) {
		fprintf(stderr, "KITH_AUTH_SECRET: must name a file with a secret of %d characters or more\n",
		    SECRET_MIN);
		return -1;
	}
	return kith_sign_init();
}

const char *
auth_mac(struct kith_arena *a, const char *purpose, const char *text)
{
	const char *whole = kith_format(a, "%s %s", purpose, text);
	unsigned char mac[SHA256_DIGEST_LENGTH];

	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)whole, strlen(whole), mac, NULL);
	return kith_base64url_encode(a, mac, sizeof(mac));
}

const char *
auth_random(struct kith_arena *a, size_t n)
{
	unsigned char bytes[RANDOM_MAX];

	/* Whatever was made without it could be guessed. */
	if (n > RANDOM_MAX || RAND_bytes(bytes, (int)n) != 1) {
		kith_log(KITH_LOG_ERROR, "no random bytes");
		exit(EX_OSERR);
	}
	return kith_base64url_encode(a, bytes, n);
}

const char *
auth_digest(struct kith_arena *a, const char *text)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, strlen(text), digest);
	return kith_base64url_encode(a, digest, sizeof(digest));
}
