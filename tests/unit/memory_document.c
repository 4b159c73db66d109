/* Goal: what cannot be kept is refused before anything is read; what is computed follows from what was. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "hook.h"
#include "memory_document.h"
#include "sql.h"

static struct kith_hook_call call;
static struct kith_sql *sql[KITH_HOOK_READS];

static int
read_newest(const char *body)
{
	call = (struct kith_hook_call){ .req = unit_request(), .body = body };
	return kith_memory_document_read_newest(&call, sql);
}

static void
drop(void *result)
{
	PQclear(result);
}

/* A history as PostgreSQL would bring it: versions from 1 on, until a NULL. */
static const PGresult *
history(const char *const *operations)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[] = { { .name = (char[]){ "version" } }, { .name = (char[]){ "operations" } } };

	kith_arena_later(call.req->arena, drop, result);
	assert_true(PQsetResultAttrs(result, 2, columns));
	for (int row = 0; operations[row]; row++) {
		char *version = kith_format(call.req->arena, "%d", row + 1);
		char *patch = kith_strdup(call.req->arena, operations[row]);

		assert_true(PQsetvalue(result, row, 0, version, (int)strlen(version)));
		assert_true(PQsetvalue(result, row, 1, patch, (int)strlen(patch)));
	}
	return result;
}

/* What save_memory would be told. */
static const char *
difference(const char *const *operations, const char *document)
{
	const PGresult *results[2] = { NULL };
	struct kith_buf out;
	char body[100];

	snprintf(body, sizeof(body), "{\"document\":%s}", document);
	assert_int_equal(read_newest(body), 2);
	results[1] = history(operations);
	kith_buf_init(&out, call.req->arena, 0);
	assert_int_equal(kith_memory_document_difference(&call, results, &out), 0);
	return out.s;
}

static void
no_document(void **state)
{
	static const char *const bodies[] = {
		"{}", "{\"document\":null}", "{\"document\":1}", "{\"document\":\"a\"}", "{\"document\":true}",
		"{\"document\":[1e20000]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		assert_int_equal(read_newest(bodies[i]), -1);
		assert_int_equal(call.req->error.status, 400);
		assert_string_equal(call.req->error.code, "22023");
	}
}

static void
too_large(void **state)
{
	char *body = test_malloc(KITH_MEMORY_DOCUMENT_MAX + 100);
	size_t n = (size_t)sprintf(body, "{\"document\":[\"");

	(void)state;
	memset(body + n, 'x', KITH_MEMORY_DOCUMENT_MAX - 4);
	strcpy(body + n + KITH_MEMORY_DOCUMENT_MAX - 4, "\"]}");
	assert_int_equal(read_newest(body), 2);
	strcpy(body + n + KITH_MEMORY_DOCUMENT_MAX - 4, "x\"]}");
	assert_int_equal(read_newest(body), -1);
	assert_int_equal(call.req->error.status, 413);
	assert_string_equal(call.req->error.code, "54000");
	test_free(body);
}

static void
differences(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const some[] = {
		"[{\"op\": \"add\", \"path\": \"\", \"value\": {\"a\": 1, \"b\": [1]}}]",
		"[{\"op\": \"add\", \"path\": \"/b/1\", \"value\": 2}]", NULL,
	};

	(void)state;
	assert_string_equal(difference(none, "{\"a\":1}"), "{\"after\":0}");
	assert_string_equal(difference(some, "{\"b\":[1,2],\"a\":1}"), "{\"after\":2,\"operations\":[]}");
	assert_string_equal(difference(some, "{\"b\":[2],\"a\":1}"),
	    "{\"after\":2,\"operations\":[{\"op\":\"remove\",\"path\":\"/b/0\"}]}");
}

static void
patches_pile_up(void **state)
{
	static const char begin[] = "[{\"op\": \"replace\", \"path\": \"/a\", \"value\": 3";
	static char patch[KITH_MEMORY_PATCHES / 4];
	const char *rows[] = {
		"[{\"op\": \"add\", \"path\": \"\", \"value\": {\"a\": 1}}]", patch, patch, patch, NULL, NULL, NULL,
	};

	(void)state;
	/* Of a little less than a quarter of what may be, and made long by blanks: what counts is what is to be read. */
	memset(patch, ' ', sizeof(patch) - 1);
	memcpy(patch, begin, strlen(begin));
	memcpy(patch + sizeof(patch) - 3, "}]", 2);
	assert_string_equal(difference(rows, "{\"a\":2}"),
	    "{\"after\":4,\"operations\":[{\"op\":\"replace\",\"path\":\"/a\",\"value\":2}]}");
	/* These are applied too, with fresh memory in between. */
	rows[4] = rows[5] = patch;
	assert_string_equal(difference(rows, "{\"a\":2}"), "{\"after\":6,\"operations\":null}");
	assert_string_equal(difference(rows, "{\"a\":3}"), "{\"after\":6,\"operations\":null}");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("what is no document is refused", no_document),
		unit_that("a document has a largest size", too_large),
		unit_that("differences are those to the newest version", differences),
		unit_that("where patches pile up, a checkpoint is asked for", patches_pile_up),
	};

	return unit_run(tests);
}
