#include "storage-program.h"

#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "utf8.h"

#define KEY_MAX 1024
#define BUCKET_MAX 100

/* What S3 takes without escapes, and so does everything else that keeps files. */
#define NAME_CHARACTERS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_!.*'() &$=@;:+,?-"

int
storage_identify(struct kith_request *req)
{
	if (!kith_request_header(req, "authorization"))
		return storage_fail(req, "InvalidRequest", "headers must have required property 'authorization'");
	return kith_auth_identify_bearer(req);
}

int
storage_identify_service(struct kith_request *req)
{
	if (storage_identify(req))
		return -1;
	if (req->identity->role != KITH_SERVICE)
		return storage_fail(req, "InvalidRole", "Access denied: Invalid role");
	return 0;
}

const struct kith_json *
storage_body(struct kith_request *req)
{
	const struct kith_json *body;
	const char *text, *error;

	if (kith_request_read_all(req))
		return NULL;
	text = req->body_len ? req->body : "{}";
	body = kith_json_parse(req->arena, text, req->body_len ? req->body_len : 2, &error);
	if (body && body->type == KITH_JSON_OBJECT)
		return body;
	storage_fail(req, "InvalidRequest", "body must be an object%s%s", body ? "" : ": ", body ? "" : error);
	return NULL;
}

/* Decodes what stood in the path; NULL without an error set. */
static const char *
decode(struct kith_request *req, const char *raw, size_t n)
{
	struct kith_error before = req->error;
	const char *text = kith_request_decode(req, raw, n, false, "the path");

	req->error = before;
	return text;
}

/* Every segment says something: none is empty, or leads to where it is already, or up. */
static bool
segments_are_good(const char *key)
{
	for (;;) {
		size_t n = strcspn(key, "/");

		if (!n || (n <= 2 && !strncmp(key, "..", n)))
			return false;
		if (!key[n])
			return true;
		key += n + 1;
	}
}

int
storage_check_key(struct kith_request *req, const char *key)
{
	size_t n = strspn(key, "/" NAME_CHARACTERS);

	if (n <= KEY_MAX && !key[n] && segments_are_good(key))
		return 0;
	return storage_fail(req, "InvalidKey", "Invalid key: %s", key);
}

const char *
storage_key(struct kith_request *req, const char *raw, size_t n)
{
	const char *key = decode(req, raw, n);

	if (!key)
		storage_fail(req, "InvalidKey", "Invalid key: %.*s", kith_utf8_valid(raw, n) ? (int)n : 0, raw);
	return key && !storage_check_key(req, key) ? key : NULL;
}

int
storage_check_bucket(struct kith_request *req, const char *bucket)
{
	size_t n = strlen(bucket);

	if (n && n <= BUCKET_MAX && !bucket[strspn(bucket, NAME_CHARACTERS)] && *bucket != ' ' && bucket[n - 1] != ' ')
		return 0;
	return storage_fail(req, "InvalidBucketName", "Bucket name invalid");
}

const char *
storage_bucket(struct kith_request *req, const char *raw, size_t n)
{
	const char *bucket = decode(req, raw, n);

	return storage_check_bucket(req, bucket ? bucket : "") ? NULL : bucket;
}

int
storage_name(struct kith_request *req, struct storage_name *name)
{
	size_t n = strcspn(req->tail, "/");

	name->bucket = storage_bucket(req, req->tail, n);
	if (!name->bucket)
		return -1;
	n += req->tail[n] == '/';
	name->key = storage_key(req, req->tail + n, strlen(req->tail + n));
	return name->key ? 0 : -1;
}

const char *
storage_query(struct kith_request *req, const char *name)
{
	size_t before = strlen(name);

	for (const char *s = req->query; *s; s += *s == '&') {
		size_t n = strcspn(s, "&");

		if (n >= before && !strncmp(s, name, before) && (n == before || s[before] == '=')) {
			const char *value = s + before + (n > before);
			const char *text;
			struct kith_error error = req->error;

			text = kith_request_decode(req, value, (size_t)(s + n - value), true, name);
			req->error = error;
			return text;
		}
		s += n;
	}
	return NULL;
}

bool
storage_wants_upsert(const struct kith_request *req)
{
	const char *upsert = kith_request_header(req, "x-upsert");

	return upsert && !strcmp(upsert, "true");
}

const char *
storage_base64(struct kith_arena *a, const char *text)
{
	char *copy = kith_strdup(a, text), *decoded;
	size_t n = strlen(copy);

	while (n && copy[n - 1] == '=')
		copy[--n] = '\0';
	for (char *p = copy; *p; p++) {
		if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
	}
	decoded = kith_base64url_decode(a, copy, n, &n);
	return decoded && strlen(decoded) == n && kith_utf8_valid(decoded, n) ? decoded : NULL;
}
