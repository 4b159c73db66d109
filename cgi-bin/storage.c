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
	{ KITH_POST | KITH_PUT, "/_probe/storage/v1/object/*", storage_may_upload },
	{ KITH_GET | KITH_POST, "/bucket", storage_buckets },
	{ KITH_GET | KITH_POST | KITH_PUT | KITH_DELETE, "/bucket/*", storage_one_bucket },
	{ KITH_POST, "/object/list/*", storage_list },
	{ KITH_POST, "/object/list-v2/*", storage_list_v2 },
	{ KITH_POST, "/object/move", storage_move },
	{ KITH_POST, "/object/copy", storage_copy },
	{ KITH_POST, "/object/sign/*", storage_sign },
	{ KITH_GET, "/object/sign/*", storage_download_signed },
	{ KITH_POST, "/object/upload/sign/*", storage_sign_upload },
	{ KITH_PUT, "/object/upload/sign/*", storage_upload_signed },
	{ KITH_POST, "/upload/resumable", storage_tus_create },
	{ KITH_POST, "/upload/resumable/sign", storage_tus_create },
	{ KITH_GET | KITH_PATCH | KITH_DELETE | KITH_POST, "/upload/resumable/sign/*", storage_tus },
	{ KITH_GET | KITH_PATCH | KITH_DELETE | KITH_POST, "/upload/resumable/*", storage_tus },
	{ KITH_GET, "/object/public/*", storage_download_public },
	{ KITH_GET, "/object/authenticated/*", storage_download },
	{ KITH_GET, "/object/info/public/*", storage_info_public },
	{ KITH_GET, "/object/info/authenticated/*", storage_info },
	{ KITH_GET, "/object/info/*", storage_info },
	{ KITH_GET, "/object/*", storage_download },
	{ KITH_POST | KITH_PUT, "/object/*", storage_upload },
	{ KITH_DELETE, "/object/*", storage_remove },
	{ 0 },
};

const struct kith_resource kith_storage = {
	.name = "storage",
	.mount = "/storage/v1",
	.streams = true,
	.routes = routes,
	.login = "kith_storage",
	.init = storage_sign_init,
	.write_error = storage_write_error,
	.processes = PROCESSES,
};
