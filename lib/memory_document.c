#include "memory_document.h"

#include <string.h>

#include "arena.h"
#include "error.h"
#include "hook.h"
#include "json_diff.h"
#include "json_patch.h"
#include "json_value.h"
#include "request.h"
#include "sql.h"

/* Patches to apply before what they left behind is let go. */
#define REFRESH ((size_t)256 << 10)

/* A document that outgrows its memory while patches are applied: it moves to a new arena then. */
struct replay {
	struct kith_request *req;
	struct kith_arena *arena;
	struct kith_json_value *document;	/* NULL: there is none yet */
	size_t applied;		/* bytes of patches in this arena */
};

static void
free_replay(void *r)
{
	kith_arena_free(((struct replay *)r)->arena);
}

/* What is stored was made here: if it does not fit, it is not the client's fault. */
static int
fail_stored(const struct replay *r, const char *error)
{
	kith_fail(r->req, 500, "XX001", "the history of the memory is damaged");
	return kith_fail_log(r->req, "memory_snapshots: %s", error);
}

static int
refresh(struct replay *r)
{
	struct kith_arena *old = r->arena;
	struct kith_buf text;
	const char *error;

	r->arena = kith_arena_new(0);
	r->applied = 0;
	kith_buf_init(&text, r->arena, REFRESH);
	kith_json_value_write(&text, r->document);
	r->document = kith_json_value_parse(r->arena, text.s, text.len, &error);
	kith_arena_free(old);
	return r->document ? 0 : fail_stored(r, error);
}

/* Applies the rows of (version, operations), which begin with a checkpoint. */
static struct replay *
replay(struct kith_request *req, const PGresult *history)
{
	struct replay *r = kith_new(req->arena, struct replay);

	r->req = req;
	r->arena = kith_arena_new(0);
	kith_arena_later(req->arena, free_replay, r);
	for (int row = 0; row < PQntuples(history); row++) {
		size_t n = (size_t)PQgetlength(history, row, 1);
		struct kith_json_value *patch;
		const char *error = "a checkpoint without a document";

		if (r->applied > REFRESH && refresh(r))
			return NULL;
		r->applied += row ? n : 0;
		patch = kith_json_value_parse(r->arena, PQgetvalue(history, row, 1), n, &error);
		if (!patch || kith_json_patch_apply(r->arena, &r->document, patch, &error) ||
		    !r->document) {
			fail_stored(r, error);
			return NULL;
		}
	}
	return r;
}

static int
fail_document(struct kith_request *req, const char *error)
{
	kith_fail(req, 400, "22023", "the document cannot be kept: %s", error);
	return kith_fail_details(req, "About %d values in %d levels are allowed.", KITH_JSON_VALUES, KITH_JSON_DEPTH - 2);
}

/* Parsed as the checkpoint that it may become, which has to be read again. */
static struct kith_json_value *
parse_document(struct kith_hook_call *call)
{
	struct kith_request *req = call->req;
	const char *text = kith_hook_argument(call, "document");
	struct kith_json_value *operation;
	const char *error;
	size_t n;

	if (!text || (*text != '{' && *text != '[')) {
		kith_fail(req, 400, "22023", "the document must be an object or an array");
		return NULL;
	}
	n = strlen(text);
	if (n > KITH_MEMORY_DOCUMENT_MAX) {
		kith_fail(req, 413, "54000", "the document is too large");
		kith_fail_details(req, "It has %zu bytes, %zu are allowed.", n, KITH_MEMORY_DOCUMENT_MAX);
		return NULL;
	}
	text = kith_format(req->arena, "[{\"value\":%s}]", text);
	operation = kith_json_value_parse(req->arena, text, strlen(text), &error);
	if (!operation) {
		fail_document(req, error);
		return NULL;
	}
	return kith_json_value_get(kith_json_value_at(operation, 0), "value");
}

int
kith_memory_document_read_newest(struct kith_hook_call *call, struct kith_sql **sql)
{
	call->state = parse_document(call);
	if (!call->state)
		return -1;
	/* Whoever waits here sees in the next statement what the other one saved. */
	sql[0] = kith_sql_new(call->req->arena);
	kith_sql_text(sql[0], "select from public.users u where u.id = (select auth.uid()) for no key update");
	sql[1] = kith_sql_new(call->req->arena);
	kith_sql_text(sql[1], "select s.version, s.operations from public.memory_snapshots s"
	    " where s.user_id = (select auth.uid()) and s.version >= ("
	    "select c.version from public.memory_snapshots c"
	    " where c.user_id = (select auth.uid()) and c.is_checkpoint order by c.version desc limit 1)"
	    " order by s.version");
	return 2;
}

static size_t
bytes_of_patches(const PGresult *history)
{
	size_t n = 0;

	/* The first one is the checkpoint. */
	for (int row = 1; row < PQntuples(history); row++)
		n += (size_t)PQgetlength(history, row, 1);
	return n;
}

int
kith_memory_document_difference(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out)
{
	struct kith_arena *arena = call->req->arena;
	const PGresult *history = results[1];
	int n = PQntuples(history);
	struct kith_json_value *document = call->state;
	struct replay *r;
	struct kith_buf patch;
	const char *error;

	if (!n) {
		kith_buf_lit(out, "{\"after\":0}");
		return 0;
	}
	r = replay(call->req, history);
	if (!r)
		return -1;
	kith_buf_init(&patch, arena, 1000);
	kith_json_diff(&patch, r->document, document);
	kith_buf_printf(out, "{\"after\":%s,\"operations\":", PQgetvalue(history, n - 1, 0));
	/* A patch of very many operations may have more values than can be read again. */
	if (bytes_of_patches(history) + patch.len > KITH_MEMORY_PATCHES + document->size ||
	    !kith_json_value_parse(arena, patch.s, patch.len, &error))
		kith_buf_lit(out, "null");
	else
		kith_buf_add(out, patch.s, patch.len);
	kith_buf_putc(out, '}');
	return 0;
}

int
kith_memory_document_read_version(struct kith_hook_call *call, struct kith_sql **sql)
{
	const char *version = kith_hook_argument(call, "version");
	struct kith_sql *q = sql[0] = kith_sql_new(call->req->arena);

	kith_sql_text(q, "with wanted as (select coalesce(");
	kith_sql_param(q, version);
	kith_sql_text(q, "::integer, (select max(n.version) from public.memory_snapshots n"
	    " where n.user_id = (select auth.uid()))) as version)"
	    " select s.version, s.operations from public.memory_snapshots s"
	    " where s.user_id = (select auth.uid()) and s.version <= (select version from wanted) and s.version >= ("
	    "select c.version from public.memory_snapshots c"
	    " where c.user_id = (select auth.uid()) and c.is_checkpoint and c.version <= (select version from wanted)"
	    " order by c.version desc limit 1)"
	    " order by s.version");
	return 1;
}

int
kith_memory_document_version(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out)
{
	const PGresult *history = results[0];
	int n = PQntuples(history);
	struct replay *r;

	if (!n) {
		kith_buf_lit(out, "0\n");
		return 0;
	}
	r = replay(call->req, history);
	if (!r)
		return -1;
	kith_buf_printf(out, "%s\n", PQgetvalue(history, n - 1, 0));
	kith_json_value_write(out, r->document);
	return 0;
}
