#include "storage-program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"

/* clang-format off */
/*
 * What clients tell errors by.  Where status is 0, HTTP says 400 whatever
 * statusCode is: storage-js gives apps both.
 */
static const struct known {
	const char *code;
	int status_code;
	int status;
	const char *error;
} codes[] = {
	{ "InvalidRequest",      400, 0, "Error" },
	{ "InvalidKey",          400, 0, "InvalidKey" },
	{ "InvalidBucketName",   400, 0, "Invalid Input" },
	{ "InvalidJWT",          400, 0, "InvalidJWT" },
	{ "InvalidSignature",    400, 0, "InvalidSignature" },
	{ "AccessDenied",        403, 0, "Unauthorized" },
	{ "InvalidRole",         403, 403, "Unauthorized" },
	{ "QuotaExceeded",       403, 0, "Quota exceeded" },
	{ "NoSuchKey",           404, 0, "not_found" },
	{ "NoSuchBucket",        404, 0, "Bucket not found" },
	{ "NoSuchUpload",        404, 0, "Upload not found" },
	{ "NoSuchRoute",         404, 404, "Not Found" },
	{ "KeyAlreadyExists",    409, 0, "Duplicate" },
	{ "BucketAlreadyExists", 409, 0, "Duplicate" },
	{ "UploadOffsetConflict", 409, 0, "Conflict" },
	{ "ResourceNotEmpty",    409, 0, "ResourceNotEmpty" },
	{ "UnsupportedVersion",  412, 412, "Precondition Failed" },
	{ "EntityTooLarge",      413, 0, "Payload too large" },
	{ "InvalidMimeType",     415, 0, "invalid_mime_type" },
	{ "InvalidRange",        416, 416, "invalid_range" },
	{ "ResourceLocked",      423, 0, "ResourceLocked" },
	{ "InternalError",       500, 500, "Internal" },
	{ "SlowDown",            503, 503, "SlowDown" },
	{ "StorageFull",         507, 507, "Insufficient Storage" },
	{ "DatabaseTimeout",     544, 544, "DatabaseTimeout" },
};

/* What PostgreSQL's refusals become; NULL keeps the message, which is the app's or tells what cannot be a value. */
static const struct {
	const char *state;	/* or the class that it begins with */
	const char *code;
	const char *message;
} states[] = {
	{ "42501", "AccessDenied",     "new row violates row-level security policy" },
	{ "23505", "KeyAlreadyExists", "The resource already exists" },
	{ "23503", "NoSuchBucket",     "Bucket not found" },
	{ "55P03", "ResourceLocked",   "The resource is locked" },
	{ "57014", "DatabaseTimeout",  "The connection to the database timed out" },
	{ "40001", "SlowDown",         "Could not do it at this moment, please try again" },
	{ "40P01", "SlowDown",         "Could not do it at this moment, please try again" },
	{ "P0001", "InvalidRequest",   NULL },
	{ "22",    "InvalidRequest",   NULL },
	{ "23",    "InvalidRequest",   NULL },
	{ "54",    "InvalidRequest",   NULL },
};
/* clang-format on */

static const struct known *
find(const char *code)
{
	for (size_t i = 0; code && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(code, codes[i].code))
			return &codes[i];
	return NULL;
}

int
storage_status_code(const char *code)
{
	const struct known *known = find(code);

	return known ? known->status_code : 500;
}

int
storage_fail(struct kith_request *req, const char *code, const char *format, ...)
{
	const char *message;
	va_list args;

	va_start(args, format);
	message = kith_vformat(req->arena, format, args);
	va_end(args);
	return kith_fail(req, storage_status_code(code), code, "%s", message);
}

int
storage_no_key(struct kith_request *req)
{
	return storage_fail(req, "NoSuchKey", "Object not found");
}

int
storage_no_bucket(struct kith_request *req)
{
	return storage_fail(req, "NoSuchBucket", "Bucket not found");
}

static bool
is_sqlstate(const char *code)
{
	return strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && !code[5];
}

static void
become(struct kith_error *e, const char *code, const char *message)
{
	e->code = code;
	e->status = storage_status_code(code);
	if (message)
		e->message = message;
}

/* An error of PostgreSQL's, or of the library, in the contract's terms. */
static void
translate(struct kith_request *req)
{
	struct kith_error *e = &req->error;

	/* Functions of ours bring the code as the detail. */
	if (!strncmp(e->code, "PT", 2) && find(e->details)) {
		become(e, e->details, NULL);
		return;
	}
	if (is_sqlstate(e->code))
		e->log = kith_format(req->arena, "%s %s", e->code, e->message);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (!strncmp(e->code, states[i].state, strlen(states[i].state))) {
			become(e, states[i].code, states[i].message);
			if (states[i].message)
				e->hint = NULL;
			return;
		}
	}
	if (e->status == 404 || e->status == 405)
		become(e, "NoSuchRoute", kith_format(req->arena, "Route %s:%s not found", req->method_name, req->path));
	else if (e->status == 413)
		become(e, "EntityTooLarge", NULL);
	else if (e->status == 401 || e->status == 403)
		become(e, "AccessDenied", NULL);
	else if (e->status == 503)
		become(e, "SlowDown", "Too many requests at this moment, please try again");
	else if (e->status == 504)
		become(e, "DatabaseTimeout", "The connection to the database timed out");
	else if (e->status >= 500 || is_sqlstate(e->code))
		become(e, "InternalError", "Internal Server Error");
	else
		become(e, "InvalidRequest", NULL);
}

static void
member(struct kith_buf *out, const char *name, const char *value)
{
	kith_buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
	kith_json_write_string(out, value, strlen(value));
}

void
storage_write_error(struct kith_request *req)
{
	struct kith_buf *body = &req->reply.body;
	struct kith_error *e = &req->error;
	const struct known *known;

	if (!find(e->code))
		translate(req);
	known = find(e->code);
	kith_buf_putc(body, '{');
	member(body, "statusCode", kith_format(req->arena, "%d", known->status_code));
	member(body, "error", known->error);
	member(body, "message", e->message);
	member(body, "code", known->code);
	if (e->hint)
		member(body, "hint", e->hint);
	kith_buf_putc(body, '}');
	e->status = known->status ? known->status : 400;
}
