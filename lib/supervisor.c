#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* Before somebody young is replaced, or a fork is tried again. */
#define PAUSE_US INT64_C(100000)

/* Who may be stuck is looked for this often within the limit. */
#define LOOKS 4

/*
 * What a child says of itself, in memory that it shares with the parent: when
 * its request began, or minus when its last one ended.  A cache line each.
 */
struct mark {
	_Alignas(64) _Atomic int64_t us;
};

struct process {
	struct mark *mark;
	bool wanted;		/* to be there; otherwise it is on its way out, or not there */
	pid_t pid;		/* 0: not there */
	int64_t started_us;
	int64_t due_us;		/* not to be started before */
};

/* Twice as many processes as it has: while some still finish a request, others may be wanted again. */
struct program {
	const struct kith_supervised *is;
	struct process *processes;
	int slots;
	bool awake;
};

static const struct kith_supervision *rules;
static struct program *programs;
static int nprograms;
static struct pollfd *watched;	/* one of each program, and one of signals behind them */
static int64_t now_us;
static int64_t look_us;		/* when to look again, whatever happens */

static struct mark alone;
static struct mark *mine = &alone;

void
kith_supervisor_busy(void)
{
	atomic_store_explicit(&mine->us, kith_now_us(), memory_order_relaxed);
}

void
kith_supervisor_idle(void)
{
	atomic_store_explicit(&mine->us, -kith_now_us(), memory_order_relaxed);
}

#define each_program(p) (struct program *p = programs; p < programs + nprograms; p++)
#define each_process(c, p) (struct process *c = (p)->processes; c < (p)->processes + (p)->slots; c++)

void
kith_supervisor_prepare(void)
{
	sigset_t blocked;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			(void)!open("/dev/null", O_RDWR);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static int
set_up(const struct kith_supervised *what, int n)
{
	size_t slots = 0;
	struct process *processes;
	struct mark *marks;

	for (int i = 0; i < n; i++)
		slots += 2 * (size_t)what[i].processes;
	programs = calloc((size_t)n, sizeof(*programs));
	watched = calloc((size_t)n + 1, sizeof(*watched));
	processes = calloc(slots, sizeof(*processes));
	marks = mmap(NULL, slots * sizeof(*marks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!programs || !watched || !processes || marks == MAP_FAILED) {
		kith_log(KITH_LOG_ERROR, "no memory for %zu processes", slots);
		return -1;
	}
	for (size_t i = 0; i < slots; i++)
		processes[i].mark = &marks[i];
	nprograms = n;
	for (int i = 0; i < n; i++) {
		programs[i] = (struct program){ .is = &what[i], .processes = processes, .slots = 2 * what[i].processes };
		processes += programs[i].slots;
	}
	return 0;
}

static void
look_again(int64_t us)
{
	if (us < look_us)
		look_us = us;
}

static void
wake(struct program *p)
{
	int missing = p->is->processes;

	kith_log(KITH_LOG_INFO, "%s wakes up: %d processes", p->is->name, missing);
	p->awake = true;
	for each_process(c, p) {
		if (!missing || c->pid)
			continue;
		c->wanted = true;
		c->due_us = now_us;
		missing--;
	}
}

/* Those who are in a request finish it; who comes from now on is seen by us. */
static void
put_to_sleep(struct program *p)
{
	kith_log(KITH_LOG_INFO, "%s goes to sleep: no request for %d s", p->is->name, (int)(rules->idle_us / 1000000));
	p->awake = false;
	for each_process(c, p) {
		c->wanted = false;
		if (c->pid)
			kill(c->pid, SIGTERM);
	}
}

/* When its last request ended, or the last of its processes began; now while there is a request, or somebody leaves. */
static int64_t
used_us(const struct program *p)
{
	int64_t used = 0;

	for each_process(c, p) {
		int64_t mark = atomic_load_explicit(&c->mark->us, memory_order_relaxed);

		if (!c->pid)
			continue;
		if (mark > 0 || !c->wanted)
			return now_us;
		if (-mark > used)
			used = -mark;
	}
	return used ? used : now_us;
}

static void
watch_idle(struct program *p)
{
	int64_t due;

	if (!p->awake || !rules->idle_us)
		return;
	due = used_us(p) + rules->idle_us;
	if (due <= now_us)
		put_to_sleep(p);
	else
		look_again(due);
}

/* A request has timeouts everywhere, so that whoever overruns them all will never come back. */
static void
watch_stuck(struct program *p)
{
	if (!rules->stuck_us)
		return;
	for each_process(c, p) {
		int64_t mark = atomic_load_explicit(&c->mark->us, memory_order_relaxed);

		if (!c->pid)
			continue;
		look_again(now_us + rules->stuck_us / LOOKS);
		if (mark <= 0 || now_us - mark < rules->stuck_us)
			continue;
		kith_log(KITH_LOG_ERROR, "process %d of %s is stuck in a request: killed", (int)c->pid, p->is->name);
		atomic_store(&c->mark->us, -now_us);
		kill(c->pid, SIGKILL);
	}
}

/* True in the child. */
static bool
start(struct process *c)
{
	pid_t parent = getpid();

	c->started_us = now_us;
	atomic_store(&c->mark->us, -now_us);
	c->pid = fork();
	if (c->pid == -1) {
		kith_log(KITH_LOG_ERROR, "could not start a process: %s", strerror(errno));
		c->pid = 0;
		c->due_us = now_us + PAUSE_US;
	} else if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		/* The parent may have gone before that. */
		if (getppid() != parent)
			raise(SIGTERM);
		mine = c->mark;
		return true;
	}
	return false;
}

/* Starts whoever is due.  True in a child. */
static bool
start_missing(struct program *p)
{
	for each_process(c, p) {
		if (!c->wanted || c->pid)
			continue;
		if (c->due_us <= now_us && start(c))
			return true;
		if (!c->pid)
			look_again(c->due_us);
	}
	return false;
}

static void
ended(const struct program *p, struct process *c, int status)
{
	if (WIFSIGNALED(status))
		kith_log(KITH_LOG_ERROR, "process %d of %s ended by signal %d (%s)", (int)c->pid, p->is->name,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		kith_log(WEXITSTATUS(status) ? KITH_LOG_ERROR : c->wanted ? KITH_LOG_INFO : KITH_LOG_DEBUG,
		    "process %d of %s ended with status %d", (int)c->pid, p->is->name, WEXITSTATUS(status));
	c->pid = 0;
	c->due_us = now_us - c->started_us < rules->young_us ? now_us + PAUSE_US : now_us;
}

/* Whoever has ended; with flags 0 waits until all have. */
static void
reap(int flags)
{
	int status;
	pid_t pid;

	while ((pid = (pid_t)TEMP_FAILURE_RETRY(waitpid(-1, &status, flags))) > 0)
		for each_program(p)
			for each_process(c, p)
				if (c->pid == pid)
					ended(p, c, status);
}

/* They finish the request in hand. */
static void
end_all(void)
{
	for each_program(p) {
		for each_process(c, p) {
			c->wanted = false;
			if (c->pid)
				kill(c->pid, SIGTERM);
		}
	}
	reap(0);
}

/* True when we are to end. */
static bool
take_signals(int signals)
{
	struct signalfd_siginfo info;
	bool end = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		end |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return end;
}

/* Waits for a signal, a connection for somebody who sleeps, or look_us.  True when we are to end. */
static bool
wait_for_news(int signals)
{
	int timeout = -1, ready;

	for (int i = 0; i < nprograms; i++)
		watched[i] = (struct pollfd){ .fd = programs[i].awake ? -1 : programs[i].is->listener, .events = POLLIN };
	watched[nprograms] = (struct pollfd){ .fd = signals, .events = POLLIN };
	if (look_us < INT64_MAX)
		timeout = look_us > now_us ? (int)((look_us - now_us + 999) / 1000) : 0;
	ready = poll(watched, (nfds_t)nprograms + 1, timeout);
	now_us = kith_now_us();
	if (ready <= 0)
		return false;
	for (int i = 0; i < nprograms; i++)
		if (watched[i].revents)
			wake(&programs[i]);
	return watched[nprograms].revents && take_signals(signals);
}

/* The program of the child in which this returns; -1 in the parent, when it is to end. */
static int
keep(int signals)
{
	now_us = kith_now_us();
	do {
		look_us = INT64_MAX;
		reap(WNOHANG);
		for each_program(p) {
			if (start_missing(p))
				return (int)(p - programs);
			watch_stuck(p);
			watch_idle(p);
		}
	} while (!wait_for_news(signals));
	return -1;
}

int
kith_supervise(const struct kith_supervised *what, int n, const struct kith_supervision *how)
{
	sigset_t awaited, child;
	int signals, chosen;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	awaited = child;
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGINT);
	/* Ignored by whoever started us, it would never come. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	signals = signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK);
	rules = how;
	if (signals == -1 || set_up(what, n))
		return -1;
	chosen = keep(signals);
	close(signals);
	if (chosen == -1) {
		end_all();
		return -1;
	}
	sigprocmask(SIG_UNBLOCK, &child, NULL);
	for (int i = 0; i < n; i++)
		if (i != chosen)
			close(what[i].listener);
	return chosen;
}
