/*
 * storage - files: recordings, documents, pictures.
 *
 * Rows are PostgreSQL's business (sql/290_storage.sql and what follows), bytes
 * are nginx's on the way out and lib/store.h's on the way in.  The only program
 * that writes files, and the only one that knows the secret of signed URLs: so
 * a process tree of its own.
 */
#include "storage-program.h"

#include "kith.h"

/* Most of their time is spent waiting for the disk. */
#define PROCESSES 4

/*
 * The first that fits path and method counts.  So a route with a word of its
 * own comes before those with a bucket at that place.
 */
static const struct kith_route routes[] = {
	{ 0 },
};

const struct kith_resource kith_storage = {
	.name = "storage",
	.mount = "/storage/v1",
	.streams = true,
	.routes = routes,
	.login = "kith_storage",
	.write_error = storage_write_error,
	.processes = PROCESSES,
};
