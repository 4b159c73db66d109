/* Goal: a password opens its own hash and no other, and what is no hash of a kind we know never reaches libcrypt. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "password.h"

static void
made_here(void **state)
{
	static const char *const methods[] = { "$2b$", "$y$" };
	struct kith_arena *a = unit_request()->arena;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *hash = kith_password_hash(a, "correct horse", methods[i]);

		assert_non_null(hash);
		assert_int_equal(strncmp(hash, methods[i], strlen(methods[i])), 0);
		assert_true(kith_password_matches("correct horse", hash));
		assert_false(kith_password_matches("correct horsf", hash));
		assert_false(kith_password_matches("", hash));
		assert_string_not_equal(hash, kith_password_hash(a, "correct horse", methods[i]));
		assert_false(kith_password_hash_outdated(hash, methods[i]));
		assert_true(kith_password_hash_outdated(hash, methods[!i]));
	}
	assert_null(kith_password_hash(a, "x", "$nothing$"));
}

/* As Go's bcrypt wrote it for Supabase. */
static void
made_elsewhere(void **state)
{
	(void)state;
	assert_true(kith_password_matches("allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"));
	assert_false(kith_password_matches("allmini", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"));
	assert_true(kith_password_hash_outdated("$2a$04$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", "$2b$"));
}

static void
refused(void **state)
{
	static const char *const hashes[] = {
		"", "*0", "*1", "x", "$1$abc$def", "$6$abc$def", "$argon2id$v=19$m=65536", "$2b$", "$2b$10$short", "$2x$10$abcdefghijklmnopqrstuu",
		"$2b$15$abcdefghijklmnopqrstuuEhtLqz92o4iJrBsTGdT3tqYzernTTAi", "$2b$31$abcdefghijklmnopqrstuuEhtLqz92o4iJrBsTGdT3tqYzernTTAi",
		"$2b$03$abcdefghijklmnopqrstuuEhtLqz92o4iJrBsTGdT3tqYzernTTAi",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++) {
		if (kith_password_hash_known(hashes[i]))
			fail_msg("accepted: %s", hashes[i]);
		assert_false(kith_password_matches("x", hashes[i]));
	}
}

/* Not even by the password of the hash that is used for the work. */
static void
nobody(void **state)
{
	(void)state;
	assert_false(kith_password_matches("nobody has this one", NULL));
	assert_false(kith_password_matches("nobody has this one", "*0"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a hash made here matches its password only", made_here),
		unit_that("a hash that Supabase stored matches", made_elsewhere),
		unit_that("other hashes are refused", refused),
		unit_that("without a hash nothing matches", nobody),
	};

	return unit_run(tests);
}
