/*
 * What a recording is like, by its samples: how long, and whether it should
 * be made again.
 *
 * Plain facts, no taste: a voice cannot be trained from a second of sound, from
 * silence, or from sound that was louder than the microphone could tell.
 */
#ifndef KITH_RECORDING_H
#define KITH_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Samples are signed, of 16 bits and one channel, so many a second. */
#define KITH_RECORDING_RATE 48000

/* Shorter is too short, in milliseconds. */
#define KITH_RECORDING_SHORT_MS 1000

struct kith_recording {
	int64_t samples;
	int64_t clipped;	/* samples in a row at full scale, the first few of each row left out */
	double loudest;		/* mean square of the loudest tenth of a second, of full scale */
	int run;		/* samples at full scale in a row so far */
	int in_window;		/* samples of the tenth of a second at hand, and the sum of their squares */
	double sum;
};

/* Takes the next samples; a struct that is all zero has none yet. */
void kith_recording_add(struct kith_recording *r, const int16_t *samples, size_t n);

/* How long it lasts, in milliseconds. */
int64_t kith_recording_ms(const struct kith_recording *r);

/* Nobody speaks: no tenth of a second is louder than -50 dB of full scale, where a quiet voice has -40. */
bool kith_recording_is_silent(const struct kith_recording *r);

/*
 * Cut off at full scale: a thousandth of the samples is, in rows of more than
 * three.  Loud sound that is whole touches full scale for a sample or two.
 */
bool kith_recording_is_clipped(const struct kith_recording *r);

/* "good", or "redo_suggested" for what is short, silent or clipped. */
const char *kith_recording_quality(const struct kith_recording *r);

#endif
