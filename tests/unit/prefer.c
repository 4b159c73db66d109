/* Prefer and Accept are read as the SDKs write them. */
#include "unit.h"

#include <string.h>

#include "media.h"
#include "prefer.h"

static struct kith_prefer
parse(const char *first, const char *second)
{
	struct kith_request *req = unit_request();
	struct kith_prefer p;

	unit_header(req, "prefer", first);
	if (second)
		unit_header(req, "prefer", second);
	assert_int_equal(kith_prefer_parse(req, &p), 0);
	return p;
}

static void
tokens_come_with_and_without_blanks_and_repeated(void **state)
{
	struct kith_prefer p = parse("return=representation,count=exact", NULL);

	(void)state;
	assert_int_equal(p.returning, KITH_RETURN_REPRESENTATION);
	assert_true(p.count);
	p = parse("missing=default, return=minimal", "resolution=merge-duplicates");
	assert_true(p.missing_default);
	assert_true(p.merge_duplicates);
	assert_int_equal(p.returning, KITH_RETURN_MINIMAL);
	/* Kotlin sends it empty, old Dart with a leading comma. */
	p = parse("", NULL);
	assert_int_equal(p.returning, KITH_RETURN_NONE);
	p = parse(",return=representation", NULL);
	assert_int_equal(p.returning, KITH_RETURN_REPRESENTATION);
}

static void
first_token_of_a_kind_wins(void **state)
{
	struct kith_prefer p = parse("return=minimal, return=representation, count=planned", NULL);

	(void)state;
	assert_int_equal(p.returning, KITH_RETURN_MINIMAL);
	assert_string_equal(p.applied[KITH_PREFER_COUNT], "count=planned");
}

static void
unknown_tokens_are_refused_only_when_strict(void **state)
{
	struct kith_request *req;
	struct kith_prefer p = parse("return=stripped-nulls, foo=bar, max-affected=3", NULL);

	(void)state;
	assert_int_equal(p.max_affected, -1);
	p = parse("handling=strict, max-affected=3, timezone=Europe/Berlin", NULL);
	assert_int_equal(p.max_affected, 3);
	assert_string_equal(p.timezone, "Europe/Berlin");
	req = unit_request();
	unit_header(req, "prefer", "handling=strict, foo=bar, max-affected=x");
	assert_int_equal(kith_prefer_parse(req, &p), -1);
	assert_string_equal(req->error.code, "PGRST122");
	assert_string_equal(req->error.details, "Invalid preferences: foo=bar, max-affected=x");
}

static void
applied_tokens_are_listed_in_order(void **state)
{
	struct kith_request *req = unit_request();
	struct kith_prefer p;

	(void)state;
	unit_header(req, "prefer", "count=exact, return=representation, resolution=ignore-duplicates");
	kith_prefer_parse(req, &p);
	kith_prefer_applied(req, &p, 1 << KITH_PREFER_RESOLUTION | 1 << KITH_PREFER_RETURN | 1 << KITH_PREFER_COUNT);
	assert_string_equal(req->reply.headers.s,
	    "Preference-Applied: resolution=ignore-duplicates, return=representation, count=exact\r\n");
}

static void
first_acceptable_media_type_wins(void **state)
{
	static const struct {
		const char *accept;
		int form;
		bool strip;
		const char *content_type;
	} rows[] = {
		{ "*/*", KITH_MEDIA_ARRAY, false, "application/json; charset=utf-8" },
		{ "application/json;nulls=stripped", KITH_MEDIA_ARRAY, false, "application/json; charset=utf-8" },
		{ "application/vnd.pgrst.object", KITH_MEDIA_OBJECT, false, "application/vnd.pgrst.object+json; charset=utf-8" },
		{ "Application/VND.pgrst.Object+json", KITH_MEDIA_OBJECT, false,
		    "application/vnd.pgrst.object+json; charset=utf-8" },
		{ "application/vnd.pgrst.array+json;nulls=stripped", KITH_MEDIA_ARRAY, true,
		    "application/vnd.pgrst.array+json; nulls=stripped; charset=utf-8" },
		{ "image/png, text/csv;q=0.8, */*", KITH_MEDIA_CSV, false, "text/csv; charset=utf-8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kith_request *req = unit_request();
		struct kith_media media;

		unit_header(req, "accept", rows[i].accept);
		assert_int_equal(kith_media_accept(req, &media), 0);
		assert_int_equal(media.form, rows[i].form);
		assert_int_equal(media.strip_nulls, rows[i].strip);
		assert_string_equal(media.content_type, rows[i].content_type);
	}
}

static void
unacceptable_media_types_are_406(void **state)
{
	struct kith_request *req = unit_request();
	struct kith_media media;

	(void)state;
	unit_header(req, "accept", "image/png, application/vnd.pgrst.plan+text");
	assert_int_equal(kith_media_accept(req, &media), -1);
	assert_int_equal(req->error.status, 406);
	assert_string_equal(req->error.code, "PGRST107");
}

static void
bodies_are_json_or_415(void **state)
{
	static const struct {
		const char *type;
		int status;
	} rows[] = {
		{ "application/json", 0 },
		{ "Application/JSON; charset=utf-8", 0 },
		{ "", 0 },
		{ "text/plain", 415 },
		{ "application/x-www-form-urlencoded", 415 },
		{ "application/jsonp", 415 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kith_request *req = unit_request();

		unit_header(req, "content-type", rows[i].type);
		kith_media_json_body(req);
		assert_int_equal(req->error.status, rows[i].status);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		unit_that("tokens come with and without blanks, and repeated", tokens_come_with_and_without_blanks_and_repeated),
		unit_that("the first token of a kind wins", first_token_of_a_kind_wins),
		unit_that("unknown tokens are refused only when strict", unknown_tokens_are_refused_only_when_strict),
		unit_that("applied tokens are listed in order", applied_tokens_are_listed_in_order),
		unit_that("the first acceptable media type wins", first_acceptable_media_type_wins),
		unit_that("unacceptable media types are 406", unacceptable_media_types_are_406),
		unit_that("bodies are JSON or 415", bodies_are_json_or_415),
	};

	return unit_run(tests);
}
