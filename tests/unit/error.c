/* What went wrong becomes one status and one body. */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "error.h"

/* Contract REST, section 8, row by row. */
static void
every_sqlstate_has_its_status(void **state)
{
	static const struct {
		const char *sqlstate;
		int status;
		int anonymous;
	} rows[] = {
		{ "23505", 409, 0 }, { "23503", 409, 0 }, { "23502", 400, 0 }, { "23514", 400, 0 }, { "22P02", 400, 0 },
		{ "22003", 400, 0 }, { "22023", 400, 0 }, { "42703", 400, 0 }, { "42P10", 400, 0 }, { "42601", 400, 0 },
		{ "42883", 404, 0 }, { "42P01", 404, 0 }, { "42P17", 500, 0 }, { "42501", 403, 0 }, { "42501", 401, 1 },
		{ "42703", 400, 1 }, { "21000", 400, 0 }, { "25006", 405, 0 }, { "25001", 500, 0 }, { "P0001", 400, 0 },
		{ "P0002", 500, 0 }, { "08006", 503, 0 }, { "53300", 503, 0 }, { "53400", 500, 0 }, { "53100", 503, 0 },
		{ "57P01", 503, 0 }, { "57P03", 503, 0 }, { "57014", 504, 0 }, { "40001", 503, 0 }, { "40P01", 503, 0 },
		{ "40002", 500, 0 }, { "54001", 400, 0 }, { "54000", 400, 0 }, { "55P03", 503, 0 }, { "55006", 500, 0 },
		{ "0LP01", 403, 0 }, { "0P000", 403, 0 }, { "28000", 403, 0 }, { "09000", 500, 0 }, { "2D000", 500, 0 },
		{ "38000", 500, 0 }, { "39000", 500, 0 }, { "3B000", 500, 0 }, { "58030", 500, 0 }, { "F0000", 500, 0 },
		{ "HV000", 500, 0 }, { "XX000", 500, 0 }, { "PT409", 409, 0 }, { "PT401", 401, 0 }, { "PT100", 500, 0 },
		{ "PTabc", 400, 0 }, { "99999", 400, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (kith_error_status(rows[i].sqlstate, rows[i].anonymous) != rows[i].status)
			fail_msg("%s is %d", rows[i].sqlstate, kith_error_status(rows[i].sqlstate, rows[i].anonymous));
}

static void
first_error_wins(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	assert_int_equal(kith_fail(req, 400, "PGRST100", "bad %s", "limit"), -1);
	assert_int_equal(kith_fail(req, 500, "XX000", "later"), -1);
	kith_fail_hint(req, "try %d", 1);
	kith_fail_hint(req, "try %d", 2);
	assert_int_equal(req->error.status, 400);
	assert_string_equal(req->error.message, "bad limit");
	assert_string_equal(req->error.hint, "try 1");
	assert_null(req->error.details);
}

static void
body_has_the_four_keys_and_never_the_log(void **state)
{
	struct kith_request *req = unit_request();
	struct kith_buf out;

	(void)state;
	kith_fail(req, 400, "22P02", "invalid input: \"%s\"", "a\nb");
	kith_fail_log(req, "secret");
	kith_buf_init(&out, req->arena, 0);
	kith_error_json(&out, &req->error);
	assert_string_equal(out.s,
	    "{\"code\":\"22P02\",\"details\":null,\"hint\":null,\"message\":\"invalid input: \\\"a\\nb\\\"\"}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("every SQLSTATE has its status", every_sqlstate_has_its_status),
		unit_that("the first error wins", first_error_wins),
		unit_that("the body has the four keys and never the log", body_has_the_four_keys_and_never_the_log),
	};

	return unit_run(tests);
}
