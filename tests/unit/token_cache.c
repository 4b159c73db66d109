/* Goal: the cache gives back what was put in, for a minute, and never holds more than it may. */
#include "mint.h"

#include "keys.h"
#include "token.h"
#include "token_cache.h"

/* A digest of our own choice; those with the same first byte share a chain. */
static const unsigned char *
digest(int n)
{
	static unsigned char sum[KITH_SHA256_SIZE];

	memset(sum, 0, sizeof(sum));
	sum[0] = (unsigned char)(n % 3);
	memcpy(sum + 8, &n, sizeof(n));
	return sum;
}

static void
add(int n)
{
	char claims[32];
	struct kith_token token = { .identity = { .role = KITH_AUTHENTICATED, .subject = ANA, .claims = claims }, .expires = n };

	snprintf(claims, sizeof(claims), "{\"n\":%d}", n);
	kith_token_cache_add(digest(n), &token);
}

static bool
has(int n)
{
	char claims[32];
	struct kith_token *token = kith_token_cache_find(digest(n));

	if (!token)
		return false;
	snprintf(claims, sizeof(claims), "{\"n\":%d}", n);
	assert_string_equal(token->identity.claims, claims);
	assert_string_equal(token->identity.subject, ANA);
	assert_null(token->identity.session);
	assert_int_equal(token->expires, n);
	return true;
}

static void
keeps(void **state)
{
	(void)state;
	for (int i = 0; i < KITH_TOKEN_CACHE_SIZE; i++) {
		assert_false(has(i));
		add(i);
	}
	for (int i = 0; i < KITH_TOKEN_CACHE_SIZE; i++)
		assert_true(has(i));
}

static void
oldest_goes(void **state)
{
	(void)state;
	assert_true(has(0));
	add(KITH_TOKEN_CACHE_SIZE);
	add(KITH_TOKEN_CACHE_SIZE + 1);
	assert_true(has(0));
	assert_false(has(1));
	assert_false(has(2));
	for (int i = 3; i < KITH_TOKEN_CACHE_SIZE + 2; i++)
		assert_true(has(i));
}

static void
a_minute(void **state)
{
	(void)state;
	mint_clock_offset = 58;
	assert_true(has(5));
	mint_clock_offset = KITH_TOKEN_CACHE_SECONDS + 1;
	assert_false(has(5));
	add(5);
	assert_true(has(5));
	for (int i = 6; i < 20; i++)
		assert_false(has(i));
}

static void
clears(void **state)
{
	(void)state;
	add(1);
	kith_token_cache_clear();
	for (int i = 0; i < KITH_TOKEN_CACHE_SIZE + 2; i++)
		assert_false(has(i));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 700; i++)
			add(round * 700 + i);
	}
	assert_true(has(3499));
	kith_token_cache_clear();
	assert_false(has(3499));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("1024 tokens are kept", keeps),
		unit_that("the least recently used one makes room", oldest_goes),
		unit_that("after a minute a token is verified anew", a_minute),
		unit_that("a change of keys forgets all", clears),
	};

	return unit_run(tests);
}
