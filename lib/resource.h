/*
 * What a resource program is: a table of what it serves.
 */
#ifndef KITH_RESOURCE_H
#define KITH_RESOURCE_H

#include <stdbool.h>

#include "request.h"

#define KITH_RESOURCE_MAX 16

struct kith_resource {
	const char *name;			/* the program is kith-<name> */
	const char *tables[KITH_RESOURCE_MAX];	/* names below /rest/v1/, in any exposed schema */
	const char *functions[KITH_RESOURCE_MAX];	/* names below /rest/v1/rpc/ */
	bool fallback;				/* serves every name that no other program does */
	int processes;				/* unless KITH_PROCESSES is set; 0: two */
};

/*
 * The main of every resource program.  `--routes` prints what the program
 * serves, `--help` what it is; otherwise serves FastCGI on fd 0 until SIGTERM.
 * Returns the exit status.
 */
int kith_serve(const struct kith_resource *resource, int argc, char **argv);

#endif
