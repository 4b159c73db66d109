/*
 * What a program is: a table of what it serves.
 */
#ifndef KITH_RESOURCE_H
#define KITH_RESOURCE_H

#include <stdbool.h>

#include "request.h"

#define KITH_RESOURCE_MAX 16

/* Where supabase.functions.invoke(NAME) asks: a mount that programs share, each path being one program's. */
#define KITH_FUNCTIONS "/functions/v1"

struct kith_hook;

/* A URL outside the REST dialect. */
struct kith_route {
	unsigned methods;	/* KITH_GET | KITH_POST ...; HEAD goes with GET */
	const char *path;	/* below the resource's mount: "/token"; a "*" at the end takes any rest, slashes too */
	/* Fills req->reply, or returns -1 with the error set. */
	int (*handle)(struct kith_request *req);
};

struct kith_resource {
	const char *name;			/* the program is kith-<name> */
	const char *tables[KITH_RESOURCE_MAX];	/* names below /rest/v1/, in any exposed schema */
	const char *functions[KITH_RESOURCE_MAX];	/* names below /rest/v1/rpc/ */
	const struct kith_hook *hooks;		/* functions that need C before they run; ends with a null name */
	const char *mount;			/* where its routes start: "/auth/v1", which is its own, or KITH_FUNCTIONS */
	bool beside;				/* shares the mount of another: nginx's NAME-map.conf says what it gets */
	const struct kith_route *routes;	/* the first that fits counts; ends with a null path */
	bool streams;				/* the handlers of its routes read the body: kith_request_read() */
	const char *login;			/* of kith_db_call(); NULL when it makes none */
	int (*init)(void);			/* at start, in the parent; -1 after a line on stderr; NULL: nothing to do */
	void (*write_error)(struct kith_request *req);	/* see struct kith_request; NULL: as PostgREST does */
	bool fallback;				/* serves every name that no other program does */
	bool no_cors;				/* no page asks it: no CORS headers, and OPTIONS is refused as any other method */
	int processes;				/* unless KITH_PROCESSES is set; 0: two */
	int nice;				/* how far its processes stand back behind others, as nice(2) counts it */
};

/*
 * The main of every program, given the resources that are linked into it,
 * which end with NULL.  Returns the exit status.
 */
int kith_serve(const struct kith_resource *const *resources, int argc, char **argv);

#endif
