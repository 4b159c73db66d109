/*
 * The sockets that programs listen on: DIR/kith-<name>.sock.
 */
#ifndef KITH_LISTENER_H
#define KITH_LISTENER_H

#include <stdbool.h>

/*
 * Makes the socket and listens on it, for this user and group only.  One that
 * was left by somebody who was killed is replaced, one that somebody listens
 * on is not.  -1 after one line on stderr that names it and what is wrong.
 */
int kith_listener_open(const char *dir, const char *program);

/* Takes it away again. */
void kith_listener_close(const char *dir, const char *program, int fd);

/* Is this descriptor a socket that listens? */
bool kith_listener_check(int fd);

#endif
