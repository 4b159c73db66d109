/*
 * clips - the recordings that a voice is trained from: sql/180_clips.sql.
 *
 * Beside the rows there is POST /functions/v1/clips, a form with the recording
 * and what the row says of it: file and row are stored together or not at all,
 * where an app with two calls may lose its connection in between.  So this
 * program is linked with that of storage.
 */
#include "storage-program.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "arena.h"
#include "kith.h"
#include "multipart.h"
#include "settings.h"
#include "store.h"

#define BUCKET "training_clips"
#define FIELD_MAX ((size_t)64 << 10)
#define FIELDS "The form has profile_id, prompt_index, prompt_text, perhaps stage, and the recording as its file."

struct clip {
	const char *profile_id;
	const char *prompt_index;
	const char *prompt_text;
	const char *stage;
	const char *type;	/* of the recording, as the browser named it */
	const char *ending;	/* of its name, which goes by the type */
};

static const struct field {
	const char *name;
	size_t offset;
	bool required;
} fields[] = {
	{ "profile_id", offsetof(struct clip, profile_id), true },
	{ "prompt_index", offsetof(struct clip, prompt_index), true },
	{ "prompt_text", offsetof(struct clip, prompt_text), true },
	{ "stage", offsetof(struct clip, stage), false },
};

/* What browsers and telephones record. */
static const struct {
	const char *type;
	const char *ending;
} kinds[] = {
	{ "audio/webm", "webm" },
	{ "video/webm", "webm" },
	{ "audio/ogg", "ogg" },
	{ "audio/mp4", "mp4" },
	{ "video/mp4", "mp4" },
	{ "audio/m4a", "m4a" },
	{ "audio/x-m4a", "m4a" },
	{ "audio/aac", "aac" },
	{ "audio/mpeg", "mp3" },
	{ "audio/wav", "wav" },
	{ "audio/wave", "wav" },
	{ "audio/x-wav", "wav" },
	{ "audio/flac", "flac" },
};

static const char **
slot(struct clip *clip, const struct field *field)
{
	return (const char **)((char *)clip + field->offset);
}

static const struct field *
find_field(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(name, fields[i].name))
			return &fields[i];
	return NULL;
}

static int
bad_form(struct kith_request *req, const char *what)
{
	kith_fail(req, 400, "KITH400", "%s", what);
	return kith_fail_hint(req, "%s", FIELDS);
}

/* An empty field is none: that is how a form leaves one out. */
static int
take_field(struct kith_request *req, struct kith_multipart *form, const char *name, struct clip *clip)
{
	const struct field *field = find_field(name);
	const char *text;

	if (!field)
		return bad_form(req, kith_format(req->arena, "the form has an unknown field \"%s\"", name));
	if (*slot(clip, field))
		return bad_form(req, kith_format(req->arena, "the form has %s twice", field->name));
	text = kith_multipart_text(form, FIELD_MAX);
	if (text && *text)
		*slot(clip, field) = text;
	return text ? 0 : -1;
}

static ssize_t
next_of_part(struct kith_request *req, struct storage_source *source, const char **p)
{
	(void)req;
	return kith_multipart_read(source->arg, p);
}

static int
take_file(struct kith_request *req, struct kith_multipart *form, const struct kith_part *part, struct clip *clip,
    struct storage_upload *up)
{
	struct storage_source source = { next_of_part, form };

	if (up->file)
		return bad_form(req, "the form has two files");
	clip->type = part->type ? part->type : "";
	return storage_take(req, up, &source);
}

/*
 * Fields and file, in whatever order the app appended them: what the fields say
 * can be asked of the database only after the file, which is under tmp/ then.
 */
static int
read_form(struct kith_request *req, struct clip *clip, struct storage_upload *up)
{
	struct kith_multipart *form;
	struct kith_part part;
	int more;

	if (!kith_multipart_declared(req))
		return bad_form(req, "the body is no multipart/form-data");
	form = kith_multipart_new(req);
	if (!form)
		return -1;
	while ((more = kith_multipart_next(form, &part)) > 0)
		if (part.filename ? take_file(req, form, &part, clip, up) : take_field(req, form, part.name, clip))
			return -1;
	if (more < 0)
		return -1;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].required && !*slot(clip, &fields[i]))
			return bad_form(req, kith_format(req->arena, "the form has no %s", fields[i].name));
	return up->file ? 0 : bad_form(req, "the form has no file");
}

/* Parameters of a type ("; codecs=opus") say nothing about the ending. */
static int
choose_ending(struct kith_request *req, struct clip *clip)
{
	size_t n = strcspn(clip->type, "; \t");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].type) == n && !strncasecmp(kinds[i].type, clip->type, n)) {
			clip->ending = kinds[i].ending;
			return 0;
		}
	}
	kith_fail(req, 415, "InvalidMimeType", "a clip cannot be of the type \"%s\"", clip->type);
	return kith_fail_hint(req, "Send a Blob with the type of the recorder: audio/webm, audio/mp4, audio/ogg, "
	    "audio/mpeg, audio/aac, audio/wav or audio/flac.");
}

/*
 * The row as the caller would write it, written as the caller, and rolled back:
 * policies and constraints say what they say to everybody.  Returns where its
 * recording belongs, the bucket in front.
 */
static const char *
rehearse(struct kith_request *req, const struct clip *clip)
{
	struct kith_sql *sql = kith_sql_new(req->arena);
	const PGresult *result;

	kith_sql_text(sql, "insert into public.clips as c (user_id, profile_id, prompt_index, prompt_text, stage, "
			   "audio_storage_path, mime_type) select p.user_id, p.id, n.prompt_index, ");
	kith_sql_param(sql, clip->prompt_text);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, clip->stage);
	kith_sql_text(sql, "::integer, '" BUCKET "/' || p.user_id || '/' || p.id || '/' || n.prompt_index || '.' || ");
	kith_sql_param(sql, clip->ending);
	kith_sql_text(sql, ", ");
	kith_sql_param(sql, clip->type);
	kith_sql_text(sql, " from public.profiles p, (select ");
	kith_sql_param(sql, clip->prompt_index);
	kith_sql_text(sql, "::integer as prompt_index) n where p.id = ");
	kith_sql_param(sql, clip->profile_id);
	kith_sql_text(sql, "::uuid on conflict (profile_id, prompt_index) do update set "
			   "prompt_text = excluded.prompt_text, stage = excluded.stage, "
			   "audio_storage_path = excluded.audio_storage_path, mime_type = excluded.mime_type "
			   "returning c.audio_storage_path");
	if (storage_as_caller(req, "storage.object.upload_update", STORAGE_REHEARSE, sql, &result))
		return NULL;
	if (PQntuples(result))
		return PQgetvalue(result, 0, 0);
	kith_fail(req, 404, "PT404", "profile not found");
	kith_fail_hint(req, "profile_id must be the id of a profile of yours.");
	return NULL;
}

/* Both rows, in one transaction. */
static const PGresult *
write_rows(struct kith_request *req, const struct storage_upload *up, const char *metadata)
{
	const struct clip *clip = up->arg;

	return storage_call(req, "store_clip", clip->profile_id, clip->prompt_index, clip->prompt_text, clip->stage,
	    up->name.key, up->version, up->owner, metadata, up->replaces);
}

static int
record(struct kith_request *req)
{
	struct clip clip = { 0 };
	struct storage_upload up = {
		.name.bucket = BUCKET,
		.upsert = true,
		.limit = kith_settings.file_limit,
		.write_row = write_rows,
		.arg = &clip,
	};
	const char *path;

	if (kith_auth_identify(req) || read_form(req, &clip, &up) || choose_ending(req, &clip))
		return -1;
	path = rehearse(req, &clip);
	if (!path)
		return -1;
	up.name.key = path + strlen(BUCKET "/");
	up.type = clip.type;
	up.declared = up.file->size;
	if (storage_check_upload(req, &up)) {
		if (!strcmp(req->error.code, "NoSuchBucket"))
			kith_fail_hint(req, "The server has to make the bucket " BUCKET " (KITH_BUCKETS).");
		return -1;
	}
	return storage_store(req, &up) ? -1 : storage_answer_json(req, up.row);
}

static const struct kith_route routes[] = {
	{ KITH_POST, "/clips", record },
	{ 0 },
};

const struct kith_resource kith_clips = {
	.name = "clips",
	.tables = { "clips", "training_clips" },
	.mount = KITH_FUNCTIONS,
	.routes = routes,
	.streams = true,
	.login = "kith_storage",
};
