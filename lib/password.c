#include "password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <string.h>

#include "arena.h"

#define BCRYPT_COST 10

/* Of a password that nobody has; cost as above. */
static const char nobody[] = "$2b$10$abcdefghijklmnopqrstuuEhtLqz92o4iJrBsTGdT3tqYzernTTAi";

/* 32 kB, of which the password is a part. */
static struct crypt_data scratch;

/* The cost of a bcrypt hash, 0 when it is none. */
static int
bcrypt_cost(const char *hash)
{
	if (strncmp(hash, "$2", 2) || !hash[2] || !strchr("aby", hash[2]) || hash[3] != '$')
		return 0;
	if (hash[4] < '0' || hash[4] > '3' || hash[5] < '0' || hash[5] > '9' || hash[6] != '$')
		return 0;
	return strlen(hash) == 60 ? (hash[4] - '0') * 10 + hash[5] - '0' : 0;
}

static bool
is_yescrypt(const char *hash)
{
	return !strncmp(hash, "$y$", 3);
}

bool
kith_password_hash_known(const char *hash)
{
	int cost = bcrypt_cost(hash);

	return (cost >= 4 && cost <= 14) || is_yescrypt(hash);
}

bool
kith_password_hash_outdated(const char *hash, const char *method)
{
	if (is_yescrypt(hash))
		return strcmp(method, "$y$") != 0;
	return !strcmp(method, "$y$") || bcrypt_cost(hash) < BCRYPT_COST;
}

const char *
kith_password_hash(struct kith_arena *a, const char *password, const char *method)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;

	if (crypt_gensalt_rn(method, strcmp(method, "$y$") ? BCRYPT_COST : 0, NULL, 0, salt, sizeof(salt)))
		hash = crypt_r(password, salt, &scratch);
	/* A failure is told by a text that begins with a star. */
	hash = hash && *hash != '*' ? kith_strdup(a, hash) : NULL;
	OPENSSL_cleanse(&scratch, sizeof(scratch));
	return hash;
}

bool
kith_password_matches(const char *password, const char *hash)
{
	bool known = hash && kith_password_hash_known(hash), matches;
	const char *stored = known ? hash : nobody;
	const char *made = crypt_r(password, stored, &scratch);

	matches = made && *made != '*' && strlen(made) == strlen(stored) && !CRYPTO_memcmp(made, stored, strlen(stored));
	OPENSSL_cleanse(&scratch, sizeof(scratch));
	return matches && known;
}
