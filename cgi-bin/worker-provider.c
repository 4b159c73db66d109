#include "worker.h"

#include "clock.h"
#include "log.h"

#define FAULTS 5
#define CLOSED_US (30 * SECOND_US)
#define DENIED_US (300 * SECOND_US)

static void
close_until(struct worker_provider *p, int64_t us, const char *why)
{
	int64_t until_us = kith_now_us() + us;

	if (until_us <= p->ready_us)
		return;
	p->ready_us = until_us;
	if (us >= SECOND_US)
		kith_log(KITH_LOG_WARNING, "%s: no call for %d s: %s", p->name, (int)(us / SECOND_US), why);
}

void
worker_provider_begin(struct worker_provider *p)
{
	p->ready_us = kith_now_us() + p->interval_us;
}

void
worker_provider_end(struct worker_provider *p, const struct worker_result *result)
{
	p->faults = result->fault ? p->faults + 1 : 0;
	if (result->pause_ms > 0)
		close_until(p, result->pause_ms * 1000, result->error);
	if (result->outcome == KITH_DENIED) {
		kith_log(KITH_LOG_ERROR, "%s does not take our key or password (%s): kith doctor says what to do",
		    p->name, result->error);
		close_until(p, DENIED_US, result->error);
	} else if (p->faults >= FAULTS) {
		close_until(p, CLOSED_US, result->error);
	}
}
