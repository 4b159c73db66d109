#include "storage-program.h"

#include <string.h>

#include "arena.h"
#include "multipart.h"
#include "settings.h"

/* What is read at once of a raw body. */
#define PIECE ((size_t)64 << 10)

#define FIELDS_MAX 10
#define FIELD_MAX 1024
#define METADATA_MAX ((size_t)1 << 20)
#define CACHE_CONTROL_MAX 200

/* What a form has beside its file, at most: fields, metadata, boundaries. */
#define FORM_ROOM (2 << 20)

/* An error longer than this is told by the upload itself. */
#define REFUSAL_MAX 4096

int
storage_set_cache_control(struct kith_request *req, struct storage_upload *up, const char *value)
{
	for (const char *p = value; *p; p++)
		if (*p < ' ' || *p > '~' || p - value > CACHE_CONTROL_MAX)
			return storage_fail(req, "InvalidRequest", "cache-control must be at most %d characters of ASCII",
			    CACHE_CONTROL_MAX);
	up->cache_control = *value ? value : NULL;
	return 0;
}

void
storage_set_metadata(struct kith_request *req, struct storage_upload *up, const char *text)
{
	const char *error;
	const struct kith_json *metadata = kith_json_parse(req->arena, text, strlen(text), &error);

	if (metadata && metadata->type == KITH_JSON_OBJECT)
		up->user_metadata = text;
}

static ssize_t
next_piece(struct kith_request *req, struct storage_source *source, const char **p)
{
	*p = source->arg;
	return kith_request_read(req, source->arg, PIECE);
}

static int
put_raw(struct kith_request *req, struct storage_upload *up)
{
	struct storage_source source = { next_piece, kith_alloc(req->arena, PIECE) };
	const char *cache_control = kith_request_header(req, "cache-control");
	const char *metadata = kith_request_header(req, "x-metadata");

	up->declared = (int64_t)req->unread;
	up->type = kith_request_header(req, "content-type");
	if (cache_control && storage_set_cache_control(req, up, cache_control))
		return -1;
	if (metadata && (metadata = storage_base64(req->arena, metadata)))
		storage_set_metadata(req, up, metadata);
	return storage_put(req, up, &source);
}

/* One field of those that storage-js sends before the file. */
static int
take_field(struct kith_request *req, struct storage_upload *up, struct kith_multipart *form, const char *name)
{
	bool metadata = !strcmp(name, "metadata");
	const char *text = kith_multipart_text(form, metadata ? METADATA_MAX : FIELD_MAX);

	if (!text)
		return -1;
	if (metadata)
		storage_set_metadata(req, up, text);
	else if (!strcmp(name, "contentType"))
		up->type = *text ? text : NULL;
	else if (!strcmp(name, "cacheControl") && *text)
		return storage_set_cache_control(req, up, kith_format(req->arena, "max-age=%s", text));
	return 0;
}

static ssize_t
next_of_part(struct kith_request *req, struct storage_source *source, const char **p)
{
	(void)req;
	return kith_multipart_read(source->arg, p);
}

/* Nothing is stored before the form has been read to its end. */
static int
put_part(struct kith_request *req, struct storage_upload *up, struct kith_multipart *form)
{
	struct storage_source source = { next_of_part, form };
	struct kith_part part;
	int more;

	up->declared = -1;
	if (storage_check_upload(req, up) || storage_take(req, up, &source))
		return -1;
	while ((more = kith_multipart_next(form, &part)) > 0)
		if (part.filename)
			return storage_fail(req, "InvalidRequest", "only one file can be uploaded at a time");
	return more < 0 ? -1 : storage_store(req, up);
}

static int
put_form(struct kith_request *req, struct storage_upload *up)
{
	struct kith_multipart *form = kith_multipart_new(req);
	struct kith_part part;
	int more = form ? 0 : -1;

	for (int fields = 0; form && (more = kith_multipart_next(form, &part)) > 0; fields++) {
		if (part.filename) {
			/* A field contentType says more than a Blob does. */
			if (!up->type)
				up->type = part.type;
			return put_part(req, up, form);
		}
		if (fields == FIELDS_MAX)
			return storage_fail(req, "InvalidRequest", "at most %d fields can come before the file", FIELDS_MAX);
		if (take_field(req, up, form, part.name))
			return -1;
	}
	return more < 0 ? -1 : storage_fail(req, "InvalidRequest", "the form has no file");
}

int
storage_put_body(struct kith_request *req, struct storage_upload *up)
{
	return kith_multipart_declared(req) ? put_form(req, up) : put_raw(req, up);
}

void
storage_answer_upload(struct kith_request *req, const struct storage_upload *up)
{
	struct kith_buf *body = &req->reply.body;
	const char *path = kith_format(req->arena, "%s/%s", up->name.bucket, up->name.key);

	storage_begin_json(req);
	kith_buf_lit(body, "{\"Key\":");
	kith_json_write_string(body, path, strlen(path));
	if (!up->signed_url)
		kith_buf_printf(body, ",\"Id\":\"%s\"", up->id);
	kith_buf_putc(body, '}');
}

static void
begin(const struct kith_request *req, struct storage_upload *up)
{
	*up = (struct storage_upload){ .declared = -1 };
	up->upsert = req->method == KITH_PUT || storage_wants_upsert(req);
	if (req->method == KITH_PUT)
		up->operation = "storage.object.upload_update";
}

int
storage_upload(struct kith_request *req)
{
	struct storage_upload up;

	begin(req, &up);
	if (storage_identify(req) || storage_name(req, &up.name) || storage_put_body(req, &up))
		return -1;
	storage_answer_upload(req, &up);
	return 0;
}

/* Words of the mount that are no bucket when they come behind /object/ in a POST. */
static bool
is_word(const char *tail)
{
	static const char *const words[] = { "list", "list-v2", "sign", "upload", "move", "copy" };
	size_t n = strcspn(tail, "/");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == n && !strncmp(tail, words[i], n))
			return true;
	return false;
}

/* A policy that looks at the type, or the size, is asked again when they are known. */
static int
ask_metadata(struct kith_request *req)
{
	struct kith_error refusal = req->error;
	const PGresult *result = storage_call(req, "policies_read_metadata");

	if (result && !strcmp(PQgetvalue(result, 0, 0), "t"))
		return 0;
	req->error = refusal;
	return -1;
}

/* What can be said of an upload before its body is here.  Of a form, the type of the file is not known yet. */
static int
check_announced(struct kith_request *req)
{
	const char *length = kith_request_header(req, "kith-length");
	struct storage_upload up;
	long bytes = -1;

	if (is_word(req->tail))
		return 0;
	begin(req, &up);
	up.early = kith_multipart_declared(req);
	if (!up.early)
		up.type = kith_request_header(req, "content-type");
	if (length && kith_parse_long(length, 0, INT64_MAX, &bytes))
		up.declared = up.early ? bytes - FORM_ROOM : bytes;
	if (storage_identify(req) || storage_name(req, &up.name))
		return -1;
	if (!storage_check_upload(req, &up))
		return 0;
	return up.early && !strcmp(req->error.code, "42501") ? ask_metadata(req) : -1;
}

/*
 * nginx asks this before it reads the body of a large upload, with the upload's
 * own path and headers (auth_request).  204 lets it come, 403 refuses it with
 * the error's JSON in a header.  What is no plain refusal the upload finds out
 * for itself.
 */
int
storage_may_upload(struct kith_request *req)
{
	struct kith_buf *body = &req->reply.body;

	req->reply.status = 204;
	if (!check_announced(req))
		return 0;
	storage_write_error(req);
	if (req->error.status == 400 && body->len <= REFUSAL_MAX) {
		req->reply.status = 403;
		kith_reply_header(req, "Kith-Refusal", "%s", body->s);
	}
	body->len = 0;
	memset(&req->error, 0, sizeof(req->error));
	return 0;
}
