#include "loop.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include <fcgiapp.h>
#include <openssl/crypto.h>

#include "arena.h"
#include "clock.h"
#include "db.h"
#include "log.h"
#include "reply.h"
#include "request.h"
#include "resource.h"
#include "rest.h"
#include "route.h"
#include "settings.h"
#include "supervisor.h"
#include "teststop.h"

#define MOUNT "/rest/v1/"

/* What a request may take beside its body. */
#define ROOM ((size_t)32 << 20)

/* nginx sends a request whole and at once; what is silent for longer is not nginx. */
#define RECEIVE_TIMEOUT_S 2

/* But for a large body, which it reads from a disk that others use too. */
#define PIECE_TIMEOUT_S 30

/* Milliseconds that libfcgi waits for a peer to close, where it closes: its own two seconds would starve others. */
#define CLOSE_TIMEOUT_MS "100"

/* Memory in pieces of this size goes back to the system as soon as it is free. */
#define LARGE (256 << 10)

/* The request in hand, and where it stands: for exhausted(). */
static struct kith_request request;
static FCGX_Request fcgi;
static bool answered;

/*
 * The arena's last call.  The process ends, since memory that was not there
 * once may be missing anywhere; the supervisor starts another, and PostgreSQL
 * rolls back what was not committed.
 */
static void
exhausted(void *unused)
{
	(void)unused;
	kith_log(KITH_LOG_ERROR, "request %s ran out of memory", request.id ? request.id : "without id");
	if (!answered)
		kith_reply_exhausted(&request, fcgi.requestId);
	exit(EX_OSERR);
}

/* How long the peer may be silent. */
static void
wait_for_peer(int fd, time_t seconds)
{
	const struct timeval timeout = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

/* The next n bytes of the body, or fewer when the peer has left. */
static size_t
receive(void *p, size_t n)
{
	int got = FCGX_GetStr(p, (int)n, fcgi.in);

	/* However long it all takes: who still gets something is not stuck. */
	kith_supervisor_busy();
	return got > 0 ? (size_t)got : 0;
}

/* True when the body was read and nothing follows it. */
static bool
at_end(void)
{
	return !request.unread && FCGX_GetChar(fcgi.in) == EOF && !FCGX_GetError(fcgi.in);
}

static bool
speaks_rest(const struct kith_resource *resource)
{
	return resource->tables[0] || resource->functions[0] || resource->fallback;
}

static void
dispatch(const struct kith_resource *resource)
{
	if (request.method == KITH_OPTIONS && !resource->no_cors)
		kith_reply_preflight(&request);
	else if (kith_route_mounted(resource, request.path))
		kith_route_handle(&request, resource);
	else if (speaks_rest(resource) && !strncmp(request.path, MOUNT, strlen(MOUNT)))
		kith_rest_handle(&request, resource);
	else
		kith_fail(&request, 404, "PGRST125", "Invalid path specified in request URL");
}

/* Whether the handler takes the body itself. */
static bool
streams(const struct kith_resource *resource)
{
	return resource->streams && request.method != KITH_OPTIONS && kith_route_mounted(resource, request.path);
}

/* Nobody is answered whose body is not whole: nginx has given up, or is none. */
static bool
drop(void)
{
	kith_log(KITH_LOG_INFO, "request %s dropped: its body is not whole", request.id);
	return false;
}

/* True when the peer has sent all it had to, so that closing at once loses nothing. */
static bool
answer(const struct kith_resource *resource, long length)
{
	bool whole = false;

	if (length < 0)
		return drop();
	request.unread = (size_t)length;
	request.receive = receive;
	if (streams(resource)) {
		wait_for_peer(request.fd, PIECE_TIMEOUT_S);
		dispatch(resource);
		whole = at_end();
	} else if (!kith_request_read_all(&request)) {
		if (!at_end())
			return drop();
		whole = true;
		KITH_TEST_POINT("body");
		dispatch(resource);
	} else if (request.error.status == 499) {
		return drop();
	}
	kith_reply_send(&request, fcgi.requestId);
	answered = true;
	kith_log_request(&request);
	return whole;
}

/* One connection is one request: keeping it would pin this process to one peer. */
static void
serve_connection(const struct kith_resource *resource, struct kith_arena *arena, int fd)
{
	int64_t started = kith_now_us();
	bool whole;
	long length;

	wait_for_peer(fd, RECEIVE_TIMEOUT_S);
	/*
	 * libfcgi reads the request from our connection.  Should that fail it
	 * wants to accept another one: from a socket that does not exist.
	 */
	FCGX_InitRequest(&fcgi, -1, 0);
	fcgi.ipcFd = fd;
	fcgi.keepConnection = 1;
	if (FCGX_Accept_r(&fcgi)) {
		kith_log(KITH_LOG_DEBUG, "connection dropped: no whole FastCGI request");
		return;
	}
	answered = false;
	length = kith_request_init(&request, arena, fcgi.envp);
	request.fd = fd;
	request.write_error = resource->write_error;
	request.no_cors = resource->no_cors;
	request.started_us = started;
	whole = answer(resource, length);
	kith_arena_reset(arena);
	/*
	 * A peer that is still sending must read the answer before the reset
	 * that closing would cause: libfcgi shuts our side and waits for it.
	 */
	FCGX_Free(&fcgi, !whole);
	if (whole)
		close(fd);
}

static void
add(int watched, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (fd != -1 && !epoll_ctl(watched, EPOLL_CTL_ADD, fd, &event))
		return;
	kith_log(KITH_LOG_ERROR, "cannot wait for connections: %s", strerror(errno));
	exit(EX_OSERR);
}

/*
 * Siblings wait for the same socket.  EPOLLEXCLUSIVE wakes one of them for a
 * connection, the one that waits longest; poll would wake them all, and on a
 * busy machine every second wake-up would find nothing.
 *
 * The signals that end us come as an event too: while connections wait,
 * epoll_pwait would never let one in.
 */
static int
watch(int listener)
{
	int watched = epoll_create1(EPOLL_CLOEXEC);
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	add(watched, signalfd(-1, &signals, SFD_CLOEXEC), EPOLLIN);
	add(watched, listener, EPOLLIN | EPOLLEXCLUSIVE);
	return watched;
}

/* After the last connection is closed nothing is left to do, and what they needed is given back. */
static void
idle(void)
{
	kith_db_idle();
	if (kith_db_idle_timeout() == -1)
		malloc_trim(0);
}

void
kith_loop(const struct kith_resource *resource, int listener)
{
	struct kith_arena *arena = kith_arena_new((size_t)kith_settings.body_limit + ROOM);
	int watched = watch(listener);
	struct epoll_event event;

	kith_arena_on_exhausted(arena, exhausted, NULL);
	for (;;) {
		int due = kith_db_idle_timeout(), fd;
		int ready = epoll_wait(watched, &event, 1, due);

		if (ready == 0 || due == 0)
			idle();
		if (ready <= 0)
			continue;
		if (event.data.fd != listener)
			break;
		/* A sibling may have been faster: then there is nothing. */
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd == -1)
			continue;
		kith_supervisor_busy();
		serve_connection(resource, arena, fd);
		kith_supervisor_idle();
	}
	close(watched);
	kith_arena_free(arena);
}

int
kith_loop_init(void)
{
	/* Otherwise malloc, once asked for a large block, keeps as much for ever: 20 MB after one big answer. */
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, LARGE);
	/* A thread would bring an arena of its own, which stays. */
	mallopt(M_ARENA_MAX, 1);
	/* OpenSSL's messages are never read, nor is there anything to configure. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", CLOSE_TIMEOUT_MS, 1);
	/* It installs signal handlers of its own, which ours replace. */
	return FCGX_Init() ? -1 : 0;
}
