#include "storage-program.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "base64url.h"
#include "settings.h"
#include "token.h"

#define SECRET_MIN 32
#define PATHS_MAX 1000

/* {"alg":"HS256","typ":"JWT"} */
#define HEADER "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

/*
 * A key of its own: an access token, even one that is signed with a shared
 * secret, opens no file, and the token of a file signs nobody in.
 */
static char secret[256];

int
storage_sign_init(void)
{
	FILE *f = kith_settings.storage_secret ? fopen(kith_settings.storage_secret, "re") : NULL;
	bool got = f && fgets(secret, sizeof(secret), f);

	if (f)
		fclose(f);
	secret[strcspn(secret, "\r\n")] = '\0';
	if (got && strlen(secret) >= SECRET_MIN)
		return 0;
	fprintf(stderr, "KITH_STORAGE_SECRET: must name a file with a secret of %d characters or more\n", SECRET_MIN);
	return -1;
}

static const char *
signature(struct kith_arena *a, const char *text, size_t n)
{
	unsigned char mac[SHA256_DIGEST_LENGTH];

	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, n, mac, NULL);
	return kith_base64url_encode(a, mac, sizeof(mac));
}

/* A token that holds for so many seconds; members are those beside url, iat and exp, with a comma behind each. */
static const char *
sign(struct kith_request *req, const struct storage_name *name, const char *members, int64_t seconds)
{
	const char *url = kith_format(req->arena, "%s/%s", name->bucket, name->key), *text;
	int64_t now = time(NULL);
	struct kith_buf claims;

	kith_buf_init(&claims, req->arena, 200);
	kith_buf_lit(&claims, "{\"url\":");
	kith_json_write_string(&claims, url, strlen(url));
	kith_buf_printf(&claims, ",%s\"iat\":%lld,\"exp\":%lld}", members, (long long)now, (long long)(now + seconds));
	text = kith_format(req->arena, HEADER ".%s", kith_base64url_encode(req->arena, claims.s, claims.len));
	return kith_format(req->arena, "%s.%s", text, signature(req->arena, text, strlen(text)));
}

static const struct kith_json *
refuse(struct kith_request *req, const char *code, const char *why)
{
	storage_fail(req, code, "%s", why);
	return NULL;
}

/* What a token is for: as it says itself, and older ones by what they have. */
static const char *
scope_of(const struct kith_json *claims)
{
	const struct kith_json *scope = kith_json_get(claims, "scope");

	if (scope)
		return scope->type == KITH_JSON_STRING ? scope->text : "";
	return kith_json_get(claims, "upsert") ? "upload" : "download";
}

const struct kith_json *
storage_verify_token(struct kith_request *req, const char *token, const char *scope, const struct storage_name *name)
{
	const char *dot = token ? strrchr(token, '.') : NULL, *alg, *url, *good;
	struct kith_token_parts parts;
	int64_t expires;

	if (!dot || strlen(token) > KITH_TOKEN_MAX || kith_token_split(req->arena, token, &parts))
		return refuse(req, "InvalidJWT", "Invalid Compact JWS");
	alg = kith_json_string(parts.header, "alg");
	if (!alg || strcmp(alg, "HS256"))
		return refuse(req, "InvalidJWT", "\"alg\" (Algorithm) Header Parameter value not allowed");
	good = signature(req->arena, token, (size_t)(dot - token));
	if (strlen(dot + 1) != strlen(good) || CRYPTO_memcmp(dot + 1, good, strlen(good)))
		return refuse(req, "InvalidJWT", "signature verification failed");
	if (kith_json_integer(parts.claims, "exp", &expires) != 1 || expires <= time(NULL))
		return refuse(req, "InvalidJWT", "\"exp\" claim timestamp check failed");
	url = kith_json_string(parts.claims, "url");
	if (!url || strcmp(url, kith_format(req->arena, "%s/%s", name->bucket, name->key)) ||
	    strcmp(scope_of(parts.claims), scope))
		return refuse(req, "InvalidSignature", "The url signature is invalid");
	return parts.claims;
}

/*
 * As a JSON string.  Clients escape what they must, but for the question mark,
 * which they cannot know.
 */
static void
add_url(struct kith_buf *out, const char *route, const struct storage_name *name, const char *token)
{
	struct kith_buf url;

	kith_buf_init(&url, out->arena, 300);
	kith_buf_puts(&url, route);
	for (const char *p = kith_format(out->arena, "%s/%s", name->bucket, name->key); *p; p++) {
		if (*p == '?')
			kith_buf_lit(&url, "%3F");
		else
			kith_buf_putc(&url, *p);
	}
	kith_buf_printf(&url, "?token=%s", token);
	kith_json_write_string(out, url.s, url.len);
}

/* Those of the keys, ending with NULL, that the caller may read. */
static const PGresult *
readable(struct kith_request *req, const char *operation, const char *bucket, const char *const *keys)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;
	struct kith_buf list;

	kith_buf_init(&list, req->arena, 200);
	kith_sql_array(&list, keys);
	kith_sql_text(sql, "select k.place from unnest(");
	kith_sql_param(sql, list.s);
	kith_sql_text(sql, "::text[]) with ordinality k (name, place) join storage.objects o on o.name = k.name "
			   "where o.bucket_id = ");
	kith_sql_param(sql, bucket);
	kith_sql_text(sql, " order by k.place");
	return storage_as_caller(req, operation, STORAGE_READ, sql, &result) ? NULL : result;
}

static int
sign_one(struct kith_request *req, const struct storage_name *name, int64_t seconds)
{
	const char *const keys[] = { name->key, NULL };
	const PGresult *result = readable(req, "storage.object.sign", name->bucket, keys);

	if (!result)
		return -1;
	if (!PQntuples(result))
		return storage_no_key(req);
	storage_begin_json(req);
	kith_buf_lit(&req->reply.body, "{\"signedURL\":");
	add_url(&req->reply.body, "/object/sign/", name, sign(req, name, "\"scope\":\"download\",", seconds));
	kith_buf_putc(&req->reply.body, '}');
	return 0;
}

/* The strings of the member paths; NULL with 400. */
static const char *const *
read_paths(struct kith_request *req, const struct kith_json *body)
{
	const struct kith_json *paths = kith_json_get(body, "paths");
	const char **keys = kith_new_array(req->arena, const char *, PATHS_MAX + 1);
	size_t n = 0;

	if (!paths || paths->type != KITH_JSON_ARRAY) {
		storage_fail(req, "InvalidRequest", "body must have required property 'paths', an array");
		return NULL;
	}
	for (const struct kith_json *p = paths->first; p; p = p->next) {
		if (p->type != KITH_JSON_STRING || n == PATHS_MAX) {
			storage_fail(req, "InvalidRequest", "body/paths must be up to %d strings", PATHS_MAX);
			return NULL;
		}
		keys[n++] = p->text;
	}
	if (!n) {
		storage_fail(req, "InvalidRequest", "body/paths must NOT have fewer than 1 items");
		return NULL;
	}
	return keys;
}

/* In the order of the request; of what is missing, or somebody else's, the same is said. */
static int
sign_many(struct kith_request *req, const char *bucket, const struct kith_json *body, int64_t seconds)
{
	const char *const *keys = read_paths(req, body);
	const PGresult *result;
	struct kith_buf *out = &req->reply.body;
	int row = 0;
	long place;

	if (!keys || !(result = readable(req, "storage.object.sign_many", bucket, keys)))
		return -1;
	storage_begin_json(req);
	for (size_t i = 0; keys[i]; i++) {
		const struct storage_name name = { bucket, keys[i] };
		bool found = row < PQntuples(result) &&
		    kith_parse_long(PQgetvalue(result, row, 0), 1, PATHS_MAX, &place) && (size_t)place == i + 1;

		kith_buf_puts(out, i ? ",{\"error\":" : "[{\"error\":");
		if (found)
			kith_buf_lit(out, "null");
		else
			kith_buf_lit(out, "\"Either the object does not exist or you do not have access to it\"");
		kith_buf_lit(out, ",\"path\":");
		kith_json_write_string(out, keys[i], strlen(keys[i]));
		kith_buf_lit(out, ",\"signedURL\":");
		if (found)
			add_url(out, "/object/sign/", &name, sign(req, &name, "\"scope\":\"download\",", seconds));
		else
			kith_buf_lit(out, "null");
		kith_buf_putc(out, '}');
		row += found;
	}
	kith_buf_putc(out, ']');
	return 0;
}

int
storage_sign(struct kith_request *req)
{
	const struct kith_json *body;
	struct storage_name name;
	bool one = strchr(req->tail, '/');
	int64_t seconds;

	if (storage_identify(req))
		return -1;
	if (one ? storage_name(req, &name) : !(name.bucket = storage_bucket(req, req->tail, strlen(req->tail))))
		return -1;
	if (!(body = storage_body(req)))
		return -1;
	if (kith_json_integer(body, "expiresIn", &seconds) != 1 || seconds < 1)
		return storage_fail(req, "InvalidRequest", "body/expiresIn must be a number of seconds, 1 or more");
	return one ? sign_one(req, &name, seconds) : sign_many(req, name.bucket, body, seconds);
}

int
storage_sign_upload(struct kith_request *req)
{
	struct storage_upload up = { .declared = -1, .early = true, .operation = "storage.object.sign_upload_url" };
	struct kith_buf members;
	const char *token;

	if (storage_identify(req) || storage_name(req, &up.name))
		return -1;
	up.upsert = storage_wants_upsert(req);
	if (storage_check_upload(req, &up))
		return -1;
	kith_buf_init(&members, req->arena, 100);
	if (up.owner)
		kith_buf_printf(&members, "\"owner\":\"%s\",", up.owner);
	kith_buf_printf(&members, "\"upsert\":%s,\"scope\":\"upload\",", up.upsert ? "true" : "false");
	token = sign(req, &up.name, members.s, kith_settings.signed_upload_expiry);
	storage_begin_json(req);
	kith_buf_lit(&req->reply.body, "{\"url\":");
	add_url(&req->reply.body, "/object/upload/sign/", &up.name, token);
	kith_buf_printf(&req->reply.body, ",\"token\":\"%s\"}", token);
	return 0;
}
