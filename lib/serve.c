#include "resource.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <fcgiapp.h>
#include <openssl/crypto.h>

#include "arena.h"
#include "auth.h"
#include "clock.h"
#include "db.h"
#include "log.h"
#include "prefork.h"
#include "reply.h"
#include "rest.h"
#include "route.h"
#include "settings.h"
#include "teststop.h"

#define LISTENER STDIN_FILENO
#define PREFIX "/rest/v1/"

/* What a request may take beside its body. */
#define ROOM ((size_t)32 << 20)

/* nginx sends a request whole and at once; what is silent for longer is not nginx. */
#define RECEIVE_TIMEOUT_S 2

/* Milliseconds that libfcgi waits for a peer to close, where it closes: its own two seconds would starve others. */
#define CLOSE_TIMEOUT_MS "100"

/* Processes of a program, unless its declaration or KITH_PROCESSES says another number. */
#define PROCESSES 2

/* Memory in pieces of this size goes back to the system as soon as it is free. */
#define LARGE (256 << 10)

static volatile sig_atomic_t stopping;

/* The request in hand, and where it stands: for exhausted(). */
static struct kith_request request;
static FCGX_Request fcgi;
static bool answered;

static void
stop(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

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

/*
 * Reads the body of length bytes to its end.  False when it is not whole: the
 * client left, or nginx did; half a body must never be taken for one.
 */
static bool
read_body(long length)
{
	struct kith_buf body;
	int got;

	kith_buf_init(&body, request.arena, (size_t)length);
	got = length ? FCGX_GetStr(body.s, (int)length, fcgi.in) : 0;
	if (got != length || FCGX_GetChar(fcgi.in) != EOF || FCGX_GetError(fcgi.in))
		return false;
	body.s[length] = '\0';
	request.body = body.s;
	request.body_len = (size_t)length;
	return true;
}

static bool
speaks_rest(const struct kith_resource *resource)
{
	return resource->tables[0] || resource->functions[0] || resource->fallback;
}

static void
dispatch(const struct kith_resource *resource)
{
	if (request.method == KITH_OPTIONS)
		kith_reply_preflight(&request);
	else if (kith_route_mounted(resource, request.path))
		kith_route_handle(&request, resource);
	else if (speaks_rest(resource) && !strncmp(request.path, PREFIX, strlen(PREFIX)))
		kith_rest_handle(&request, resource);
	else
		kith_fail(&request, 404, "PGRST125", "Invalid path specified in request URL");
}

/* True when the peer has sent all it had to, so that closing at once loses nothing. */
static bool
answer(const struct kith_resource *resource, long length)
{
	bool whole = false;

	if (length > kith_settings.body_limit) {
		kith_fail(&request, 413, "KITH413", "the request body is too large");
		kith_fail_details(&request, "%ld bytes were sent, %ld are allowed.", length, kith_settings.body_limit);
		kith_fail_hint(&request, "Send fewer rows at a time.");
	} else if (length >= 0 && read_body(length)) {
		whole = true;
		KITH_TEST_POINT("body");
		dispatch(resource);
	} else {
		kith_log(KITH_LOG_INFO, "request %s dropped: its body is not whole", request.id);
		return false;
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
	static const struct timeval timeout = { .tv_sec = RECEIVE_TIMEOUT_S };
	int64_t started = kith_now_us();
	bool whole;
	long length;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
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

/*
 * Siblings wait for the same socket.  EPOLLEXCLUSIVE wakes one of them for a
 * connection, the one that waits longest; poll would wake them all, and on a
 * busy machine every second wake-up would find nothing.
 */
static int
watch_listener(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd != -1 && !epoll_ctl(fd, EPOLL_CTL_ADD, LISTENER, &event))
		return fd;
	kith_log(KITH_LOG_ERROR, "cannot wait for connections: %s", strerror(errno));
	exit(EX_OSERR);
}

/* After the last connection is closed nothing is left to do, and what they needed is given back. */
static void
idle(void)
{
	kith_db_idle();
	if (kith_db_idle_timeout() == -1)
		malloc_trim(0);
}

/*
 * Serves until SIGTERM or SIGINT, which can come only while waiting: a request
 * in hand is always finished.  The next one waits in the socket's queue for
 * the sibling.
 */
static void
loop(const struct kith_resource *resource, const sigset_t *while_waiting)
{
	struct kith_arena *arena = kith_arena_new((size_t)kith_settings.body_limit + ROOM);
	int watch = watch_listener();
	struct epoll_event event;

	kith_arena_on_exhausted(arena, exhausted, NULL);
	while (!stopping) {
		int due = kith_db_idle_timeout(), fd;
		int ready = epoll_pwait(watch, &event, 1, due, while_waiting);

		if (ready == 0 || due == 0)
			idle();
		if (ready <= 0)
			continue;
		/* A sibling may have been faster: then there is nothing. */
		fd = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1)
			serve_connection(resource, arena, fd);
	}
	close(watch);
	kith_arena_free(arena);
}

static void
print_names(const char *kind, const char *const *names)
{
	for (int i = 0; i < KITH_RESOURCE_MAX && names[i]; i++)
		printf("%s %s\n", kind, names[i]);
}

static int
print_routes(const struct kith_resource *resource)
{
	print_names("table", resource->tables);
	print_names("function", resource->functions);
	if (resource->mount)
		printf("mount %s\n", resource->mount);
	if (resource->fallback)
		puts("fallback");
	return fflush(stdout) ? EX_IOERR : EX_OK;
}

static int
print_help(const struct kith_resource *resource)
{
	printf("usage: kith-%s [--routes | --help]\n\n"
	       "Serves its part of the API by FastCGI on the listening socket that is\n"
	       "standard input, set up by the KITH_* variables of the environment.\n"
	       "--routes prints which tables, functions and paths that is.\n",
	       resource->name);
	return fflush(stdout) ? EX_IOERR : EX_OK;
}

/* A closed descriptor 1 or 2 would be given to a connection, and the log written into it. */
static void
open_standard_fds(void)
{
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			(void)!open("/dev/null", O_RDWR);
}

static bool
stdin_listens(void)
{
	socklen_t n = sizeof(int);
	int listens = 0;

	return !getsockopt(LISTENER, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) && listens;
}

static void
handle_signals(sigset_t *while_waiting)
{
	struct sigaction action = { .sa_handler = stop };
	sigset_t blocked;

	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	sigdelset(while_waiting, SIGTERM);
	sigdelset(while_waiting, SIGINT);
}

static int
processes(const struct kith_resource *resource)
{
	if (kith_settings.processes)
		return (int)kith_settings.processes;
	return resource->processes ? resource->processes : PROCESSES;
}

/* What a process keeps for ever should be little, and most of it the same in all of them. */
static void
spare_memory(void)
{
	/* Otherwise malloc, once asked for a large block, keeps as much for ever: 20 MB after one big answer. */
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, LARGE);
	/* A thread would bring an arena of its own, which stays. */
	mallopt(M_ARENA_MAX, 1);
	/* OpenSSL's messages are never read, nor is there anything to configure. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
}

static int
run(const struct kith_resource *resource)
{
	sigset_t while_waiting;

	spare_memory();
	open_standard_fds();
	if (kith_settings_load())
		return EX_CONFIG;
	if (!stdin_listens()) {
		fprintf(stderr, "kith-%s: standard input is no listening socket; start it by spawn-fcgi -n\n",
			resource->name);
		return EX_USAGE;
	}
	kith_log_init(resource->name);
	if (!geteuid())
		kith_log(KITH_LOG_WARNING, "running as root, which nothing here needs");
	/* Siblings share the socket: whoever comes second must not sleep in accept. */
	fcntl(LISTENER, F_SETFL, fcntl(LISTENER, F_GETFL) | O_NONBLOCK);
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", CLOSE_TIMEOUT_MS, 1);
	/* It installs signal handlers of its own, which ours replace. */
	if (FCGX_Init())
		return EX_OSERR;
	handle_signals(&while_waiting);
	if (kith_auth_init())
		return EX_CONFIG;
	if (!kith_prefork(processes(resource)))
		return EX_OK;
	kith_log_init(resource->name);
	/* Keys may have been withdrawn since: whoever replaces another must not believe those of the start. */
	if (kith_auth_init())
		return EX_CONFIG;
	loop(resource, &while_waiting);
	return EX_OK;
}

int
kith_serve(const struct kith_resource *const *resources, int argc, char **argv)
{
	const struct kith_resource *resource = resources[0];

	if (argc == 1)
		return run(resource);
	if (argc == 2 && !strcmp(argv[1], "--routes"))
		return print_routes(resource);
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return print_help(resource);
	fprintf(stderr, "usage: kith-%s [--routes | --help]\n", resource->name);
	return EX_USAGE;
}
