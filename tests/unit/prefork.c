/* Goal: as many processes as asked for, whatever becomes of one of them, and none when the first has ended. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "prefork.h"

#define N 3
#define PATIENCE_MS 10000

static int told[2];	/* pipe: children tell their pid, and minus their pid when they end */
static int logged[2];	/* pipe: stderr of all of them */

/* Serves until SIGTERM, after which the request in hand takes a moment. */
static _Noreturn void
child(void)
{
	pid_t pid = getpid();
	sigset_t term;
	int got;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	if (write(told[1], &pid, sizeof(pid)) == sizeof(pid) && !sigwait(&term, &got)) {
		usleep(50000);
		pid = -pid;
		(void)!write(told[1], &pid, sizeof(pid));
	}
	_exit(0);
}

static pid_t
start(int n)
{
	sigset_t blocked;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(logged), 0);
	pid = fork();
	if (pid) {
		close(told[1]);
		close(logged[1]);
		return pid;
	}
	dup2(logged[1], STDERR_FILENO);
	kith_log_init("unit");
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	if (kith_prefork(n))
		child();
	_exit(0);
}

static void
end(void)
{
	close(told[0]);
	close(logged[0]);
}

/* What a child tells next; 0 when nobody is left who could. */
static pid_t
next(void)
{
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	pid_t pid = 0;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	return read(told[0], &pid, sizeof(pid)) == sizeof(pid) ? pid : 0;
}

static void
ended_well(pid_t parent)
{
	int status;

	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What was logged so far holds text. */
static void
said(const char *text)
{
	char all[4096];
	ssize_t n = read(logged[0], all, sizeof(all) - 1);

	all[n > 0 ? n : 0] = '\0';
	assert_non_null(strstr(all, text));
}

static void
replaced(void **state)
{
	pid_t parent = start(N), pids[N], other;
	char text[80];
	int64_t killed;

	(void)state;
	for (int i = 0; i < N; i++)
		pids[i] = next();
	killed = kith_now_us();
	kill(pids[1], SIGKILL);
	other = next();
	assert_true(kith_now_us() - killed >= 90000);
	for (int i = 0; i < N; i++)
		assert_int_not_equal(pids[i], other);
	snprintf(text, sizeof(text), "\"message\":\"process %d ended by signal 9 (Killed)\"}\n", (int)pids[1]);
	said(text);
	kill(pids[0], SIGTERM);
	assert_int_equal(next(), -pids[0]);
	assert_true(next() > 0);
	snprintf(text, sizeof(text), "\"message\":\"process %d ended with status 0\"}\n", (int)pids[0]);
	said(text);
	kill(parent, SIGTERM);
	ended_well(parent);
	end();
}

static void
replaced_at_once(void **state)
{
	pid_t parent = start(2), pid = next();
	int64_t killed, took = INT64_MAX;

	(void)state;
	next();
	/* On a busy machine anything may take a while, but not every time. */
	for (int tries = 0; took >= 90000 && tries < 5; tries++) {
		usleep(1100000);
		killed = kith_now_us();
		kill(pid, SIGKILL);
		pid = next();
		took = kith_now_us() - killed;
	}
	assert_true(took < 90000);
	kill(parent, SIGINT);
	ended_well(parent);
	end();
}

static void
told_to_stop(void **state)
{
	pid_t parent = start(N), pids[N];

	(void)state;
	for (int i = 0; i < N; i++)
		pids[i] = next();
	kill(parent, SIGTERM);
	ended_well(parent);
	for (int i = 0; i < N; i++) {
		assert_true(next() < 0);
		assert_int_equal(kill(pids[i], 0), -1);
		assert_int_equal(errno, ESRCH);
	}
	assert_int_equal(next(), 0);
	end();
}

static void
parent_killed(void **state)
{
	pid_t parent = start(N);
	int status;

	(void)state;
	for (int i = 0; i < N; i++)
		next();
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	for (int i = 0; i < N; i++)
		assert_true(next() < 0);
	assert_int_equal(next(), 0);
	end();
}

static void
alone(void **state)
{
	pid_t only = start(1);

	(void)state;
	assert_int_equal(next(), only);
	kill(only, SIGTERM);
	ended_well(only);
	end();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a child that ends is replaced, and the log says why it did", replaced),
		unit_that("one that lived for a second is replaced at once", replaced_at_once),
		unit_that("SIGTERM ends all, each after the request in hand", told_to_stop),
		unit_that("no child outlives a parent that is killed", parent_killed),
		unit_that("one process is the caller itself", alone),
	};

	return unit_run(tests);
}
