#include "token_cache.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "keys.h"
#include "token.h"

#define HEADS 1024

/* Places are counted from 1; 0 is none. */
struct entry {
	unsigned char sha256[KITH_SHA256_SIZE];
	struct kith_token token;
	char *texts;		/* what token points to */
	int64_t verified;	/* CLOCK_MONOTONIC seconds */
	uint16_t chain;		/* next of the same head, or next free one */
	uint16_t newer, older;	/* by use */
};

static struct entry entries[1 + KITH_TOKEN_CACHE_SIZE];
static uint16_t heads[HEADS];
static uint16_t newest, oldest;
static uint16_t free_ones;	/* chained */
static uint16_t touched;	/* places ever used: the memory of the others is never there */

static int64_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* A digest is as good as random, and nobody but the issuer chooses which ones get in. */
static uint16_t *
head_of(const unsigned char *sha256)
{
	return &heads[(sha256[0] << 8 | sha256[1]) % HEADS];
}

static void
detach(uint16_t place)
{
	struct entry *e = &entries[place];

	if (e->newer)
		entries[e->newer].older = e->older;
	else
		newest = e->older;
	if (e->older)
		entries[e->older].newer = e->newer;
	else
		oldest = e->newer;
}

static void
attach(uint16_t place)
{
	struct entry *e = &entries[place];

	e->newer = 0;
	e->older = newest;
	if (newest)
		entries[newest].newer = place;
	else
		oldest = place;
	newest = place;
}

static void
drop(uint16_t place)
{
	struct entry *e = &entries[place];
	uint16_t *link = head_of(e->sha256);

	while (*link != place)
		link = &entries[*link].chain;
	*link = e->chain;
	detach(place);
	free(e->texts);
	e->chain = free_ones;
	free_ones = place;
}

static bool
stale(const struct entry *e, int64_t now)
{
	return now - e->verified >= KITH_TOKEN_CACHE_SECONDS;
}

struct kith_token *
kith_token_cache_find(const unsigned char *sha256)
{
	uint16_t place = *head_of(sha256);

	while (place && CRYPTO_memcmp(entries[place].sha256, sha256, KITH_SHA256_SIZE) != 0)
		place = entries[place].chain;
	if (!place)
		return NULL;
	if (stale(&entries[place], seconds())) {
		drop(place);
		return NULL;
	}
	if (place != newest) {
		detach(place);
		attach(place);
	}
	return &entries[place].token;
}

static uint16_t
take_place(int64_t now)
{
	uint16_t place;

	while (oldest && stale(&entries[oldest], now))
		drop(oldest);
	if (!free_ones && touched < KITH_TOKEN_CACHE_SIZE)
		return ++touched;
	if (!free_ones)
		drop(oldest);
	place = free_ones;
	free_ones = entries[place].chain;
	return place;
}

static size_t
size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Copies text to *p, which moves behind it. */
static const char *
copy(char **p, const char *text)
{
	char *to = *p;

	if (!text)
		return NULL;
	memcpy(to, text, size(text));
	*p += size(text);
	return to;
}

struct kith_token *
kith_token_cache_add(const unsigned char *sha256, const struct kith_token *token)
{
	int64_t now = seconds();
	uint16_t place = take_place(now);
	struct entry *e = &entries[place];
	const struct kith_identity *from = &token->identity;
	uint16_t *head = head_of(sha256);
	char *p;

	p = malloc(size(from->claims) + size(from->subject) + size(from->session));
	if (!p)
		exit(EX_OSERR);
	memcpy(e->sha256, sha256, KITH_SHA256_SIZE);
	e->token = *token;
	e->texts = p;
	e->token.identity.claims = copy(&p, from->claims);
	e->token.identity.subject = copy(&p, from->subject);
	e->token.identity.session = copy(&p, from->session);
	e->verified = now;
	e->chain = *head;
	*head = place;
	attach(place);
	return &e->token;
}

void
kith_token_cache_clear(void)
{
	while (oldest)
		drop(oldest);
}
