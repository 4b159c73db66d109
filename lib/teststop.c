#include "teststop.h"

#ifdef KITH_TEST
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
kith_teststop_wait(const char *point)
{
	const char *stop = getenv("KITH_TEST_STOP");
	size_t n = strlen(point);
	ssize_t got;
	char byte;
	int fd;

	if (!stop || strncmp(stop, point, n) || stop[n] != ':')
		return;
	fd = open(stop + n + 1, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return;
	do
		got = read(fd, &byte, 1);
	while (got > 0 || (got == -1 && errno == EINTR));
	close(fd);
}
#endif
