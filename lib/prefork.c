#include "prefork.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* A program that cannot live must not keep the machine busy. */
#define YOUNG_US INT64_C(1000000)
#define PAUSE_US INT64_C(100000)

static struct child {
	pid_t pid;		/* 0: ended, or not started yet */
	int64_t started_us;
	int64_t due_us;		/* not to be started before */
} children[KITH_PREFORK_MAX];

/* True in the child. */
static bool
start(struct child *c)
{
	pid_t parent = getpid();

	c->started_us = kith_now_us();
	c->pid = fork();
	if (c->pid == -1) {
		kith_log(KITH_LOG_ERROR, "could not start a process: %s", strerror(errno));
		c->pid = 0;
		c->due_us = c->started_us + PAUSE_US;
	} else if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		/* The parent may have gone before that. */
		if (getppid() != parent)
			raise(SIGTERM);
		return true;
	}
	return false;
}

static void
ended(struct child *c, int status)
{
	int64_t now = kith_now_us();

	if (WIFSIGNALED(status))
		kith_log(KITH_LOG_ERROR, "process %d ended by signal %d (%s)", (int)c->pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		kith_log(WEXITSTATUS(status) ? KITH_LOG_ERROR : KITH_LOG_INFO, "process %d ended with status %d",
		    (int)c->pid, WEXITSTATUS(status));
	c->pid = 0;
	c->due_us = now - c->started_us < YOUNG_US ? now + PAUSE_US : now;
}

/* Starts whoever is due.  True in a child; in the parent *later says whether somebody is not due yet. */
static bool
start_missing(int n, bool *later)
{
	*later = false;
	for (struct child *c = children; c < children + n; c++) {
		if (!c->pid && c->due_us <= kith_now_us() && start(c))
			return true;
		*later |= !c->pid;
	}
	return false;
}

/* Whoever has ended; with flags 0 waits until all have. */
static void
reap(int n, int flags)
{
	int status;
	pid_t pid;

	while ((pid = (pid_t)TEMP_FAILURE_RETRY(waitpid(-1, &status, flags))) > 0)
		for (struct child *c = children; c < children + n; c++)
			if (c->pid == pid)
				ended(c, status);
}

/* They finish the request in hand. */
static void
end_all(int n)
{
	for (struct child *c = children; c < children + n; c++)
		if (c->pid)
			kill(c->pid, SIGTERM);
	reap(n, 0);
}

bool
kith_prefork(int n)
{
	static const struct timespec moment = { .tv_nsec = PAUSE_US * 1000 };
	sigset_t awaited, before;
	bool later;
	int signal_number;

	if (n == 1)
		return true;
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGCHLD);
	/* Ignored by whoever started us, it would never come. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &awaited, &before);
	do {
		if (start_missing(n, &later)) {
			sigprocmask(SIG_SETMASK, &before, NULL);
			return true;
		}
		signal_number = sigtimedwait(&awaited, NULL, later ? &moment : NULL);
		reap(n, WNOHANG);
	} while (signal_number != SIGTERM && signal_number != SIGINT);
	end_all(n);
	return false;
}
