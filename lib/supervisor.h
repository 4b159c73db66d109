/*
 * One parent for many programs: it sets up and waits, its children serve.
 *
 * What is loaded, relocated and set up before the split is in memory once,
 * however many children there are; programs that are started one by one share
 * nothing but the text of their libraries.  A program that nobody calls has no
 * children at all.
 */
#ifndef KITH_SUPERVISOR_H
#define KITH_SUPERVISOR_H

#include <stdint.h>

#define KITH_SUPERVISOR_MAX 64

struct kith_supervised {
	const char *name;	/* of its processes, for ps and the log */
	int listener;		/* its socket, which does not block */
	int processes;		/* KITH_SUPERVISOR_MAX at most */
};

struct kith_supervision {
	int64_t idle_us;	/* without a request for this long a program is put to sleep; 0: never */
	int64_t stuck_us;	/* who has been in one request for this long is killed; 0: nobody */
	/* Who ended younger than this is replaced a moment later: a program that cannot live must not keep the machine busy. */
	int64_t young_us;
};

/*
 * The first thing that an executable does.  Opens those of the first three
 * descriptors that are closed, or one would be given to a connection and the
 * log written into it; and keeps SIGTERM and SIGINT waiting until somebody can
 * end well.
 */
void kith_supervisor_prepare(void);

/*
 * Keeps n programs.  Returns in each child, as the number of the program that
 * it is to serve until SIGTERM; SIGTERM and SIGINT are blocked in it, and the
 * sockets of the other programs closed.
 *
 * The parent stays inside.  It watches the sockets of programs that sleep, and
 * starts all processes of one for which a connection comes; this one waits in
 * the socket's queue meanwhile, as do those that come while a program is being
 * put to sleep.  A child that ends by itself is replaced, at once or, when it
 * was young, 100 ms later, and the log says why it did.  SIGTERM or SIGINT ends the children, and when the last one has gone returns
 * -1.  Should the parent be killed, its children get SIGTERM.
 *
 * To be called without what two processes cannot share: connections, epoll
 * descriptors, threads.
 */
int kith_supervise(const struct kith_supervised *programs, int n, const struct kith_supervision *how);

/*
 * A child tells that it is in a request, and that it has finished it.  Whoever
 * knows that a request may take longer than the limit, and goes on well, tells
 * the first again.
 */
void kith_supervisor_busy(void);
void kith_supervisor_idle(void);

#endif
