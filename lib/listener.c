#include "listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The queue of requests: what does not fit is told at once. */
#define BACKLOG 1024

/* False when the path is too long for a socket. */
static bool
name_it(struct sockaddr_un *address, const char *dir, const char *program)
{
	int n;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s.sock", dir, program);
	return n > 0 && (size_t)n < sizeof(address->sun_path);
}

/* Takes away what nobody listens on.  -1 with errno when it is something else. */
static int
remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd == -1)
		return -1;
	error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : EADDRINUSE;
	close(fd);
	if (error == ENOENT)
		return 0;
	if (error == ECONNREFUSED) {
		struct stat st;

		/* A plain file refuses too. */
		if (!lstat(address->sun_path, &st) && S_ISSOCK(st.st_mode))
			return unlink(address->sun_path);
		error = EEXIST;
	}
	/* A full queue has somebody who listens. */
	errno = error == EAGAIN ? EADDRINUSE : error;
	return -1;
}

/* Nobody else may connect, not even before a chmod. */
static int
bind_closed(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0117);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(before);
	return rc;
}

int
kith_listener_open(const char *dir, const char *program)
{
	struct sockaddr_un address;
	int fd = -1;

	if (!name_it(&address, dir, program)) {
		errno = ENAMETOOLONG;
	} else if (!remove_stale(&address)) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd != -1 && !bind_closed(fd, &address) && !listen(fd, BACKLOG))
			return fd;
	}
	fprintf(stderr, "%s/%s.sock: %s\n", dir, program, strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

void
kith_listener_close(const char *dir, const char *program, int fd)
{
	struct sockaddr_un address;

	if (name_it(&address, dir, program))
		unlink(address.sun_path);
	close(fd);
}

bool
kith_listener_check(int fd)
{
	socklen_t n = sizeof(int);
	int listens = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) && listens;
}
