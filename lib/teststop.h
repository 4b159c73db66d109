/*
 * Stops a test build at a named point, so that a test can kill the process
 * exactly there.
 */
#ifndef KITH_TESTSTOP_H
#define KITH_TESTSTOP_H

#ifdef KITH_TEST
/*
 * When the environment has KITH_TEST_STOP=<point>:<path of a fifo>, waits at
 * that point until somebody has opened the fifo for writing and closed it
 * again.  The opening returns when the process has arrived: then kill it, or
 * close to let it go on.
 */
#define KITH_TEST_POINT(point) kith_teststop_wait(point)
void kith_teststop_wait(const char *point);
#else
#define KITH_TEST_POINT(point) ((void)0)
#endif

#endif
