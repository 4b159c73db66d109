#include "resource.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth.h"
#include "db.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "settings.h"
#include "supervisor.h"

#define SECOND INT64_C(1000000)

/* Processes of a program, unless its declaration or KITH_PROCESSES says another number. */
#define PROCESSES 2

/* Beside the statement's own timeout: connecting, the catalog, an answer that is taken slowly. */
#define MARGIN_S 30

/* The executable, with all that is linked into it. */
static struct kith_supervised *programs;
static int nprograms;
static bool related;	/* the executable is named after the first one */

static const char *
own_name(void)
{
	return related ? programs[0].name : "kith-programs";
}

static void
print_names(int i, const char *kind, const char *const *list)
{
	for (int n = 0; n < KITH_RESOURCE_MAX && list[n]; n++)
		printf("%s %s %s\n", programs[i].name, kind, list[n]);
}

/* A mount is one program's; below KITH_FUNCTIONS each path has its own. */
static void
print_mount(int i, const struct kith_resource *resource)
{
	if (!resource->mount)
		return;
	if (strcmp(resource->mount, KITH_FUNCTIONS)) {
		printf("%s %s %s\n", programs[i].name, resource->beside ? "beside" : "mount", resource->mount);
		return;
	}
	for (const struct kith_route *r = resource->routes; r->path; r++)
		printf("%s path %s%s\n", programs[i].name, resource->mount, r->path);
}

static int
print_routes(const struct kith_resource *const *resources)
{
	for (int i = 0; i < nprograms; i++) {
		print_names(i, "table", resources[i]->tables);
		print_names(i, "function", resources[i]->functions);
		print_mount(i, resources[i]);
		if (resources[i]->fallback)
			printf("%s fallback\n", programs[i].name);
	}
	return fflush(stdout) ? EX_IOERR : EX_OK;
}

static void
print_usage(FILE *to)
{
	fprintf(to, "usage: %s [--listen DIR | --routes | --help]\n", own_name());
}

static int
print_help(void)
{
	print_usage(stdout);
	printf("\nServes the API by FastCGI, set up by the KITH_* variables of the environment,\n"
	       "until SIGTERM.  --listen makes these sockets in DIR%s:\n\n",
	    nprograms == 1 ? "; without it the\nlistening socket is standard input" : "");
	for (int i = 0; i < nprograms; i++)
		printf("  %s.sock\n", programs[i].name);
	puts("\n--routes prints which program serves which tables, functions and paths.");
	return fflush(stdout) ? EX_IOERR : EX_OK;
}

static int
processes(const struct kith_resource *resource)
{
	if (kith_settings.processes)
		return (int)kith_settings.processes;
	return resource->processes ? resource->processes : PROCESSES;
}

static void
close_sockets(const char *dir, int n)
{
	while (dir && n--)
		kith_listener_close(dir, programs[n].name, programs[n].listener);
}

/* One socket for each program in dir; without a dir the one that we were given. */
static int
open_sockets(const char *dir)
{
	if (!dir && (nprograms > 1 || !kith_listener_check(STDIN_FILENO))) {
		fprintf(stderr, nprograms > 1 ? "%s: say where to make sockets: --listen DIR\n" :
		    "%s: standard input is no listening socket; or say where to make one: --listen DIR\n", own_name());
		return -1;
	}
	for (int i = 0; i < nprograms; i++) {
		programs[i].listener = dir ? kith_listener_open(dir, programs[i].name) : STDIN_FILENO;
		if (programs[i].listener == -1) {
			close_sockets(dir, i);
			return -1;
		}
		/* Siblings share the socket: whoever comes second must not sleep in accept. */
		fcntl(programs[i].listener, F_SETFL, fcntl(programs[i].listener, F_GETFL) | O_NONBLOCK);
	}
	return 0;
}

/* For ps and top.  The arguments lie behind each other, and what is behind them is the environment. */
static void
rename_process(const char *name, int argc, char **argv)
{
	size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);

	prctl(PR_SET_NAME, name);
	memset(argv[0], 0, room);
	memcpy(argv[0], name, strlen(name) < room ? strlen(name) : room);
}

/*
 * Lets others go first.  Where the kernel schedules sessions as groups
 * (autogroup, sched(7)), nice counts within a session only: so this one becomes
 * a session, and the session stands back too.
 */
static void
stand_back(int steps)
{
	int fd;

	if (nice(steps) == -1)
		kith_log(KITH_LOG_WARNING, "cannot stand back: %s", strerror(errno));
	setsid();
	fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return;
	dprintf(fd, "%d", steps);
	close(fd);
}

static int
serve(const struct kith_resource *resource, const struct kith_supervised *program, int argc, char **argv)
{
	rename_process(program->name, argc, argv);
	kith_log_init(program->name);
	if (resource->nice)
		stand_back(resource->nice);
	/* Keys may have been withdrawn since the parent read them. */
	if (kith_auth_init())
		return EX_CONFIG;
	kith_db_login(resource->login);
	kith_loop(resource, program->listener);
	return EX_OK;
}

static int
run(const struct kith_resource *const *resources, const char *dir, int argc, char **argv)
{
	struct kith_supervision how;
	long timeout_ms;
	int chosen;

	kith_supervisor_prepare();
	if (kith_settings_load())
		return EX_CONFIG;
	kith_log_init(own_name());
	if (kith_loop_init())
		return EX_OSERR;
	/* In the parent, so that the keys are in memory once. */
	if (kith_auth_init())
		return EX_CONFIG;
	for (int i = 0; i < nprograms; i++) {
		programs[i].processes = processes(resources[i]);
		if (resources[i]->init && resources[i]->init())
			return EX_CONFIG;
	}
	if (open_sockets(dir))
		return EX_USAGE;
	if (!geteuid())
		kith_log(KITH_LOG_WARNING, "running as root, which nothing here needs");
	timeout_ms = kith_settings.statement_timeout > kith_settings.statement_timeout_anon ?
	    kith_settings.statement_timeout : kith_settings.statement_timeout_anon;
	how.idle_us = kith_settings.idle_stop * SECOND;
	how.stuck_us = timeout_ms * 1000 + MARGIN_S * SECOND;
	how.young_us = SECOND;
	chosen = kith_supervise(programs, nprograms, &how);
	if (chosen >= 0)
		return serve(resources[chosen], &programs[chosen], argc, argv);
	close_sockets(dir, nprograms);
	return EX_OK;
}

/* A part of the first one, or what has come along with it for a path that programs share. */
static bool
belongs(const struct kith_resource *first, const struct kith_resource *second)
{
	return second->beside || (first->mount && second->mount && !strcmp(second->mount, KITH_FUNCTIONS));
}

static int
name_programs(const struct kith_resource *const *resources)
{
	int n = 0;

	while (resources[n])
		n++;
	programs = calloc((size_t)n, sizeof(*programs));
	related = n == 1 || belongs(resources[0], resources[1]);
	for (; programs && nprograms < n; nprograms++) {
		char *name;

		if (asprintf(&name, "kith-%s", resources[nprograms]->name) == -1)
			return -1;
		programs[nprograms].name = name;
	}
	return programs ? 0 : -1;
}

int
kith_serve(const struct kith_resource *const *resources, int argc, char **argv)
{
	if (name_programs(resources))
		return EX_OSERR;
	if (argc == 1)
		return run(resources, NULL, argc, argv);
	if (argc == 3 && !strcmp(argv[1], "--listen"))
		return run(resources, argv[2], argc, argv);
	if (argc == 2 && !strcmp(argv[1], "--routes"))
		return print_routes(resources);
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return print_help();
	print_usage(stderr);
	return EX_USAGE;
}
