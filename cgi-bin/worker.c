/*
 * worker - what happens outside, or takes long.
 *
 * Drains the queue of kith.jobs (sql/072_jobs.sql) and the scheduled mails
 * (sql/150_schedules.sql), and sweeps what nobody needs any more, rows and
 * files.  It serves nobody, and is the only program that calls out by itself.
 *
 * Done once: what is to be done is committed before it is claimed, claimed for
 * a time before it is done, and noted when it is.  Whoever is killed in between
 * leaves a claim that runs out, and the next one does it again under the same
 * key, by which Resend knows a repeated mail.  A mail server knows none: a mail
 * goes out twice when the worker dies, or the connection breaks, after the
 * server took it and before that is committed here; both have the same
 * Message-ID.
 */
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "settings.h"
#include "supervisor.h"

#define NAME "kith-worker"

/* Whoever is in one job for longer has met what no timeout covers. */
#define STUCK_US (300 * SECOND_US)

/* News come by NOTIFY; this is for those that do not. */
#define LOOK_US (60 * SECOND_US)
#define SWEEP_US (3600 * SECOND_US)

static volatile sig_atomic_t told_to_stop;

static void
stop(int signal)
{
	(void)signal;
	told_to_stop = 1;
}

/* Signals are blocked but while we wait, so that no job is cut short. */
static bool
stopping(void)
{
	sigset_t pending;

	sigpending(&pending);
	return told_to_stop || sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT);
}

static void
sweep(void)
{
	static int64_t next_us;
	struct kith_arena *a;
	const PGresult *swept;

	if (kith_now_us() < next_us)
		return;
	a = kith_arena_new(0);
	swept = worker_db_run(a, "select kith.sweep(), kith.sweep_webhook_events()", NULL, 0);
	/* Again in a minute when the database is away. */
	next_us = kith_now_us() + (swept ? SWEEP_US : LOOK_US);
	kith_arena_free(a);
}

static void
work(void)
{
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	while (!stopping()) {
		int64_t until_us = kith_now_us() + LOOK_US, next_us;

		/* However much there is to do: a round that is late looks as if nobody had listened. */
		worker_billing_round();
		/* Quick ones first: somebody sits and waits for the code in a mail. */
		if (worker_jobs_work(WORKER_QUICK) || worker_messages_work() || worker_jobs_work(WORKER_SLOW) ||
		    worker_files_sweep())
			continue;
		sweep();
		if ((next_us = worker_jobs_next_us()) < until_us)
			until_us = next_us;
		if ((next_us = worker_messages_next_us()) < until_us)
			until_us = next_us;
		if ((next_us = worker_files_next_us()) < until_us)
			until_us = next_us;
		worker_db_wait(until_us);
	}
}

static int
run(char *own_name)
{
	struct kith_supervised program = { .name = NAME };
	struct kith_supervision how = { .idle_us = 0, .stuck_us = STUCK_US, .young_us = SECOND_US };

	kith_supervisor_prepare();
	signal(SIGPIPE, SIG_IGN);
#ifndef KITH_TEST
	/* No core file holds a key.  Sanitizers need what this takes away. */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	if (kith_settings_load())
		return EX_CONFIG;
	kith_log_init(NAME);
	if (worker_mail_init() || worker_billing_init())
		return EX_CONFIG;
	/* Always readable: the supervisor, which starts whoever is called, finds the worker called from the start. */
	program.listener = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (program.listener == -1)
		return EX_OSERR;
	if (!geteuid())
		kith_log(KITH_LOG_WARNING, "running as root, which nothing here needs");
	program.processes = (int)kith_settings.worker_processes;
	if (kith_supervise(&program, 1, &how) < 0)
		return EX_OK;
	/* For ps and top: what works is told from its parent, whose name is the path that it was started by. */
	strncpy(own_name, NAME, strlen(own_name));
	kith_log_init(NAME);
	srandom((unsigned)(getpid() ^ kith_clock_us()));
	work();
	return EX_OK;
}

int
main(int argc, char **argv)
{
	if (argc == 1)
		return run(argv[0]);
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		puts("usage: " NAME " [--help]\n\n"
		     "Sends what waits in the database, set up by the KITH_* variables of the\n"
		     "environment, until SIGTERM.");
		return fflush(stdout) ? EX_IOERR : EX_OK;
	}
	fputs("usage: " NAME " [--help]\n", stderr);
	return EX_USAGE;
}
