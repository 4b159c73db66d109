#include "keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "keys_load.h"
#include "log.h"
#include "settings.h"

/* Files are looked at this often at most: a stat per request is a third of what a kept token costs. */
#define LOOK_MS 100

/* A refresh of a set is asked for at most this often, so that made-up kids cannot drive it. */
#define WANTED_SECONDS 60

static const char *const role_names[] = {
	[KITH_ANON] = "anon",
	[KITH_AUTHENTICATED] = "authenticated",
	[KITH_SERVICE] = "service_role",
};

static struct kith_keys *current;
static bool unreachable;
static int64_t looked;	/* milliseconds, CLOCK_MONOTONIC */

const char *
kith_role_name(enum kith_role role)
{
	return role_names[role];
}

bool
kith_role_parse(const char *name, enum kith_role *role)
{
	for (enum kith_role r = KITH_ANON; r <= KITH_SERVICE; r++) {
		if (!strcmp(name, role_names[r])) {
			*role = r;
			return true;
		}
	}
	return false;
}

static void
replace(struct kith_keys *keys)
{
	keys->generation = 1;
	if (current) {
		keys->generation += current->generation;
		kith_arena_free(current->arena);
	}
	current = keys;
}

static bool
any_changed(void)
{
	struct timespec clock;
	int64_t now;
	bool any;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &clock);
	now = clock.tv_sec * INT64_C(1000) + clock.tv_nsec / 1000000;
	if ((uint64_t)(now - looked) < LOOK_MS)
		return false;
	looked = now;
	any = kith_stamp_changed(kith_settings.keys, &current->stamp);
	for (size_t i = 0; i < current->nsets; i++)
		any |= kith_stamp_changed(current->sets[i].path, &current->sets[i].stamp);
	return any;
}

static void
reload(void)
{
	char error[200];
	struct kith_keys *keys = kith_keys_read(kith_settings.keys, current, error, sizeof(error));

	if (keys)
		replace(keys);
	else
		kith_log(KITH_LOG_ERROR, "%s: %s: the old keys stay in force", kith_settings.keys, error);
}

int
kith_keys_load(void)
{
	char error[200];
	struct kith_keys *keys;

	if (!kith_settings.keys) {
		fputs("KITH_KEYS: must name the key file\n", stderr);
		return -1;
	}
	looked = 0;
	if (current && !any_changed())
		return 0;
	keys = kith_keys_read(kith_settings.keys, NULL, error, sizeof(error));
	if (!keys) {
		fprintf(stderr, "%s: %s\n", kith_settings.keys, error);
		return -1;
	}
	replace(keys);
	unreachable = false;
	return 0;
}

const struct kith_keys *
kith_keys_current(void)
{
	bool any = any_changed();

	if (!current->stamp.there) {
		if (!unreachable)
			kith_log(KITH_LOG_ERROR, "%s cannot be reached", kith_settings.keys);
		unreachable = true;
		return NULL;
	}
	unreachable = false;
	if (any)
		reload();
	return current;
}

struct kith_api_key *
kith_keys_api_key(const struct kith_keys *keys, const unsigned char *sha256)
{
	struct kith_api_key *found = NULL;

	/* All are compared, whichever fits. */
	for (size_t i = 0; i < keys->napi_keys; i++) {
		if (!CRYPTO_memcmp(keys->api_keys[i].sha256, sha256, KITH_SHA256_SIZE))
			found = &keys->api_keys[i];
	}
	return found;
}

/*
 * The one key that fits best: the issuer's own before one for any issuer.
 * *fit is 0 when there is none; two that fit alike are none either, unless their
 * kid says that they are one key, which signed for several issuers.
 */
static const struct kith_key *
single(const struct kith_keys *keys, enum kith_algorithm algorithm, const char *kid, const char *issuer, int *fit)
{
	const struct kith_key *found = NULL;

	*fit = 0;
	for (size_t i = 0; i < keys->nkeys; i++) {
		const struct kith_key *key = &keys->keys[i];
		bool named = issuer && key->issuer && !strcmp(key->issuer, issuer);
		int fits = named ? 2 : 1;

		if (key->foreign && !named)
			continue;
		if (kid && (!key->kid || strcmp(key->kid, kid)))
			continue;
		if (!kid && (key->algorithm != algorithm || (key->issuer && !named)))
			continue;
		if (fits < *fit)
			continue;
		if (fits > *fit)
			found = key;
		else if (!kid)
			found = NULL;
		*fit = fits;
	}
	return found;
}

/* Tells whoever fetches the sets that the issuer may have new keys. */
static void
want_refresh(const struct kith_keys *keys, const char *issuer)
{
	struct timespec now;
	char path[4096];
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (size_t i = 0; i < keys->nsets; i++) {
		struct kith_key_set *set = &keys->sets[i];

		if (!issuer || strcmp(set->issuer, issuer) || (set->wanted && now.tv_sec - set->wanted < WANTED_SECONDS))
			continue;
		set->wanted = now.tv_sec;
		snprintf(path, sizeof(path), "%s.wanted", set->path);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd < 0)
			continue; /* a program that may not write there cannot ask */
		futimens(fd, NULL);
		close(fd);
	}
}

const struct kith_key *
kith_keys_choose(const struct kith_keys *keys, enum kith_algorithm algorithm, const char *kid, const char *issuer)
{
	const struct kith_key *key;
	int fit;

	key = single(keys, algorithm, kid, issuer, &fit);
	if (!fit && kid && algorithm == KITH_HS256) {
		key = single(keys, algorithm, NULL, issuer, &fit);
		return key && !key->kid ? key : NULL;
	}
	if (!fit && kid)
		want_refresh(keys, issuer);
	return key && key->algorithm == algorithm ? key : NULL;
}
