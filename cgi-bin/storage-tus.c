/*
 * Resumable uploads: TUS 1.0.0 (tus.io/protocols/resumable-upload) with
 * creation, creation-with-upload, termination and expiration.
 *
 * What has arrived is a file under tmp/ (lib/store.h), and how much of it counts
 * is in kith.uploads (sql/293_storage_uploads.sql): so much is on disk whatever
 * crashes.  The last piece and the object come together: a client that has not
 * heard of the end sends that piece again, or is told that all of it is there.
 *
 * Clients of TUS go by HTTP's status, so errors have their true one here.
 */
#include "storage-program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "store.h"

#define VERSION "1.0.0"
#define EXTENSIONS "creation,creation-with-upload,termination,expiration"
#define PIECE_TYPE "application/offset+octet-stream"
#define SIGNED "sign/"

/* Bytes of the body that are held at once. */
#define PIECE 65536

/* Of Upload-Metadata, as the table takes it. */
#define METADATA_MAX 16384

struct upload {
	const char *id;			/* version of the file */
	struct storage_name name;
	const char *owner;		/* NULL: nobody */
	int64_t length, received;
	bool upsert, finished, signed_url;
	const char *announced;		/* Upload-Metadata */
	const char *expires;
};

/* What Upload-Metadata may say. */
struct announced {
	const char *bucket, *key, *type, *cache_control, *metadata;
};

/* --- requests ----------------------------------------------------------------- */

static void
write_error(struct kith_request *req)
{
	storage_write_error(req);
	req->error.status = storage_status_code(req->error.code);
}

/* What holds for every request. */
static int
begin(struct kith_request *req)
{
	const char *version = kith_request_header(req, "tus-resumable");

	req->write_error = write_error;
	kith_reply_header(req, "Tus-Resumable", VERSION);
	/* To what a browser shows of every answer. */
	kith_reply_header(req, "Access-Control-Expose-Headers", "Tus-Resumable, Tus-Version, Tus-Extension, "
	    "Upload-Offset, Upload-Length, Upload-Metadata, Upload-Expires");
	if (version && !strcmp(version, VERSION))
		return 0;
	kith_reply_header(req, "Tus-Version", VERSION);
	kith_reply_header(req, "Tus-Extension", EXTENSIONS);
	return storage_fail(req, "UnsupportedVersion", "Tus-Resumable must be " VERSION);
}

/* A header that must be a number of bytes; -1 with the error set. */
static int64_t
number(struct kith_request *req, const char *name)
{
	const char *text = kith_request_header(req, name);
	char *end = NULL;
	long long n;

	errno = 0;
	n = text && *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : -1;
	if (n >= 0 && !errno && !*end)
		return n;
	return storage_fail(req, "InvalidRequest", "%s must be a number of bytes", name);
}

static bool
is_piece(const struct kith_request *req)
{
	const char *type = kith_request_header(req, "content-type");

	return type && !strcmp(type, PIECE_TYPE);
}

/* Upload-Metadata: names and values with a blank between, pairs with commas. */
static int
read_announced(struct kith_request *req, const char *text, struct announced *a)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = {
		{ "bucketName", &a->bucket },
		{ "objectName", &a->key },
		{ "contentType", &a->type },
		{ "cacheControl", &a->cache_control },
		{ "metadata", &a->metadata },
	};

	*a = (struct announced){ 0 };
	if (strlen(text) > METADATA_MAX)
		return storage_fail(req, "InvalidRequest", "Upload-Metadata is longer than %d bytes", METADATA_MAX);
	while (*text) {
		size_t pair = strcspn(text, ","), name = strcspn(text, " ,"), at = name < pair ? name + 1 : pair;
		const char *value = storage_base64(req->arena, kith_strndup(req->arena, text + at, pair - at));

		if (!value)
			return storage_fail(req, "InvalidRequest",
			    "Upload-Metadata: the value of %.*s is not base64 of text", (int)name, text);
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i].name) == name && !strncmp(known[i].name, text, name))
				*known[i].value = value;
		text += pair + (text[pair] == ',');
		text += strspn(text, " ");
	}
	return 0;
}

/* What other uploads are told by headers.  A lifetime may be a number, as storage-js gives it to forms. */
static int
describe(struct kith_request *req, const struct upload *u, const struct announced *a, struct storage_upload *up)
{
	const char *lifetime = a->cache_control;

	*up = (struct storage_upload){
		.name = u->name,
		.upsert = u->upsert,
		.declared = u->length,
		.type = a->type,
		.signed_url = u->signed_url,
		.owner = u->owner,
	};
	if (a->metadata)
		storage_set_metadata(req, up, a->metadata);
	if (lifetime && *lifetime && !lifetime[strspn(lifetime, "0123456789")])
		lifetime = kith_format(req->arena, "max-age=%s", lifetime);
	return lifetime ? storage_set_cache_control(req, up, lifetime) : 0;
}

/* Who may do what with a signed URL: the one that it was made for. */
static int
check_signature(struct kith_request *req, struct upload *u, const struct kith_json **claims)
{
	const char *token = kith_request_header(req, "x-signature");

	if (!token)
		return storage_fail(req, "InvalidSignature", "x-signature is missing");
	*claims = storage_verify_token(req, token, "upload", &u->name);
	return *claims ? 0 : -1;
}

/* --- the table ---------------------------------------------------------------- */

static const char *
caller(const struct kith_request *req, const struct upload *u)
{
	return u->signed_url ? "signed" : req->identity->role_name;
}

static const char *
bytes(struct kith_request *req, int64_t n)
{
	return kith_format(req->arena, "%lld", (long long)n);
}

static int
create(struct kith_request *req, struct upload *u)
{
	const PGresult *result = storage_call(req, "create_upload", u->id, caller(req, u), u->owner, u->name.bucket,
	    u->name.key, bytes(req, u->length), u->upsert ? "true" : "false", u->announced);

	if (!result)
		return -1;
	u->expires = PQgetvalue(result, 0, 0);
	return 0;
}

static const char *
column(const PGresult *result, const char *name)
{
	int n = PQfnumber(result, name);

	return PQgetisnull(result, 0, n) ? NULL : PQgetvalue(result, 0, n);
}

static int
find(struct kith_request *req, struct upload *u)
{
	const struct kith_identity *who = u->signed_url ? NULL : req->identity;
	const struct kith_json *claims;
	const PGresult *result = storage_call(req, "find_upload", u->id, caller(req, u), who ? who->subject : NULL,
	    who ? who->session : NULL);
	const char *signer;

	if (!result)
		return -1;
	if (!PQntuples(result))
		return storage_fail(req, "NoSuchUpload", "Upload not found");
	u->owner = column(result, "owner");
	u->name.bucket = column(result, "bucket");
	u->name.key = column(result, "name");
	u->length = atoll(column(result, "length"));
	u->received = atoll(column(result, "received"));
	u->upsert = *column(result, "upsert") == 't';
	u->finished = *column(result, "finished") == 't';
	u->announced = column(result, "announced");
	u->expires = column(result, "expires");
	if (!u->signed_url)
		return 0;
	if (check_signature(req, u, &claims))
		return -1;
	signer = kith_json_string(claims, "owner");
	if (strcmp(signer ? signer : "", u->owner ? u->owner : ""))
		return storage_fail(req, "NoSuchUpload", "Upload not found");
	return 0;
}

/* Object and end of the upload, in one transaction. */
static const PGresult *
write_row(struct kith_request *req, const struct storage_upload *up, const char *metadata)
{
	return storage_call(req, "finish_upload", up->version, up->name.bucket, up->name.key, up->owner, metadata,
	    up->user_metadata, up->replaces, up->signed_url && up->upsert ? "true" : "false");
}

/* --- the file ----------------------------------------------------------------- */

static int
refuse_disk(struct kith_request *req)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return storage_fail(req, "StorageFull", "There is no room for the file");
	if (errno == EWOULDBLOCK)
		return storage_fail(req, "ResourceLocked", "Another request is writing this upload");
	kith_fail_log(req, "upload: %s", strerror(errno));
	return storage_fail(req, "InternalError", "Internal Server Error");
}

static int
take(struct kith_request *req, struct kith_store_file *file)
{
	char *piece = kith_alloc(req->arena, PIECE);
	ssize_t n;

	while ((n = kith_request_read(req, piece, PIECE)) > 0)
		if (kith_store_write(file, piece, (size_t)n))
			return refuse_disk(req);
	return (int)n;
}

/* Takes a piece in; the last one makes the file an object. */
static int
receive(struct kith_request *req, struct upload *u, struct storage_upload *up, struct kith_store_file *file)
{
	const PGresult *result;

	if ((int64_t)req->unread > u->length - u->received)
		return storage_fail(req, "EntityTooLarge", "The object exceeded the length that was announced");
	if (take(req, file))
		return -1;
	u->received = file->size;
	if (u->received < u->length) {
		if (kith_store_keep(file))
			return refuse_disk(req);
		result = storage_call(req, "advance_upload", u->id, bytes(req, u->received));
		if (result && PQgetisnull(result, 0, 0))
			return storage_fail(req, "NoSuchUpload", "Upload not found");
		return result ? 0 : -1;
	}
	up->file = file;
	up->write_row = write_row;
	if (storage_store(req, up))
		return -1;
	kith_store_remove_kept(u->id);
	return 0;
}

/* An upload of which nobody was told.  Keeps the error; returns -1. */
static int
forget(struct kith_request *req, const struct upload *u)
{
	struct kith_error error = req->error;

	memset(&req->error, 0, sizeof(req->error));
	storage_call(req, "end_upload", u->id);
	req->error = error;
	return -1;
}

/* --- answers ------------------------------------------------------------------ */

static int
answer(struct kith_request *req, const struct upload *u, int status)
{
	req->reply.status = status;
	req->reply.no_body = true;
	kith_reply_header(req, "Upload-Offset", "%lld", (long long)u->received);
	if (!u->finished && u->received < u->length)
		kith_reply_header(req, "Upload-Expires", "%s", u->expires);
	return 0;
}

int
storage_tus_create(struct kith_request *req)
{
	struct upload u = { .signed_url = strstr(req->route, "/sign") != NULL, .upsert = storage_wants_upsert(req) };
	struct kith_store_file *file;
	const struct kith_json *claims;
	struct storage_upload up;
	struct announced a;

	u.announced = kith_request_header(req, "upload-metadata");
	if (!u.announced)
		u.announced = "";
	if (begin(req) || (!u.signed_url && storage_identify(req)))
		return -1;
	u.length = number(req, "upload-length");
	if (u.length < 0 || read_announced(req, u.announced, &a))
		return -1;
	if (!a.bucket || !a.key)
		return storage_fail(req, "InvalidRequest", "Upload-Metadata must name bucketName and objectName");
	u.name.bucket = storage_bucket(req, a.bucket, strlen(a.bucket));
	u.name.key = a.key;
	if (!u.name.bucket || storage_check_key(req, a.key))
		return -1;
	if (u.signed_url) {
		if (check_signature(req, &u, &claims))
			return -1;
		u.owner = kith_json_string(claims, "owner");
		u.upsert = kith_json_get(claims, "upsert") && kith_json_get(claims, "upsert")->type == KITH_JSON_TRUE;
	}
	if (describe(req, &u, &a, &up) || storage_check_upload(req, &up))
		return -1;
	if (!u.signed_url)
		u.owner = up.owner;
	file = kith_store_begin(req->arena);
	if (!file)
		return refuse_disk(req);
	u.id = file->version;
	if (create(req, &u))
		return -1;
	if (is_piece(req) || !u.length) {
		if (receive(req, &u, &up, file))
			return forget(req, &u);
	} else if (kith_store_keep(file)) {
		refuse_disk(req);
		return forget(req, &u);
	}
	kith_reply_header(req, "Location", "%s/%s", req->path, kith_base64url_encode(req->arena, u.id, strlen(u.id)));
	return answer(req, &u, 201);
}

static int
tell(struct kith_request *req, struct upload *u)
{
	if (find(req, u))
		return -1;
	kith_reply_header(req, "Cache-Control", "no-store");
	kith_reply_header(req, "Upload-Length", "%lld", (long long)u->length);
	if (*u->announced)
		kith_reply_header(req, "Upload-Metadata", "%s", u->announced);
	return answer(req, u, 200);
}

static int
go_on(struct kith_request *req, struct upload *u)
{
	struct kith_store_file *file;
	struct storage_upload up;
	struct announced a;
	int64_t offset;

	if (!is_piece(req))
		return storage_fail(req, "InvalidMimeType", "Content-Type must be " PIECE_TYPE);
	/* First: what another request adds to the file while it is looked up must count. */
	file = kith_store_resume(req->arena, u->id);
	if (!file && errno != ENOENT)
		return refuse_disk(req);
	if (find(req, u))
		return -1;
	offset = number(req, "upload-offset");
	if (offset < 0)
		return -1;
	if (offset != u->received)
		return storage_fail(req, "UploadOffsetConflict", "Upload-Offset is %lld, but %lld bytes are there",
		    (long long)offset, (long long)u->received);
	if (u->finished) {
		if (req->unread)
			return storage_fail(req, "EntityTooLarge", "The object exceeded the length that was announced");
		return answer(req, u, 204);
	}
	if (!file)
		return storage_fail(req, "NoSuchUpload", "Upload not found");
	/* Rights, the bucket and the plan may have changed since the upload began. */
	if (read_announced(req, u->announced, &a) || describe(req, u, &a, &up) || storage_check_upload(req, &up))
		return -1;
	if (kith_store_cut(file, u->received))
		return refuse_disk(req);
	return receive(req, u, &up, file) ? -1 : answer(req, u, 204);
}

static int
end(struct kith_request *req, struct upload *u)
{
	/* Not under somebody's hands. */
	if (!kith_store_resume(req->arena, u->id) && errno != ENOENT)
		return refuse_disk(req);
	if (find(req, u) || !storage_call(req, "end_upload", u->id))
		return -1;
	if (kith_store_remove_kept(u->id))
		return refuse_disk(req);
	req->reply.status = 204;
	req->reply.no_body = true;
	return 0;
}

/* Where clients cannot send PATCH or DELETE they say so by a header of POST. */
static enum kith_method
method(const struct kith_request *req)
{
	const char *meant = kith_request_header(req, "x-http-method-override");

	if (req->method != KITH_POST || !meant)
		return req->method;
	return !strcmp(meant, "PATCH") ? KITH_PATCH : !strcmp(meant, "DELETE") ? KITH_DELETE : req->method;
}

int
storage_tus(struct kith_request *req)
{
	struct upload u = { .signed_url = strstr(req->route, "/sign/") != NULL };
	size_t n;

	if (begin(req) || (!u.signed_url && storage_identify(req)))
		return -1;
	u.id = kith_base64url_decode(req->arena, req->tail, strlen(req->tail), &n);
	if (!u.id || n != strlen(u.id) || !kith_store_is_version(u.id))
		return storage_fail(req, "NoSuchUpload", "Upload not found");
	switch (method(req)) {
	case KITH_GET:
	case KITH_HEAD:
		return tell(req, &u);
	case KITH_PATCH:
		return go_on(req, &u);
	case KITH_DELETE:
		return end(req, &u);
	default:
		return storage_fail(req, "InvalidRequest", "X-HTTP-Method-Override must be PATCH or DELETE");
	}
}
