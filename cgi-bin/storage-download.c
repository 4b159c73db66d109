#include "storage-program.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "arena.h"
#include "log.h"
#include "store.h"

/* Where nginx finds the bytes: nginx/kith.conf, internal. */
#define INTERNAL "/_obj/"

/* A file that is to be sent. */
struct download {
	const char *version;
	const char *type;
	const char *cache_control;
	const char *etag;
	bool personal;		/* no cache that others share may keep it */
	int64_t expires;	/* when the signed URL does; 0: there is none */
};

/* The columns version, type, cache control and tag, from column first on; -1 with 404 when there is no file. */
static int
read_row(struct kith_request *req, struct download *d, const PGresult *result, int first)
{
	if (!PQntuples(result) || PQgetisnull(result, 0, first))
		return storage_no_key(req);
	d->version = PQgetvalue(result, 0, first);
	d->type = PQgetvalue(result, 0, first + 1);
	d->cache_control = PQgetvalue(result, 0, first + 2);
	d->etag = PQgetvalue(result, 0, first + 3);
	return 0;
}

/* What anybody may have, or whoever has a signed URL. */
static int
find_given(struct kith_request *req, const struct storage_name *name, bool with_url, struct download *d)
{
	const PGresult *result = storage_call(req, "downloaded_object", name->bucket, name->key, with_url ? "true" : "false");

	if (!result)
		return -1;
	if (!PQntuples(result))
		return storage_no_bucket(req);
	d->personal = strcmp(PQgetvalue(result, 0, 0), "t") != 0;
	return read_row(req, d, result, 1);
}

/* What the caller may see. */
static int
find_own(struct kith_request *req, const struct storage_name *name, struct download *d)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(sql, "select o.version, o.metadata ->> 'mimetype', o.metadata ->> 'cacheControl', "
			   "o.metadata ->> 'eTag' from storage.objects o where o.bucket_id = ");
	kith_sql_param(sql, name->bucket);
	kith_sql_text(sql, " and o.name = ");
	kith_sql_param(sql, name->key);
	if (storage_as_caller(req, "storage.object.get_authenticated", STORAGE_READ, sql, &result))
		return -1;
	d->personal = true;
	return read_row(req, d, result, 0);
}

/* Begins anew after a refusal, which may have left a header as well. */
static struct kith_error
forget_refusal(struct kith_request *req)
{
	struct kith_error error = req->error;

	memset(&req->error, 0, sizeof(req->error));
	req->reply.headers.len = 0;
	return error;
}

static bool
is_missing(const struct kith_request *req)
{
	return !strcmp(req->error.code, "NoSuchKey");
}

/*
 * What the caller may not see may be in a public bucket, for which it need not
 * even say who it is.  One that is denied is one that is not there.
 */
static int
find(struct kith_request *req, const struct storage_name *name, struct download *d)
{
	struct kith_error error;

	if (!storage_identify(req) && !find_own(req, name, d))
		return 0;
	error = forget_refusal(req);
	if (!find_given(req, name, false, d))
		return 0;
	/* A bucket that is not public says nothing: the caller's own refusal does. */
	if (d->personal && is_missing(req))
		req->error = error;
	return -1;
}

/*
 * What a browser might run is shown as text: pages, anything of XML (SVG too),
 * scripts.
 */
static const char *
safe_type(const char *type)
{
	static const char *const active[] = { "html", "xml", "svg", "script", "xsl", "shockwave", "multipart/" };

	for (size_t i = 0; i < sizeof(active) / sizeof(active[0]); i++)
		if (strcasestr(type, active[i]))
			return "text/plain";
	return *type ? type : "application/octet-stream";
}

static void
encode(struct kith_buf *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~", *text))
			kith_buf_putc(out, *text);
		else
			kith_buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}

static void
disposition(struct kith_request *req)
{
	const char *name = storage_query(req, "download");
	struct kith_buf encoded;

	if (!name)
		return;
	if (!*name) {
		kith_reply_header(req, "Content-Disposition", "attachment;");
		return;
	}
	kith_buf_init(&encoded, req->arena, 0);
	encode(&encoded, name);
	kith_reply_header(req, "Content-Disposition", "attachment; filename=%s; filename*=UTF-8''%s", encoded.s, encoded.s);
}

/* What the uploader said, but for words that would let everybody keep a private file (RFC 9111, section 5.2.2). */
static const char *
cache_control(const struct download *d)
{
	const char *said = *d->cache_control ? d->cache_control : "no-cache";

	return d->personal && (strcasestr(said, "public") || strcasestr(said, "s-maxage")) ? "no-cache" : said;
}

static void
caching(struct kith_request *req, const struct download *d)
{
	char date[40];
	struct tm tm;

	if (d->expires) {
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&(time_t){ d->expires }, &tm));
		kith_reply_header(req, "Expires", "%s", date);
		return;
	}
	/* With the file itself nginx says so: nginx/storage-map.conf. */
	if (d->personal)
		kith_reply_header(req, "Vary", "Authorization");
	kith_reply_header(req, "Cache-Control", "%s%s", d->personal ? "private, " : "", cache_control(d));
}

/* Whether the client has it already (RFC 9110, section 13.1.2); tags are of our own making, so that none is part of another. */
static bool
is_known(struct kith_request *req, const char *etag)
{
	const char *known = kith_request_header_list(req, "if-none-match");

	return known && *etag && (!strcmp(known, "*") || strstr(known, etag));
}

/* nginx sends the bytes, and looks at Range, If-Range and If-Modified-Since. */
static int
serve(struct kith_request *req, const struct download *d)
{
	struct stat st;

	if (kith_store_stat(d->version, &st)) {
		kith_log(KITH_LOG_ERROR, "request %s: the file %s of an object is not there", req->id, d->version);
		return storage_no_key(req);
	}
	if (*d->etag)
		kith_reply_header(req, "ETag", "%s", d->etag);
	kith_reply_header(req, "X-Robots-Tag", "none");
	caching(req, d);
	if (is_known(req, d->etag)) {
		req->reply.status = 304;
		return 0;
	}
	req->reply.status = 200;
	req->reply.elsewhere = true;
	kith_reply_header(req, "Content-Type", "%s", safe_type(d->type));
	disposition(req);
	kith_reply_header(req, "X-Accel-Redirect", INTERNAL "%s", kith_store_place(req->arena, d->version));
	return 0;
}

int
storage_download(struct kith_request *req)
{
	struct download d = { 0 };
	struct storage_name name;

	if (storage_name(req, &name) || find(req, &name, &d))
		return -1;
	return serve(req, &d);
}

int
storage_download_public(struct kith_request *req)
{
	struct download d = { 0 };
	struct storage_name name;

	if (storage_name(req, &name))
		return -1;
	if (!find_given(req, &name, false, &d))
		return serve(req, &d);
	/* By this route a bucket that is not public is none. */
	if (!d.personal || !is_missing(req))
		return -1;
	forget_refusal(req);
	return storage_no_bucket(req);
}

int
storage_serve_signed(struct kith_request *req, const struct storage_name *name, int64_t expires)
{
	struct download d = { 0 };

	if (find_given(req, name, true, &d))
		return -1;
	d.expires = expires;
	return serve(req, &d);
}

/* The row in a public bucket, whoever asks; *personal tells that it is none. */
static int
given_info(struct kith_request *req, const struct storage_name *name, bool *personal)
{
	const PGresult *result = storage_call(req, "public_object_info", name->bucket, name->key);

	if (!result)
		return -1;
	if (!PQntuples(result))
		return storage_no_bucket(req);
	*personal = strcmp(PQgetvalue(result, 0, 0), "t") != 0;
	return PQgetisnull(result, 0, 1) ? storage_no_key(req) : storage_answer_json(req, result);
}

static int
own_info(struct kith_request *req, const struct storage_name *name)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(sql, "select storage.object_info(o) from storage.objects o where o.bucket_id = ");
	kith_sql_param(sql, name->bucket);
	kith_sql_text(sql, " and o.name = ");
	kith_sql_param(sql, name->key);
	if (storage_as_caller(req, "storage.object.info_authenticated", STORAGE_READ, sql, &result))
		return -1;
	return PQntuples(result) ? storage_answer_json(req, result) : storage_no_key(req);
}

int
storage_info(struct kith_request *req)
{
	struct storage_name name;
	struct kith_error error;
	bool personal = false;

	if (storage_name(req, &name))
		return -1;
	if (!storage_identify(req) && !own_info(req, &name))
		return 0;
	error = forget_refusal(req);
	if (!given_info(req, &name, &personal))
		return 0;
	if (personal && is_missing(req))
		req->error = error;
	return -1;
}

int
storage_info_public(struct kith_request *req)
{
	struct storage_name name;
	bool personal = false;

	if (storage_name(req, &name))
		return -1;
	if (!given_info(req, &name, &personal))
		return 0;
	if (!personal || !is_missing(req))
		return -1;
	forget_refusal(req);
	return storage_no_bucket(req);
}
