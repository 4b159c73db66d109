/*
 * What the parts of the storage program share.  Contract: storage.
 *
 * A file is a row of storage.objects, whose version names the bytes on disk
 * (lib/store.h).  Row-level security decides who may see and write rows: what a
 * caller wants is asked of the database as the caller.  Only the version, and
 * what was measured of the bytes, is written by the program's own login,
 * through functions of sql/29?_storage_*.sql.
 */
#ifndef STORAGE_PROGRAM_H
#define STORAGE_PROGRAM_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "auth.h"
#include "db.h"
#include "json.h"
#include "request.h"
#include "resource.h"
#include "sql.h"

struct kith_store_file;

/* --- requests (storage-request.c) --- */

/*
 * Who is calling, by the Authorization header; -1 with 400 InvalidRequest when
 * there is none, or 403 AccessDenied.
 */
int storage_identify(struct kith_request *req);

/* The same for what only the service may do: -1 with a true 403 for anybody else. */
int storage_identify_service(struct kith_request *req);

/* The body, an object; nothing counts as {}.  NULL with 400 InvalidRequest. */
const struct kith_json *storage_body(struct kith_request *req);

/*
 * The name of a file, (raw, n) as it stood in the path, decoded once.  NULL
 * with 400 InvalidKey when it is none: see storage_check_key().
 */
const char *storage_key(struct kith_request *req, const char *raw, size_t n);

/*
 * 0 when key may name a file; else -1 with 400 InvalidKey.  1 to 1024 bytes of
 * A-Z a-z 0-9 _/!.*'() &$=@;:+,?- in segments that are not empty, "." or "..".
 */
int storage_check_key(struct kith_request *req, const char *key);

/* 0 when text may name a bucket: up to 100 of these characters but the slash, no blanks outside; else -1 with 400. */
int storage_check_bucket(struct kith_request *req, const char *bucket);

/* The name of a bucket in the path, decoded; NULL with 400 InvalidBucketName. */
const char *storage_bucket(struct kith_request *req, const char *raw, size_t n);

/* A bucket and a key. */
struct storage_name {
	const char *bucket;
	const char *key;
};

/* Both out of req->tail, "bucket/key"; -1 with the error set. */
int storage_name(struct kith_request *req, struct storage_name *name);

/* A parameter of the query, decoded; NULL when absent, or not decodable. */
const char *storage_query(struct kith_request *req, const char *name);

/* The text that base64 stands for, with its padding or without (RFC 4648, section 4); NULL for anything else. */
const char *storage_base64(struct kith_arena *a, const char *text);

/* Whether x-upsert says true. */
bool storage_wants_upsert(const struct kith_request *req);

/* --- errors (storage-errors.c) --- */

/*
 * Refuses with one of the contract's codes, "NoSuchKey", which brings statusCode
 * and error with it: the table in storage-errors.c has them.  Functions in SQL
 * refuse in the same way: errcode 'PT404', detail the code.  Returns -1.
 */
int storage_fail(struct kith_request *req, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The statusCode of one of these codes; 500 for any other. */
int storage_status_code(const char *code);

/* The usual refusals, with the contract's messages. */
int storage_no_key(struct kith_request *req);
int storage_no_bucket(struct kith_request *req);

/* For struct kith_resource: the error in the form that storage-js reads, under HTTP's 400 where the contract says so. */
void storage_write_error(struct kith_request *req);

/* --- the database (storage-database.c) --- */

/*
 * Calls a function of schema kith as the program's login, with these arguments,
 * all text and NULL for SQL's null: storage_call(req, "delete_object", bucket, key).
 * One transaction.  NULL with the error set.
 */
#define storage_call(req, function, ...) \
	storage_call_function((req), "select * from kith." function "(", (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
const PGresult *storage_call_function(struct kith_request *req, const char *begin, const char *const *arguments,
    size_t n);

enum storage_how {
	STORAGE_READ,		/* may be tried again on another connection */
	STORAGE_WRITE,
	STORAGE_REHEARSE,	/* rolled back: what counts is whether it would be refused */
};

/*
 * Runs one statement as the caller in one transaction, under row-level
 * security.  operation is for policies, which read it by storage.operation():
 * "storage.object.list".  -1 with the error set.
 */
int storage_as_caller(struct kith_request *req, const char *operation, enum storage_how how, struct kith_sql *sql,
    const PGresult **result);

/* Answers 200 with the JSON that is the last column of the first row; -1 when result is NULL. */
int storage_answer_json(struct kith_request *req, const PGresult *result);

/* Answers 200 with {"message":text}. */
int storage_answer_message(struct kith_request *req, const char *text);

/* Begins an answer of 200 whose JSON the caller appends to req->reply.body. */
void storage_begin_json(struct kith_request *req);

/* --- taking a file in (storage-put.c) --- */

/*
 * One upload, in steps that others use too (TUS, signed URLs, clips):
 *
 *	storage_check_upload()	bucket, declared size and type, the caller's rights
 *	storage_take()		the bytes, into a file under tmp/
 *	storage_store()		the file made durable, then the row
 *
 * Everything is tied to the request: after an error nothing is left.
 */
struct storage_upload {
	/* To be filled in; what is NULL or 0 has the value after the colon. */
	struct storage_name name;
	bool upsert;
	int64_t declared;		/* bytes as announced, at least; -1: not announced */
	bool early;			/* the type is not known yet, nor the bytes exactly */
	const char *type;		/* as declared; NULL: application/octet-stream */
	const char *cache_control;	/* NULL: no-cache */
	const char *user_metadata;	/* a JSON object; NULL: {} */
	bool signed_url;		/* the rights were checked when the URL was signed; then owner says who signed */
	const char *operation;		/* for policies; NULL: storage.object.upload */
	const char *owner;		/* user's id; NULL: nobody.  Set by storage_check_upload() unless signed_url */
	/*
	 * Writes the row, given the stored metadata as JSON; NULL: kith.store_object().
	 * The first column of its result is the object's id.  NULL with the error set.
	 */
	const PGresult *(*write_row)(struct kith_request *req, const struct storage_upload *up, const char *metadata);
	void *arg;			/* for write_row */

	/* Set by storage_check_upload(). */
	int64_t limit;			/* most bytes */
	const char *replaces;		/* id of the object that the caller may overwrite; NULL: there was none */
	/* Set by storage_take(); TUS sets it itself. */
	struct kith_store_file *file;
	/* Set by storage_store(). */
	const char *version;
	const char *id;
	const PGresult *row;		/* what write_row returned */
};

/*
 * Where the bytes come from: *p points to the next ones, at most 64 KiB, which
 * stay until the next call.  Their number; 0 at the end; -1 with the error set.
 */
struct storage_source {
	ssize_t (*next)(struct kith_request *req, struct storage_source *source, const char **p);
	void *arg;
};

/* The order of the contract: bucket (404), size (413), type (415), then the row as the caller would write it (403, 409). */
int storage_check_upload(struct kith_request *req, struct storage_upload *up);

/* 413 at the byte that is too many; 507 when the disk is full. */
int storage_take(struct kith_request *req, struct storage_upload *up, struct storage_source *source);

/* 415 for active content that was declared to be a picture or a sound. */
int storage_store(struct kith_request *req, struct storage_upload *up);

/* All three. */
int storage_put(struct kith_request *req, struct storage_upload *up, struct storage_source *source);

/*
 * Takes the body in, raw or multipart, with the headers and fields of
 * storage-js; up->name, upsert, signed_url and owner are set.  For the handlers
 * of uploads.
 */
int storage_put_body(struct kith_request *req, struct storage_upload *up);

/* Answers with Key and Id, of a signed URL with the Key alone. */
void storage_answer_upload(struct kith_request *req, const struct storage_upload *up);

/* Sends a file to whom a signed URL gives it, until expires (seconds since 1970). */
int storage_serve_signed(struct kith_request *req, const struct storage_name *name, int64_t expires);

/* What goes into a header when the file is served: -1 with 400 InvalidRequest for what cannot. */
int storage_set_cache_control(struct kith_request *req, struct storage_upload *up, const char *value);

/* What the app wants to know of the file later; what is no JSON object is left out, as on Supabase. */
void storage_set_metadata(struct kith_request *req, struct storage_upload *up, const char *text);

/* Whether the file begins like something that runs, while its type says picture, sound or film (storage-sniff.c). */
bool storage_is_disguised(int fd, const char *type);

/* --- tokens of signed URLs (storage-sign.c) --- */

/*
 * The verified claims of the token in a signed URL: scope "download" or
 * "upload", for this bucket and key.  NULL with 400 InvalidJWT or InvalidSignature.
 */
const struct kith_json *storage_verify_token(struct kith_request *req, const char *token, const char *scope,
    const struct storage_name *name);

/* Reads the secret that they are signed with.  -1 after a line on stderr. */
int storage_sign_init(void);

/* --- handlers --- */

/* storage-upload.c */
int storage_upload(struct kith_request *req);
int storage_may_upload(struct kith_request *req);

/* storage-download.c */
int storage_download(struct kith_request *req);
int storage_download_public(struct kith_request *req);
int storage_info(struct kith_request *req);
int storage_info_public(struct kith_request *req);

/* storage-signed.c */
int storage_download_signed(struct kith_request *req);
int storage_upload_signed(struct kith_request *req);

/* storage-buckets.c */
int storage_buckets(struct kith_request *req);		/* GET and POST /bucket */
int storage_one_bucket(struct kith_request *req);	/* everything below it: GET, PUT, DELETE, POST .../empty */

/* storage-objects.c */
int storage_list(struct kith_request *req);
int storage_list_v2(struct kith_request *req);
int storage_move(struct kith_request *req);
int storage_copy(struct kith_request *req);
int storage_remove(struct kith_request *req);		/* DELETE /object/{bucket} and /object/{bucket}/{key} */

/* storage-sign.c */
int storage_sign(struct kith_request *req);		/* POST /object/sign/{bucket} and /object/sign/{bucket}/{key} */
int storage_sign_upload(struct kith_request *req);

/* storage-tus.c */
int storage_tus_create(struct kith_request *req);	/* POST /upload/resumable, and .../sign */
int storage_tus(struct kith_request *req);		/* HEAD, PATCH, DELETE of one */

#endif
