/* Files by a URL that somebody signed: whoever has it needs not say who it is. */
#include "storage-program.h"

#include "arena.h"

static const struct kith_json *
read_token(struct kith_request *req, const char *scope, struct storage_name *name)
{
	const char *token = storage_query(req, "token");

	if (storage_name(req, name))
		return NULL;
	if (token && *token)
		return storage_verify_token(req, token, scope, name);
	storage_fail(req, "InvalidRequest", "querystring must have required property 'token'");
	return NULL;
}

int
storage_download_signed(struct kith_request *req)
{
	const struct kith_json *claims;
	struct storage_name name;
	int64_t expires;

	claims = read_token(req, "download", &name);
	if (!claims || kith_json_integer(claims, "exp", &expires) != 1)
		return -1;
	return storage_serve_signed(req, &name, expires);
}

/* The rights were checked when the URL was signed, and whether it may overwrite was said there. */
int
storage_upload_signed(struct kith_request *req)
{
	struct storage_upload up = { .declared = -1, .signed_url = true };
	const struct kith_json *claims = read_token(req, "upload", &up.name), *upsert;

	if (!claims)
		return -1;
	upsert = kith_json_get(claims, "upsert");
	up.upsert = upsert && upsert->type == KITH_JSON_TRUE;
	up.owner = kith_json_string(claims, "owner");
	if (storage_put_body(req, &up))
		return -1;
	storage_answer_upload(req, &up);
	return 0;
}
