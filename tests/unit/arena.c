/* An arena gives aligned, zeroed memory, keeps its ceiling, and cleans up in reverse. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "buf.h"

static void
pieces_are_zeroed_and_aligned(void **state)
{
	struct kith_arena *a = kith_arena_new(0);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t n = 1; n < 70000; n = n * 3 + 1) {
			char *p = kith_alloc(a, n);

			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, n);
		}
		kith_arena_reset(a);
	}
	kith_arena_free(a);
	kith_arena_free(NULL);
}

static char order[4];

static void
note(void *letter)
{
	strncat(order, letter, 1);
}

static void
cleanups_run_last_in_first_out(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	char letters[] = "abc";

	(void)state;
	kith_arena_later(a, note, &letters[0]);
	kith_arena_later(a, note, &letters[1]);
	kith_arena_reset(a);
	kith_arena_later(a, note, &letters[2]);
	kith_arena_free(a);
	assert_string_equal(order, "bac");
}

static jmp_buf escape;

static void
give_up(void *arg)
{
	(void)arg;
	longjmp(escape, 1);
}

static void
ceiling_ends_in_the_die_routine(void **state)
{
	struct kith_arena *a = kith_arena_new(100000);

	(void)state;
	kith_arena_on_exhausted(a, give_up, NULL);
	kith_alloc(a, 50000);
	if (!setjmp(escape)) {
		kith_alloc(a, 60000);
		fail();
	}
	kith_arena_reset(a);
	kith_alloc(a, 60000);
	kith_arena_free(a);
}

static void
overflowing_sizes_end_in_the_die_routine(void **state)
{
	struct kith_arena *a = kith_arena_new(0);

	(void)state;
	kith_arena_on_exhausted(a, give_up, NULL);
	if (!setjmp(escape)) {
		kith_alloc_array(a, SIZE_MAX / 2, 3);
		fail();
	}
	if (!setjmp(escape)) {
		kith_alloc(a, SIZE_MAX - 4);
		fail();
	}
	kith_arena_free(a);
}

static void
buffers_grow_and_stay_terminated(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_buf b;

	(void)state;
	kith_buf_init(&b, a, 0);
	assert_string_equal(b.s, "");
	for (int i = 0; i < 10000; i++)
		kith_buf_printf(&b, "%d,", i % 10);
	assert_int_equal(b.len, 20000);
	assert_int_equal(strlen(b.s), 20000);
	kith_buf_putc(&b, '\0');
	kith_buf_lit(&b, "end");
	assert_int_equal(b.len, 20004);
	assert_string_equal(b.s + 20001, "end");
	kith_arena_free(a);
}

static void
text_is_copied(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	char text[] = "hello";
	char *copy = kith_strdup(a, text);

	(void)state;
	text[0] = 'j';
	assert_string_equal(copy, "hello");
	assert_string_equal(kith_strndup(a, copy, 2), "he");
	assert_string_equal(kith_format(a, "%s-%d", copy, 7), "hello-7");
	copy = kith_realloc(a, copy, 6, 4000);
	assert_string_equal(copy, "hello");
	kith_arena_free(a);
}

static void
formatted(void **state)
{
	struct kith_arena *a = kith_arena_new(0);

	(void)state;
	for (int n = 0; n < 300; n++) {
		const char *text = kith_format(a, "%0*d%s", n + 1, 7, "!");

		assert_int_equal(strlen(text), n + 2);
		assert_int_equal(strspn(text, "0"), n);
		assert_string_equal(text + n, "7!");
	}
	kith_arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("pieces are zeroed and aligned", pieces_are_zeroed_and_aligned),
		unit_that("cleanups run last in, first out", cleanups_run_last_in_first_out),
		unit_that("the ceiling ends in the die routine", ceiling_ends_in_the_die_routine),
		unit_that("overflowing sizes end in the die routine", overflowing_sizes_end_in_the_die_routine),
		unit_that("buffers grow and stay terminated", buffers_grow_and_stay_terminated),
		unit_that("text is copied", text_is_copied),
		unit_that("a formatted text is whole, however long", formatted),
	};

	return unit_run(tests);
}
