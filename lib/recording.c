#include "recording.h"

#include <stdlib.h>

#define FULL_SCALE 32768.0
#define WINDOW (KITH_RECORDING_RATE / 10)

/* 0.25 dB below full scale: a codec that loses something does not keep a flat top flat. */
#define CLIPPED 31840
#define ROW 3
#define CLIPPED_SHARE 0.001

/* -50 dB, as a mean square. */
#define SILENT 1e-5

static void
end_window(struct kith_recording *r)
{
	double mean = r->sum / WINDOW;

	if (mean > r->loudest)
		r->loudest = mean;
	r->sum = 0;
	r->in_window = 0;
}

void
kith_recording_add(struct kith_recording *r, const int16_t *samples, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double sample = samples[i] / FULL_SCALE;

		r->run = abs(samples[i]) >= CLIPPED ? r->run + 1 : 0;
		r->clipped += r->run > ROW;
		r->sum += sample * sample;
		if (++r->in_window == WINDOW)
			end_window(r);
	}
	r->samples += (int64_t)n;
}

int64_t
kith_recording_ms(const struct kith_recording *r)
{
	return r->samples * 1000 / KITH_RECORDING_RATE;
}

bool
kith_recording_is_silent(const struct kith_recording *r)
{
	return r->loudest < SILENT;
}

bool
kith_recording_is_clipped(const struct kith_recording *r)
{
	return (double)r->clipped > (double)r->samples * CLIPPED_SHARE;
}

const char *
kith_recording_quality(const struct kith_recording *r)
{
	bool good = kith_recording_ms(r) >= KITH_RECORDING_SHORT_MS && !kith_recording_is_silent(r) &&
	    !kith_recording_is_clipped(r);

	return good ? "good" : "redo_suggested";
}
