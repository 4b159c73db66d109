/*
 * What a process does all day: takes a connection, answers its request, closes
 * it.
 */
#ifndef KITH_LOOP_H
#define KITH_LOOP_H

struct kith_resource;

/* Once, before the split into processes: what they can share of libfcgi's and malloc's settings.  -1 when it fails. */
int kith_loop_init(void);

/*
 * Serves the resource to whoever connects until SIGTERM or SIGINT, which must
 * be blocked: they can come only while waiting, so that a request in hand is
 * always finished.  The next one waits in the socket's queue for a sibling.
 */
void kith_loop(const struct kith_resource *resource, int listener);

#endif
