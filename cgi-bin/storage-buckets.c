#include "storage-program.h"

#include <string.h>

#include "arena.h"
#include "settings.h"

#define LIST_MAX 1000000
#define EMPTY_AT_ONCE "10000"

/* The members of a bucket that a client may say, as SQL wants them. */
struct settings {
	bool has_public, has_limit, has_types;
	const char *public_;
	const char *limit;	/* NULL: the server's */
	const char *types;	/* NULL: all */
};

/* Bytes: a number, or "20MB" as people write it. */
static bool
parse_size(const struct kith_json *size, long *bytes)
{
	static const struct {
		const char *name;
		long bytes;
	} units[] = { { "GB", 1000000000 }, { "MB", 1000000 }, { "KB", 1000 }, { "B", 1 }, { "", 1 } };
	const char *text = size->text;
	size_t digits = text ? strspn(text, "0123456789") : 0;
	char number[16];

	if (!digits || digits >= sizeof(number) || (size->type != KITH_JSON_STRING && text[digits]))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].name))
			continue;
		if (!kith_parse_long(number, 0, INT64_MAX / units[i].bytes, bytes))
			return false;
		*bytes *= units[i].bytes;
		return true;
	}
	return false;
}

/* Says of an error of PostgreSQL's what it means for a bucket; any other stays.  Returns -1. */
static int
refuse_as(struct kith_request *req, const char *sqlstate, const char *code, const char *message)
{
	if (!strcmp(req->error.code, sqlstate)) {
		memset(&req->error, 0, sizeof(req->error));
		storage_fail(req, code, "%s", message);
	}
	return -1;
}

static int
read_limit(struct kith_request *req, const struct kith_json *limit, struct settings *s)
{
	long bytes;

	s->has_limit = limit != NULL;
	if (!limit || limit->type == KITH_JSON_NULL)
		return 0;
	if (!parse_size(limit, &bytes))
		return storage_fail(req, "InvalidRequest", "body/file_size_limit must be bytes, or text like 20MB");
	if (bytes > kith_settings.file_limit)
		return storage_fail(req, "EntityTooLarge", "The object exceeded the maximum allowed size");
	s->limit = kith_format(req->arena, "%ld", bytes);
	return 0;
}

/* image/png; or with an asterisk for the part behind the slash; or an asterisk alone. */
static bool
is_mime_pattern(const char *text)
{
	static const char token[] = "!#$%&'+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t n = strspn(text, token);

	if (!strcmp(text, "*") || !strcmp(text, "*/*"))
		return true;
	if (!n || text[n] != '/' || !text[n + 1])
		return false;
	text += n + 1;
	return !strcmp(text, "*") || !text[strspn(text, token)];
}

static int
read_types(struct kith_request *req, const struct kith_json *types, struct settings *s)
{
	const char **list;
	struct kith_buf out;
	size_t n = 0;

	s->has_types = types != NULL;
	if (!types || types->type == KITH_JSON_NULL)
		return 0;
	if (types->type != KITH_JSON_ARRAY)
		return storage_fail(req, "InvalidRequest", "body/allowed_mime_types must be an array, or null");
	for (const struct kith_json *t = types->first; t; t = t->next)
		n++;
	list = kith_new_array(req->arena, const char *, n + 1);
	n = 0;
	for (const struct kith_json *t = types->first; t; t = t->next) {
		if (t->type != KITH_JSON_STRING)
			return storage_fail(req, "InvalidRequest", "body/allowed_mime_types must be strings");
		if (*t->text && !is_mime_pattern(t->text))
			return storage_fail(req, "InvalidMimeType", "mime type %s is not supported", t->text);
		if (*t->text)
			list[n++] = t->text;
	}
	kith_buf_init(&out, req->arena, 100);
	kith_sql_array(&out, list);
	s->types = out.s;
	return 0;
}

static int
read_settings(struct kith_request *req, const struct kith_json *body, struct settings *s)
{
	const struct kith_json *public_ = kith_json_get(body, "public");

	memset(s, 0, sizeof(*s));
	if (public_ && public_->type != KITH_JSON_NULL) {
		if (public_->type != KITH_JSON_TRUE && public_->type != KITH_JSON_FALSE)
			return storage_fail(req, "InvalidRequest", "body/public must be boolean");
		s->has_public = true;
		s->public_ = public_->type == KITH_JSON_TRUE ? "true" : "false";
	}
	return read_limit(req, kith_json_get(body, "file_size_limit"), s) ||
	    read_types(req, kith_json_get(body, "allowed_mime_types"), s) ? -1 : 0;
}

/* The id of a new bucket, which may be called name. */
static const char *
new_id(struct kith_request *req, const struct kith_json *body)
{
	const char *name = kith_json_string(body, "name"), *id = kith_json_string(body, "id");
	const struct kith_json *type = kith_json_get(body, "type");

	if (!name && !id) {
		storage_fail(req, "InvalidRequest", "body must have required property 'name'");
		return NULL;
	}
	if (type && (type->type != KITH_JSON_STRING || strcmp(type->text, "STANDARD"))) {
		storage_fail(req, "InvalidRequest", "body/type must be STANDARD");
		return NULL;
	}
	if (name && id && strcmp(name, id)) {
		storage_fail(req, "InvalidRequest", "body/id and body/name must be the same");
		return NULL;
	}
	return storage_check_bucket(req, id ? id : name) ? NULL : id ? id : name;
}

static int
create(struct kith_request *req)
{
	const struct kith_json *body = storage_body(req);
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;
	struct settings s;
	const char *id;

	if (!body || !(id = new_id(req, body)) || read_settings(req, body, &s))
		return -1;
	kith_sql_text(sql, "insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, "
			   "allowed_mime_types) values (");
	kith_sql_param(sql, id);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, id);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, req->identity->subject);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, req->identity->subject);
	kith_sql_text(sql, ", coalesce(");
	kith_sql_param(sql, s.public_);
	kith_sql_text(sql, ", false), ");
	kith_sql_param(sql, s.limit);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, s.types);
	kith_sql_text(sql, ")");
	if (storage_as_caller(req, "storage.bucket.create", STORAGE_WRITE, sql, &result))
		return refuse_as(req, "23505", "BucketAlreadyExists", "The resource already exists");
	storage_begin_json(req);
	kith_buf_lit(&req->reply.body, "{\"name\":");
	kith_json_write_string(&req->reply.body, id, strlen(id));
	kith_buf_putc(&req->reply.body, '}');
	return 0;
}

/* A count in the query: *n stays when it is absent. */
static int
query_count(struct kith_request *req, const char *name, long *n)
{
	const char *text = storage_query(req, name);

	if (!text || !*text || kith_parse_long(text, 0, LIST_MAX, n))
		return 0;
	return storage_fail(req, "InvalidRequest", "querystring/%s must be a number of 0 or more", name);
}

/* One of the words, the first when the query has none; NULL with 400. */
static const char *
query_word(struct kith_request *req, const char *name, const char *const *words)
{
	const char *text = storage_query(req, name);

	if (!text || !*text)
		return words[0];
	for (; *words; words++)
		if (!strcmp(text, *words))
			return *words;
	storage_fail(req, "InvalidRequest", "querystring/%s must be equal to one of the allowed values", name);
	return NULL;
}

static int
list(struct kith_request *req)
{
	static const char *const columns[] = { "id", "name", "created_at", "updated_at", NULL };
	static const char *const orders[] = { "asc", "desc", NULL };
	struct kith_sql *sql = kith_sql_new(req->arena);
	const char *column = query_word(req, "sortColumn", columns), *order = query_word(req, "sortOrder", orders);
	const char *search = storage_query(req, "search");
	const PGresult *result;
	long limit = LIST_MAX, offset = 0;

	if (!column || !order || query_count(req, "limit", &limit) || query_count(req, "offset", &offset))
		return -1;
	kith_sql_text(sql, "select coalesce(json_agg(storage.bucket_json(p.b)::jsonb || "
			   "jsonb_build_object('type', (p.b).type) order by p.place), '[]') "
			   "from (select b, row_number() over (order by b.");
	kith_sql_ident(sql, column);
	if (!strcmp(order, "desc"))
		kith_sql_text(sql, " desc");
	kith_sql_text(sql, ", b.id) as place from storage.buckets b where strpos(lower(b.name), lower(");
	kith_sql_param(sql, search ? search : "");
	kith_sql_text(sql, ")) > 0 order by place limit ");
	kith_sql_param(sql, kith_format(req->arena, "%ld", limit));
	kith_sql_text(sql, " offset ");
	kith_sql_param(sql, kith_format(req->arena, "%ld", offset));
	kith_sql_text(sql, ") p");
	if (storage_as_caller(req, "storage.bucket.list", STORAGE_READ, sql, &result))
		return -1;
	return storage_answer_json(req, result);
}

int
storage_buckets(struct kith_request *req)
{
	if (storage_identify(req))
		return -1;
	return req->method == KITH_POST ? create(req) : list(req);
}

static int
get(struct kith_request *req, const char *id)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(sql, "select storage.bucket_json(b) from storage.buckets b where b.id = ");
	kith_sql_param(sql, id);
	if (storage_as_caller(req, "storage.bucket.get", STORAGE_READ, sql, &result))
		return -1;
	return PQntuples(result) ? storage_answer_json(req, result) : storage_no_bucket(req);
}

static int
update(struct kith_request *req, const char *id)
{
	const struct kith_json *body = storage_body(req);
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;
	struct settings s;

	if (!body || read_settings(req, body, &s))
		return -1;
	kith_sql_text(sql, "update storage.buckets b set name = b.name");
	if (s.has_public) {
		kith_sql_text(sql, ", public = ");
		kith_sql_param(sql, s.public_);
	}
	if (s.has_limit) {
		kith_sql_text(sql, ", file_size_limit = ");
		kith_sql_param(sql, s.limit);
	}
	if (s.has_types) {
		kith_sql_text(sql, ", allowed_mime_types = ");
		kith_sql_param(sql, s.types);
	}
	kith_sql_text(sql, " where b.id = ");
	kith_sql_param(sql, id);
	kith_sql_text(sql, " returning 1");
	if (storage_as_caller(req, "storage.bucket.update", STORAGE_WRITE, sql, &result))
		return -1;
	return PQntuples(result) ? storage_answer_message(req, "Successfully updated") : storage_no_bucket(req);
}

static int
delete(struct kith_request *req, const char *id)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(sql, "delete from storage.buckets b where b.id = ");
	kith_sql_param(sql, id);
	kith_sql_text(sql, " returning 1");
	if (storage_as_caller(req, "storage.bucket.delete", STORAGE_WRITE, sql, &result))
		return refuse_as(req, "23503", "ResourceNotEmpty", "The bucket you tried to delete is not empty");
	return PQntuples(result) ? storage_answer_message(req, "Successfully deleted") : storage_no_bucket(req);
}

/* So many at a time that a statement ends before its timeout. */
static int
empty(struct kith_request *req, const char *id)
{
	const PGresult *result;
	struct kith_sql *sql;

	if (req->identity->role != KITH_SERVICE)
		return storage_fail(req, "InvalidRole", "Access denied: Invalid role");
	if (!(result = storage_call(req, "find_bucket", id)))
		return -1;
	if (!PQntuples(result))
		return storage_no_bucket(req);
	do {
		sql = kith_sql_new(req->arena);
		kith_sql_text(sql, "with gone as (delete from storage.objects where id in ("
				   "select o.id from storage.objects o where o.bucket_id = ");
		kith_sql_param(sql, id);
		kith_sql_text(sql, " limit " EMPTY_AT_ONCE ") returning 1) select count(*) from gone");
		if (storage_as_caller(req, "storage.bucket.empty", STORAGE_WRITE, sql, &result))
			return -1;
	} while (strcmp(PQgetvalue(result, 0, 0), "0"));
	return storage_answer_message(req, "Empty bucket has been queued. Completion may take up to an hour.");
}

int
storage_one_bucket(struct kith_request *req)
{
	size_t n = strcspn(req->tail, "/");
	const char *id;

	if (strcmp(req->tail + n, req->method == KITH_POST ? "/empty" : ""))
		return kith_fail(req, 404, "KITH02", "no such route");
	if (storage_identify(req) || !(id = storage_bucket(req, req->tail, n)))
		return -1;
	switch (req->method) {
	case KITH_POST:
		return empty(req, id);
	case KITH_PUT:
		return update(req, id);
	case KITH_DELETE:
		return delete(req, id);
	default:
		return get(req, id);
	}
}
