#include "storage-program.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "settings.h"
#include "store.h"

#define LIST_ROWS 100
#define LIST_MAX 1500
#define LIST_V2_ROWS 1000
#define OFFSET_MAX 1000000000
#define NAMES_MAX 1000

/* Of a copy whose name somebody else takes at the same moment. */
#define TRIES 3

/* A member of the body that is text; what is usual when it is absent or null.  NULL with 400 for anything else. */
static const char *
body_text(struct kith_request *req, const struct kith_json *body, const char *name, const char *usual)
{
	const struct kith_json *value = kith_json_get(body, name);

	if (!value || value->type == KITH_JSON_NULL)
		return usual;
	if (value->type == KITH_JSON_STRING)
		return value->text;
	storage_fail(req, "InvalidRequest", "body/%s must be string", name);
	return NULL;
}

/* Likewise a number of min or more; *n stays where it is absent.  One that is larger than max is max. */
static int
body_count(struct kith_request *req, const struct kith_json *body, const char *name, long min, long max, long *n)
{
	const struct kith_json *value = kith_json_get(body, name);
	int64_t number;

	if (!value || value->type == KITH_JSON_NULL)
		return 0;
	if (kith_json_integer(body, name, &number) != 1 || number < min)
		return storage_fail(req, "InvalidRequest", "body/%s must be >= %ld", name, min);
	*n = number < max ? number : max;
	return 0;
}

/* true, false, or what is usual; -1 with 400. */
static int
body_flag(struct kith_request *req, const struct kith_json *body, const char *name, bool usual)
{
	const struct kith_json *value = kith_json_get(body, name);

	if (!value || value->type == KITH_JSON_NULL)
		return usual;
	if (value->type == KITH_JSON_TRUE || value->type == KITH_JSON_FALSE)
		return value->type == KITH_JSON_TRUE;
	return storage_fail(req, "InvalidRequest", "body/%s must be boolean", name);
}

/* sortBy: the column, one of those that end with NULL, the first of which is usual; NULL with 400. */
static const char *
body_order(struct kith_request *req, const struct kith_json *body, const char *const *columns, bool *descending)
{
	const struct kith_json *by = kith_json_get(body, "sortBy");
	const char *column, *order;

	if (by && by->type == KITH_JSON_NULL)
		by = NULL;
	if (by && by->type != KITH_JSON_OBJECT) {
		storage_fail(req, "InvalidRequest", "body/sortBy must be object");
		return NULL;
	}
	if (!(column = body_text(req, by, "column", columns[0])) || !(order = body_text(req, by, "order", "asc")))
		return NULL;
	*descending = !strcmp(order, "desc");
	for (; *columns; columns++)
		if (!strcmp(column, *columns) && (*descending || !strcmp(order, "asc")))
			return *columns;
	storage_fail(req, "InvalidRequest", "body/sortBy must be one of the columns, and asc or desc");
	return NULL;
}

int
storage_list(struct kith_request *req)
{
	static const char *const columns[] = { "name", "created_at", "updated_at", "last_accessed_at", NULL };
	struct kith_sql *sql = kith_sql_new(req->arena);
	const char *bucket, *prefix, *search, *column;
	long limit = LIST_ROWS, offset = 0;
	const struct kith_json *body;
	const PGresult *result;
	bool descending;

	if (storage_identify(req) || !(bucket = storage_bucket(req, req->tail, strlen(req->tail))) ||
	    !(body = storage_body(req)) || !(prefix = body_text(req, body, "prefix", "")) ||
	    !(search = body_text(req, body, "search", "")) || body_count(req, body, "limit", 1, LIST_MAX, &limit) ||
	    body_count(req, body, "offset", 0, OFFSET_MAX, &offset) ||
	    !(column = body_order(req, body, columns, &descending)))
		return -1;
	kith_sql_text(sql, "select storage.list(");
	kith_sql_param(sql, bucket);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, prefix);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, search);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, kith_format(req->arena, "%ld", limit));
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, kith_format(req->arena, "%ld", offset));
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, column);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, descending ? "true" : "false");
	kith_sql_text(sql, ")");
	if (storage_as_caller(req, "storage.object.list", STORAGE_READ, sql, &result))
		return -1;
	return storage_answer_json(req, result);
}

int
storage_list_v2(struct kith_request *req)
{
	static const char *const columns[] = { "name", "created_at", "updated_at", NULL };
	struct kith_sql *sql = kith_sql_new(req->arena);
	const char *bucket, *prefix, *cursor, *column;
	const struct kith_json *body;
	const PGresult *result;
	long limit = LIST_V2_ROWS;
	bool descending;
	int by_folder;

	if (storage_identify(req) || !(bucket = storage_bucket(req, req->tail, strlen(req->tail))) ||
	    !(body = storage_body(req)) || !(prefix = body_text(req, body, "prefix", "")) ||
	    !(cursor = body_text(req, body, "cursor", "")) || body_count(req, body, "limit", 1, LIST_V2_ROWS, &limit) ||
	    (by_folder = body_flag(req, body, "with_delimiter", false)) < 0 ||
	    !(column = body_order(req, body, columns, &descending)))
		return -1;
	kith_sql_text(sql, "select storage.list_v2(");
	kith_sql_param(sql, bucket);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, prefix);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, by_folder ? "true" : "false");
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, kith_format(req->arena, "%ld", limit));
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, column);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, descending ? "true" : "false");
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, *cursor ? cursor : NULL);
	kith_sql_text(sql, ")");
	if (storage_as_caller(req, "storage.object.list_v2", STORAGE_READ, sql, &result)) {
		/* Base64, UTF-8 and a time: whatever is wrong with one is data to PostgreSQL. */
		if (*cursor && !strncmp(req->error.code, "22", 2)) {
			memset(&req->error, 0, sizeof(req->error));
			storage_fail(req, "InvalidRequest", "body/cursor is none that a list has returned");
		}
		return -1;
	}
	return storage_answer_json(req, result);
}

/* The names in the member prefixes, as an array of SQL; NULL with 400. */
static const char *
body_names(struct kith_request *req, const struct kith_json *body)
{
	const struct kith_json *list = kith_json_get(body, "prefixes");
	const char **names = kith_new_array(req->arena, const char *, NAMES_MAX + 1);
	struct kith_buf out;
	size_t n = 0;

	if (!list || list->type != KITH_JSON_ARRAY) {
		storage_fail(req, "InvalidRequest", "body must have required property 'prefixes', an array");
		return NULL;
	}
	for (const struct kith_json *name = list->first; name; name = name->next) {
		if (name->type != KITH_JSON_STRING || n == NAMES_MAX) {
			storage_fail(req, "InvalidRequest", "body/prefixes must be up to %d strings", NAMES_MAX);
			return NULL;
		}
		names[n++] = name->text;
	}
	kith_buf_init(&out, req->arena, 200);
	kith_sql_array(&out, names);
	return out.s;
}

/* Those that are missing, or not the caller's, are left out. */
static int
remove_many(struct kith_request *req, const char *bucket)
{
	const struct kith_json *body = storage_body(req);
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;
	const char *names;

	if (!body || !(names = body_names(req, body)))
		return -1;
	kith_sql_text(sql, "with gone as (delete from storage.objects o where o.bucket_id = ");
	kith_sql_param(sql, bucket);
	kith_sql_text(sql, " and o.name = any (");
	kith_sql_param(sql, names);
	kith_sql_text(sql, "::text[]) returning o) "
			   "select coalesce(json_agg(storage.object_json(g.o) order by (g.o).name), '[]') from gone g");
	if (storage_as_caller(req, "storage.object.delete_many", STORAGE_WRITE, sql, &result))
		return -1;
	return storage_answer_json(req, result);
}

static int
remove_one(struct kith_request *req, const struct storage_name *name)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	/* What the rest of the statement sees was there before. */
	kith_sql_text(sql, "with gone as (delete from storage.objects o where o.bucket_id = ");
	kith_sql_param(sql, name->bucket);
	kith_sql_text(sql, " and o.name = ");
	kith_sql_param(sql, name->key);
	kith_sql_text(sql, " returning 1) select (select count(*) from gone), count(*) from storage.objects o "
			   "where o.bucket_id = ");
	kith_sql_param(sql, name->bucket);
	kith_sql_text(sql, " and o.name = ");
	kith_sql_param(sql, name->key);
	if (storage_as_caller(req, "storage.object.delete", STORAGE_WRITE, sql, &result))
		return -1;
	if (!strcmp(PQgetvalue(result, 0, 0), "1"))
		return storage_answer_message(req, "Successfully deleted");
	if (!strcmp(PQgetvalue(result, 0, 1), "1"))
		return storage_fail(req, "AccessDenied", "new row violates row-level security policy");
	return storage_no_key(req);
}

int
storage_remove(struct kith_request *req)
{
	struct storage_name name;

	if (storage_identify(req))
		return -1;
	if (strchr(req->tail, '/'))
		return storage_name(req, &name) ? -1 : remove_one(req, &name);
	name.bucket = storage_bucket(req, req->tail, strlen(req->tail));
	return name.bucket ? remove_many(req, name.bucket) : -1;
}

/* From where to where something is moved or copied. */
static int
body_way(struct kith_request *req, const struct kith_json *body, struct storage_name *from, struct storage_name *to)
{
	if (!(from->bucket = body_text(req, body, "bucketId", "")) ||
	    !(from->key = body_text(req, body, "sourceKey", "")) ||
	    !(to->bucket = body_text(req, body, "destinationBucket", from->bucket)) ||
	    !(to->key = body_text(req, body, "destinationKey", "")))
		return -1;
	return storage_check_bucket(req, from->bucket) || storage_check_bucket(req, to->bucket) ||
	    storage_check_key(req, from->key) || storage_check_key(req, to->key) ? -1 : 0;
}

/* An object that the caller may read; one row, or none. */
static const PGresult *
find_source(struct kith_request *req, const char *operation, const struct storage_name *name)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(sql, "select o.version, o.metadata ->> 'size', o.metadata ->> 'mimetype', o.metadata, "
			   "o.user_metadata from storage.objects o where o.bucket_id = ");
	kith_sql_param(sql, name->bucket);
	kith_sql_text(sql, " and o.name = ");
	kith_sql_param(sql, name->key);
	return storage_as_caller(req, operation, STORAGE_READ, sql, &result) ? NULL : result;
}

/* What a bucket asks of its files holds also for those that come from another one. */
static int
check_destination(struct kith_request *req, const struct storage_name *from, const struct storage_name *to)
{
	struct storage_upload up = { .name = *to, .declared = -1, .signed_url = true };
	const PGresult *source;
	long size;

	if (!strcmp(from->bucket, to->bucket))
		return 0;
	if (!(source = find_source(req, "storage.object.move", from)))
		return -1;
	if (!PQntuples(source))
		return storage_no_key(req);
	if (!PQgetisnull(source, 0, 1) && kith_parse_long(PQgetvalue(source, 0, 1), 0, INT64_MAX, &size))
		up.declared = size;
	up.type = PQgetisnull(source, 0, 2) ? NULL : PQgetvalue(source, 0, 2);
	/* Rights are asked by the update itself: so as if a token said that they were. */
	return storage_check_upload(req, &up);
}

int
storage_move(struct kith_request *req)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	struct storage_name from, to;
	const struct kith_json *body;
	const PGresult *result;

	if (storage_identify(req) || !(body = storage_body(req)) || body_way(req, body, &from, &to) ||
	    check_destination(req, &from, &to))
		return -1;
	kith_sql_text(sql, "update storage.objects o set bucket_id = ");
	kith_sql_param(sql, to.bucket);
	kith_sql_text(sql, ", name = ");
	kith_sql_param(sql, to.key);
	kith_sql_text(sql, " where o.bucket_id = ");
	kith_sql_param(sql, from.bucket);
	kith_sql_text(sql, " and o.name = ");
	kith_sql_param(sql, from.key);
	kith_sql_text(sql, " returning 1");
	if (storage_as_caller(req, "storage.object.move", STORAGE_WRITE, sql, &result))
		return -1;
	return PQntuples(result) ? storage_answer_message(req, "Successfully moved") : storage_no_key(req);
}

/* Another name on the disk for the same bytes; -1 with the error set. */
static int
link_version(struct kith_request *req, const char *from, char to[KITH_STORE_VERSION + 1])
{
	int error;

	kith_store_new_version(to);
	if (!kith_store_copy(from, to))
		return 0;
	error = errno;
	if (error == ENOENT)
		return storage_no_key(req);
	kith_log(KITH_LOG_ERROR, "request %s could not link a file: %s", req->id, strerror(error));
	if (error == ENOSPC || error == EDQUOT)
		return storage_fail(req, "StorageFull", "The server has no room for this file at the moment");
	return storage_fail(req, "InternalError", "The file could not be copied");
}

/* The row of a copy whose file is there. */
static const PGresult *
store_copy(struct kith_request *req, const struct storage_upload *up, const char *metadata)
{
	struct kith_sql *sql = kith_sql_new(req->arena);

	kith_sql_text(sql, "select s.id, storage.object_json(s) from kith.store_object(");
	kith_sql_param(sql, up->name.bucket);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->name.key);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->version);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->owner);
	kith_sql_text(sql, ", jsonb_set(");
	kith_sql_param(sql, metadata);
	kith_sql_text(sql, ", '{lastModified}', to_jsonb(storage.iso_time(now()))), ");
	kith_sql_param(sql, up->user_metadata);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, up->replaces);
	kith_sql_text(sql, ", false) s");
	return kith_db_call(req, sql);
}

static int
answer_copy(struct kith_request *req, const struct storage_name *to, const PGresult *row)
{
	const char *key = kith_format(req->arena, "%s/%s", to->bucket, to->key);
	struct kith_buf *out = &req->reply.body;

	storage_begin_json(req);
	kith_buf_lit(out, "{\"Key\":");
	kith_json_write_string(out, key, strlen(key));
	kith_buf_printf(out, ",\"Id\":\"%s\",%s", PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1) + 1);
	return 0;
}

int
storage_copy(struct kith_request *req)
{
	struct storage_upload up = { .declared = -1, .operation = "storage.object.copy" };
	const PGresult *source, *row = NULL;
	char version[KITH_STORE_VERSION + 1];
	const struct kith_json *body;
	struct storage_name from;
	int with_metadata;
	long size;

	if (storage_identify(req) || !(body = storage_body(req)) || body_way(req, body, &from, &up.name) ||
	    (with_metadata = body_flag(req, body, "copyMetadata", true)) < 0 ||
	    !(source = find_source(req, up.operation, &from)))
		return -1;
	if (!PQntuples(source) || PQgetisnull(source, 0, 0) || PQgetisnull(source, 0, 3))
		return storage_no_key(req);
	if (kith_parse_long(PQgetvalue(source, 0, 1), 0, INT64_MAX, &size))
		up.declared = size;
	up.type = PQgetisnull(source, 0, 2) ? NULL : PQgetvalue(source, 0, 2);
	up.user_metadata = with_metadata && !PQgetisnull(source, 0, 4) ? PQgetvalue(source, 0, 4) : NULL;
	up.upsert = storage_wants_upsert(req);
	if (storage_check_upload(req, &up) || link_version(req, PQgetvalue(source, 0, 0), version))
		return -1;
	up.version = version;
	for (int tries = 0; !row && tries < TRIES; tries++) {
		if (tries) {
			if (!up.upsert || strcmp(req->error.code, "23505"))
				break;
			memset(&req->error, 0, sizeof(req->error));
			if (storage_check_upload(req, &up))
				break;
		}
		row = store_copy(req, &up, PQgetvalue(source, 0, 3));
	}
	if (row)
		return answer_copy(req, &up.name, row);
	/* Where the connection broke nobody knows whether there is a row: then the worker's sweep finds out. */
	if (req->error.status < 500)
		kith_store_remove(version);
	return -1;
}
