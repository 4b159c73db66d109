/*
 * One start, several processes: the parent sets up and waits, its children
 * serve.
 *
 * What is loaded, relocated and set up before the split is in memory once,
 * however many children there are; programs that are started one by one share
 * nothing but the text of their libraries.
 */
#ifndef KITH_PREFORK_H
#define KITH_PREFORK_H

#include <stdbool.h>

#define KITH_PREFORK_MAX 64

/*
 * Splits into n children, KITH_PREFORK_MAX at most.  Returns true in each of
 * them, which then serves until SIGTERM and exits; n = 1 makes none, and the
 * caller itself is to serve.
 *
 * The parent stays inside: it replaces a child that ended, at once or, when
 * that lived for less than a second, 100 ms later, and logs why it did.
 * SIGTERM or SIGINT ends the children, and when the last one has gone returns
 * false.  Should the parent be killed, its children get SIGTERM.
 *
 * To be called with SIGTERM and SIGINT blocked, and without what two processes
 * cannot share: connections, epoll descriptors, threads.
 */
bool kith_prefork(int n);

#endif
