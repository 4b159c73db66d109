#include "storage-program.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "log.h"
#include "settings.h"
#include "store.h"
#include "teststop.h"
#include "utf8.h"

/* Of a name that somebody else takes at the same moment; then the caller is asked again whether it may overwrite. */
#define TRIES 3

/* Bytes that are worth a question before they come; the row's own trigger asks of every file. */
#define LARGE 1000000

/* What a dashboard stores so that a folder without files is seen. */
#define PLACEHOLDER ".emptyFolderPlaceholder"

static bool
is_placeholder(const char *key)
{
	const char *slash = strrchr(key, '/');

	return !strcmp(slash ? slash + 1 : key, PLACEHOLDER);
}

static int
too_large(struct kith_request *req)
{
	return storage_fail(req, "EntityTooLarge", "The object exceeded the maximum allowed size");
}

static int
unsupported(struct kith_request *req, const char *type)
{
	return storage_fail(req, "InvalidMimeType", "mime type %s is not supported",
	    kith_utf8_valid(type, strlen(type)) ? type : "of other letters");
}

/* A media type that may stand in a header: type/subtype and whatever follows in ASCII. */
static bool
is_type(const char *type)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t main_type = strspn(type, token), subtype;

	if (!main_type || type[main_type] != '/' || strlen(type) > 255)
		return false;
	subtype = strspn(type + main_type + 1, token);
	type += main_type + 1 + subtype;
	if (!subtype || !strchr(";", type[strspn(type, " \t")]))
		return false;
	for (; *type; type++)
		if ((*type < ' ' && *type != '\t') || *type > '~')
			return false;
	return true;
}

/* The bucket's say; its settings are no secret, so that no policy on buckets is needed. */
static int
check_bucket(struct kith_request *req, struct storage_upload *up)
{
	const PGresult *result;
	const char *limit;
	long bytes;

	if (!is_type(up->type))
		return unsupported(req, up->type);
	result = storage_call(req, "upload_bucket", up->name.bucket,
	    up->early || is_placeholder(up->name.key) ? NULL : up->type);
	if (!result)
		return -1;
	if (!PQntuples(result))
		return storage_no_bucket(req);
	limit = PQgetvalue(result, 0, 0);
	up->limit = kith_settings.file_limit;
	if (*limit && kith_parse_long(limit, 0, INT64_MAX, &bytes) && bytes < up->limit)
		up->limit = bytes;
	if (up->declared > up->limit)
		return too_large(req);
	return strcmp(PQgetvalue(result, 0, 1), "t") ? unsupported(req, up->type) : 0;
}

/* What is known of the file before it is here: for policies that look at metadata. */
static const char *
declared_metadata(struct kith_request *req, const struct storage_upload *up)
{
	struct kith_buf out;

	kith_buf_init(&out, req->arena, 100);
	kith_buf_lit(&out, "{\"mimetype\":");
	kith_json_write_string(&out, up->type, strlen(up->type));
	if (up->declared >= 0)
		kith_buf_printf(&out, ",\"contentLength\":%lld", (long long)up->declared);
	kith_buf_putc(&out, '}');
	return out.s;
}

/*
 * The row as the caller would write it, written as the caller, and rolled back.
 * Whoever may only insert must not need to see what was there.
 */
static int
rehearse(struct kith_request *req, struct storage_upload *up)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	up->owner = req->identity->subject;
	kith_sql_text(sql, "insert into storage.objects as o (bucket_id, name, owner, owner_id, metadata, user_metadata) values (");
	kith_sql_param(sql, up->name.bucket);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->name.key);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->owner);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->owner);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->early ? NULL : declared_metadata(req, up));
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->user_metadata);
	kith_sql_text(sql, ")");
	if (up->upsert)
		kith_sql_text(sql, " on conflict (bucket_id, name) do update set owner = excluded.owner, "
				   "owner_id = excluded.owner_id, metadata = excluded.metadata, "
				   "user_metadata = excluded.user_metadata returning o.id, o.xmax <> 0");
	if (storage_as_caller(req, up->operation, STORAGE_REHEARSE, sql, &result))
		return -1;
	up->replaces = up->upsert && !strcmp(PQgetvalue(result, 0, 1), "t") ? PQgetvalue(result, 0, 0) : NULL;
	return 0;
}

/* Whether the plan of its owner has room for it. */
static int
check_quota(struct kith_request *req, const struct storage_upload *up)
{
	const char *bytes = kith_format(req->arena, "%lld", (long long)up->declared);

	return storage_call(req, "check_upload", up->name.bucket, up->name.key, up->owner, bytes) ? 0 : -1;
}

int
storage_check_upload(struct kith_request *req, struct storage_upload *up)
{
	if (!up->type)
		up->type = "application/octet-stream";
	if (!up->cache_control)
		up->cache_control = "no-cache";
	if (!up->user_metadata)
		up->user_metadata = "{}";
	if (!up->operation)
		up->operation = "storage.object.upload";
	if (check_bucket(req, up) || (!up->signed_url && rehearse(req, up)))
		return -1;
	return up->declared >= LARGE ? check_quota(req, up) : 0;
}

/* What the disk refused. */
static int
fail_disk(struct kith_request *req, const char *what)
{
	int error = errno;

	kith_log(KITH_LOG_ERROR, "request %s could not %s a file: %s", req->id, what, strerror(error));
	if (error == ENOSPC || error == EDQUOT) {
		kith_reply_header(req, "Retry-After", "60");
		return storage_fail(req, "StorageFull", "The server has no room for this file at the moment");
	}
	return storage_fail(req, "InternalError", "The file could not be stored");
}

int
storage_take(struct kith_request *req, struct storage_upload *up, struct storage_source *source)
{
	const char *bytes;
	ssize_t n;

	up->file = kith_store_begin(req->arena);
	if (!up->file)
		return fail_disk(req, "begin");
	while ((n = source->next(req, source, &bytes)) > 0) {
		if (n > up->limit - up->file->size)
			return too_large(req);
		if (kith_store_write(up->file, bytes, (size_t)n))
			return fail_disk(req, "write");
	}
	return n < 0 ? -1 : 0;
}

/* What apps read of a file; these keys exactly. */
static const char *
measured_metadata(struct kith_request *req, const struct storage_upload *up)
{
	const struct kith_store_file *f = up->file;
	struct timespec now;
	char stamp[32];
	struct kith_buf out;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	kith_buf_init(&out, req->arena, 300);
	kith_buf_printf(&out, "{\"eTag\":\"\\\"%s\\\"\",\"size\":%lld,\"mimetype\":", f->hash, (long long)f->size);
	kith_json_write_string(&out, up->type, strlen(up->type));
	kith_buf_lit(&out, ",\"cacheControl\":");
	kith_json_write_string(&out, up->cache_control, strlen(up->cache_control));
	kith_buf_printf(&out, ",\"lastModified\":\"%s.%03ldZ\",\"contentLength\":%lld,\"httpStatusCode\":200}", stamp,
	    now.tv_nsec / 1000000, (long long)f->size);
	return out.s;
}

static const PGresult *
write_object(struct kith_request *req, const struct storage_upload *up, const char *metadata)
{
	return storage_call(req, "store_object", up->name.bucket, up->name.key, up->file->version, up->owner, metadata,
	    up->user_metadata, up->replaces, up->signed_url && up->upsert ? "true" : "false");
}

/* The row; where somebody else was faster with this name, the caller is asked again whether it may overwrite that. */
static const PGresult *
write_row(struct kith_request *req, struct storage_upload *up)
{
	const char *metadata = measured_metadata(req, up);
	const PGresult *result = NULL;

	for (int tries = 0; !result && tries < TRIES; tries++) {
		if (tries) {
			if (!up->upsert || strcmp(req->error.code, "23505"))
				break;
			memset(&req->error, 0, sizeof(req->error));
			if (!up->signed_url && rehearse(req, up))
				break;
		}
		result = up->write_row ? up->write_row(req, up, metadata) : write_object(req, up, metadata);
	}
	return result;
}

int
storage_store(struct kith_request *req, struct storage_upload *up)
{
	if (storage_is_disguised(up->file->fd, up->type))
		return unsupported(req, up->type);
	if (kith_store_commit(up->file))
		return fail_disk(req, "keep");
	KITH_TEST_POINT("stored");
	up->version = up->file->version;
	up->row = write_row(req, up);
	if (up->row) {
		up->id = PQgetvalue(up->row, 0, 0);
		return 0;
	}
	/* Where the connection broke nobody knows whether there is a row: then the worker's sweep finds out. */
	if (req->error.status < 500)
		kith_store_remove(up->version);
	return -1;
}

int
storage_put(struct kith_request *req, struct storage_upload *up, struct storage_source *source)
{
	if (storage_check_upload(req, up) || storage_take(req, up, source))
		return -1;
	return storage_store(req, up);
}
