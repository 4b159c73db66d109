/*
 * Goal: who is called is there, who is not is not, whatever becomes of a
 * process in between; and when the first has ended nobody is left.
 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "listener.h"
#include "log.h"
#include "supervisor.h"

#define N 3
#define LOG_MAX 4096
#define PATIENCE_MS 10000
#define MS INT64_C(1000)
#define SECOND (1000 * MS)

/* Two programs in a directory of their own, and what they tell. */
static char dir[] = "/tmp/kith-unit-XXXXXX";
static struct kith_supervised programs[] = { { .name = "kith-one" }, { .name = "kith-two" } };
static const struct kith_supervision never = { 0 };
static int told[2];	/* pipe: a child tells its pid, and minus its pid when it ends */
static int logged[2];	/* pipe: stderr of all of them */

static volatile sig_atomic_t stopping;

static void
stop(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

static void
tell(pid_t pid)
{
	(void)!write(told[1], &pid, sizeof(pid));
}

/*
 * Answers each connection with its pid: at once when it sent 'p', after which
 * a request that takes long ('l') goes on until the next byte comes.  One that
 * has only just begun ('j') is as long, but the first does not know of it yet.
 * Whoever ends takes a moment for it.
 */
static _Noreturn void
child(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	struct sigaction action = { .sa_handler = stop };
	pid_t pid = getpid();
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGTERM, &action, NULL);
	tell(pid);
	while (!stopping) {
		char what = 0;
		int fd;

		if (ppoll(&p, 1, NULL, &none) <= 0)
			continue;
		fd = accept(listener, NULL, NULL);
		if (fd == -1)
			continue;
		(void)!read(fd, &what, 1);
		if (what != 'j')
			kith_supervisor_busy();
		(void)!write(fd, &pid, sizeof(pid));
		if (what != 'p')
			(void)!read(fd, &what, 1);
		close(fd);
		kith_supervisor_idle();
	}
	usleep(50000);
	tell(-pid);
	_exit(0);
}

static pid_t
start(int n, const struct kith_supervision *how)
{
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(logged), 0);
	for (int i = 0; i < 2; i++) {
		programs[i].processes = n;
		programs[i].listener = kith_listener_open(dir, programs[i].name);
		assert_true(programs[i].listener >= 0);
	}
	pid = fork();
	if (!pid) {
		int chosen;

		/* A test that fails leaves nobody behind, for whom prove would wait. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(logged[1], STDERR_FILENO);
		kith_log_init("unit");
		chosen = kith_supervise(programs, 2, how);
		if (chosen >= 0)
			child(programs[chosen].listener);
		_exit(0);
	}
	close(told[1]);
	close(logged[1]);
	for (int i = 0; i < 2; i++)
		close(programs[i].listener);
	return pid;
}

/* Sends one byte to the program; what is to be read its answer from. */
static int
call(int i, char what)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", dir, programs[i].name);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, &what, 1), 1);
	return fd;
}

static pid_t
heard(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	pid_t pid = 0;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	return read(fd, &pid, sizeof(pid)) == sizeof(pid) ? pid : 0;
}

/* Who answers. */
static pid_t
ask(int i)
{
	int fd = call(i, 'p');
	pid_t pid = heard(fd);

	close(fd);
	return pid;
}

/* What a child tells next; 0 when nobody is left who could. */
static pid_t
next(void)
{
	return heard(told[0]);
}

/* Whatever others tell before: on a busy machine one may be put to sleep before it got to its first request. */
static void
wait_until_told(pid_t what)
{
	pid_t told_now;

	do {
		told_now = next();
		assert_int_not_equal(told_now, 0);
	} while (told_now != what);
}

/* Nobody has told anything. */
static bool
quiet(void)
{
	struct pollfd p = { .fd = told[0], .events = POLLIN };

	return !poll(&p, 1, 0);
}

/* Ends the first, and then there is nobody. */
static void
end(pid_t parent, int signal_number)
{
	int status;

	kill(parent, signal_number);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	while (next())
		;
	close(told[0]);
	close(logged[0]);
}

/* What was logged since the last time. */
static void
read_log(char all[LOG_MAX])
{
	ssize_t n = read(logged[0], all, LOG_MAX - 1);

	all[n > 0 ? n : 0] = '\0';
}

static void
said(const char *text)
{
	char all[LOG_MAX];

	read_log(all);
	assert_non_null(strstr(all, text));
}

static void
woken(void **state)
{
	pid_t parent = start(N, &never), pids[N], answers;

	(void)state;
	assert_true(quiet());
	answers = ask(0);
	for (int i = 0; i < N; i++)
		pids[i] = next();
	assert_true(answers == pids[0] || answers == pids[1] || answers == pids[2]);
	/* Nobody but them: whoever has woken the second has not woken the first again. */
	answers = ask(1);
	pids[0] = next();
	for (int i = 1; i < N; i++)
		pids[i] = next();
	assert_true(answers == pids[0] || answers == pids[1] || answers == pids[2]);
	assert_true(quiet());
	end(parent, SIGTERM);
}

static void
replaced(void **state)
{
	static const struct kith_supervision all_young = { .young_us = 60 * SECOND };
	pid_t parent = start(N, &all_young), pids[N], other;
	char text[120];
	int64_t killed;

	(void)state;
	ask(0);
	for (int i = 0; i < N; i++)
		pids[i] = next();
	killed = kith_now_us();
	kill(pids[1], SIGKILL);
	other = next();
	assert_true(kith_now_us() - killed >= 90 * MS);
	for (int i = 0; i < N; i++)
		assert_int_not_equal(pids[i], other);
	snprintf(text, sizeof(text), "\"message\":\"process %d of kith-one ended by signal 9 (Killed)\"}\n", (int)pids[1]);
	said(text);
	kill(pids[0], SIGTERM);
	assert_int_equal(next(), -pids[0]);
	assert_true(next() > 0);
	snprintf(text, sizeof(text), "\"message\":\"process %d of kith-one ended with status 0\"}\n", (int)pids[0]);
	said(text);
	end(parent, SIGTERM);
}

static void
replaced_at_once(void **state)
{
	pid_t parent = start(1, &never), pid;
	int64_t killed, took = INT64_MAX;

	(void)state;
	ask(0);
	pid = next();
	/* On a busy machine anything may take a while, but not every time. */
	for (int tries = 0; took >= 90 * MS && tries < 5; tries++) {
		killed = kith_now_us();
		kill(pid, SIGKILL);
		pid = next();
		took = kith_now_us() - killed;
	}
	assert_true(took < 90 * MS);
	end(parent, SIGINT);
}

static void
told_to_stop(void **state)
{
	pid_t parent = start(N, &never), pids[N];
	int status;

	(void)state;
	ask(0);
	for (int i = 0; i < N; i++)
		pids[i] = next();
	kill(parent, SIGTERM);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	for (int i = 0; i < N; i++) {
		assert_true(next() < 0);
		assert_int_equal(kill(pids[i], 0), -1);
		assert_int_equal(errno, ESRCH);
	}
	assert_int_equal(next(), 0);
	close(told[0]);
	close(logged[0]);
}

static void
parent_killed(void **state)
{
	pid_t parent = start(N, &never);
	int status;

	(void)state;
	ask(0);
	for (int i = 0; i < N; i++)
		next();
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	for (int i = 0; i < N; i++)
		assert_true(next() < 0);
	assert_int_equal(next(), 0);
	close(told[0]);
	close(logged[0]);
}

static void
put_to_sleep(void **state)
{
	static const struct kith_supervision soon = { .idle_us = 50 * MS };
	pid_t parent = start(2, &soon), pids[2];

	(void)state;
	for (int round = 0; round < 3; round++) {
		pid_t first, second;

		ask(1);
		pids[0] = next();
		pids[1] = next();
		assert_true(pids[0] > 0 && pids[1] > 0);
		first = next();
		second = next();
		assert_true((first == -pids[0] && second == -pids[1]) || (first == -pids[1] && second == -pids[0]));
	}
	said("\"message\":\"kith-two goes to sleep: no request for 0 s\"}\n");
	end(parent, SIGTERM);
}

/* Calls that come just when a program is put to sleep, over and over. */
static void
storm(void **state)
{
	static const struct kith_supervision at_once = { .idle_us = 1 * MS };
	pid_t parent = start(2, &at_once), last = 0;
	int changes = 0;

	(void)state;
	while (changes < 20) {
		int64_t until = kith_now_us() + rand() % 2000;
		pid_t pid = ask(0);

		assert_true(pid > 0);
		changes += pid != last;
		last = pid;
		/* Or the pipe is full some day. */
		while (!quiet())
			next();
		while (kith_now_us() < until)
			;
	}
	end(parent, SIGTERM);
}

static void
busy(void **state)
{
	static const struct kith_supervision soon = { .idle_us = 200 * MS };
	pid_t parent = start(2, &soon), pid;
	int fd = call(0, 'l');
	char all[LOG_MAX];

	(void)state;
	pid = heard(fd);
	read_log(all);
	/* When one that was called later has been put to sleep, so would it have been. */
	wait_until_told(-ask(1));
	read_log(all);
	assert_non_null(strstr(all, "kith-two goes to sleep"));
	assert_null(strstr(all, "kith-one goes to sleep"));
	assert_int_equal(write(fd, "", 1), 1);
	assert_int_equal(heard(fd), 0);
	wait_until_told(-pid);
	close(fd);
	end(parent, SIGTERM);
}

static void
leaving(void **state)
{
	static const struct kith_supervision soon = { .idle_us = 20 * MS };
	pid_t parent = start(1, &soon), first, second;
	int fd = call(0, 'j');

	(void)state;
	first = heard(fd);
	/* The queue has nobody but the one who leaves, until another comes. */
	second = ask(0);
	assert_int_not_equal(second, first);
	assert_int_equal(write(fd, "", 1), 1);
	assert_int_equal(heard(fd), 0);
	wait_until_told(-first);
	close(fd);
	end(parent, SIGTERM);
}

static void
stuck(void **state)
{
	static const struct kith_supervision strict = { .stuck_us = 200 * MS };
	pid_t parent = start(1, &strict), first;
	int fd = call(0, 'l');
	char text[120];

	(void)state;
	first = heard(fd);
	assert_int_equal(next(), first);
	assert_int_equal(heard(fd), 0);
	close(fd);
	assert_true(next() > 0);
	snprintf(text, sizeof(text), "\"message\":\"process %d of kith-one is stuck in a request: killed\"}\n", (int)first);
	said(text);
	assert_true(ask(0) > 0);
	end(parent, SIGTERM);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a program has no process until it is called, and the call is answered", woken),
		unit_that("a child that ends is replaced, and the log says why it did", replaced),
		unit_that("one that was not young is replaced at once", replaced_at_once),
		unit_that("SIGTERM ends all, each after the request in hand", told_to_stop),
		unit_that("no child outlives a parent that is killed", parent_killed),
		unit_that("a program that nobody calls any more is put to sleep, and wakes up again", put_to_sleep),
		unit_that("a call that comes just then is answered", storm),
		unit_that("whoever is in a request is not put to sleep", busy),
		unit_that("whoever leaves finishes, and others answer meanwhile", leaving),
		unit_that("whoever is stuck in a request is killed and replaced", stuck),
	};
	char path[64];
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = unit_run(tests);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s.sock", dir, programs[i].name);
		unlink(path);
	}
	rmdir(dir);
	return rc;
}
