/* Goal: what is too short, silent or clipped is told from what is not, however the samples come. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "recording.h"

#define RATE KITH_RECORDING_RATE

/* A tone that swells and fades three times a second as speech does, cut off at full scale; seconds long. */
static struct kith_recording
tone(double loudness, double seconds, size_t step)
{
	struct kith_recording r = { 0 };
	size_t n = (size_t)(seconds * RATE);
	int16_t *samples = calloc(n + 1, sizeof(*samples));

	for (size_t i = 0; i < n; i++) {
		double t = (double)i / RATE;
		double value = loudness * sin(2 * M_PI * 220 * t) * (0.5 + 0.5 * sin(2 * M_PI * 3 * t)) * 32767;

		samples[i] = (int16_t)fmax(-32768, fmin(32767, value));
	}
	for (size_t i = 0; i < n; i += step)
		kith_recording_add(&r, samples + i, i + step < n ? step : n - i);
	free(samples);
	return r;
}

static void
good(void **state)
{
	(void)state;
	for (double loudness = 0.01; loudness < 0.95; loudness *= 1.5) {
		struct kith_recording r = tone(loudness, 2, 1000);

		assert_int_equal(kith_recording_ms(&r), 2000);
		assert_string_equal(kith_recording_quality(&r), "good");
	}
}

static void
short_ones(void **state)
{
	struct kith_recording none = { 0 }, second = tone(0.3, 1, 1000), less = tone(0.3, 0.998, 1000);

	(void)state;
	assert_int_equal(kith_recording_ms(&none), 0);
	assert_string_equal(kith_recording_quality(&none), "redo_suggested");
	assert_string_equal(kith_recording_quality(&second), "good");
	assert_int_equal(kith_recording_ms(&less), 998);
	assert_string_equal(kith_recording_quality(&less), "redo_suggested");
}

static void
silent(void **state)
{
	struct kith_recording nothing = tone(0, 2, 1000), noise = tone(0.003, 2, 1000), quiet = tone(0.006, 2, 1000);
	struct kith_recording word = tone(0, 60, 1000), said = tone(0.1, 0.4, 1000);
	int16_t samples[RATE / 5];

	(void)state;
	assert_true(kith_recording_is_silent(&nothing));
	assert_true(kith_recording_is_silent(&noise));
	assert_string_equal(kith_recording_quality(&noise), "redo_suggested");
	assert_false(kith_recording_is_silent(&quiet));
	assert_false(kith_recording_is_silent(&said));
	/* A fifth of a second of speech in a minute of silence is no silence. */
	for (size_t i = 0; i < RATE / 5; i++)
		samples[i] = (int16_t)(3000 * sin((double)i / 30));
	kith_recording_add(&word, samples, RATE / 5);
	assert_false(kith_recording_is_silent(&word));
}

static void
clipped(void **state)
{
	struct kith_recording much = tone(6, 2, 1000), little = tone(1.3, 2, 1000), full = tone(0.97, 2, 1000);
	struct kith_recording clicks = tone(0.3, 2, 1000);
	int16_t samples[100] = { [10] = 32767, [11] = -32768, [12] = 32767, [50] = -32768 };

	(void)state;
	assert_true(kith_recording_is_clipped(&much));
	assert_true(kith_recording_is_clipped(&little));
	assert_string_equal(kith_recording_quality(&little), "redo_suggested");
	assert_false(kith_recording_is_clipped(&full));
	/* A knock on the table, again and again: never for more than three samples. */
	for (int i = 0; i < 1000; i++)
		kith_recording_add(&clicks, samples, 100);
	assert_int_equal(clicks.clipped, 0);
	assert_string_equal(kith_recording_quality(&clicks), "good");
}

static void
pieces(void **state)
{
	struct kith_recording whole = tone(1.3, 2.345, 1 << 20);
	const size_t steps[] = { 1, 7, 4799, 4800, 4801, 65536 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct kith_recording r = tone(1.3, 2.345, steps[i]);

		assert_int_equal(r.samples, whole.samples);
		assert_int_equal(r.clipped, whole.clipped);
		assert_true(r.loudest == whole.loudest);
	}
	assert_int_equal(kith_recording_ms(&whole), 2345);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("speech of any loudness is good", good),
		unit_that("less than a second is too short", short_ones),
		unit_that("where nobody speaks is silent", silent),
		unit_that("what is cut off at full scale is clipped", clipped),
		unit_that("it does not matter in which pieces samples come", pieces),
	};

	return unit_run(tests);
}
