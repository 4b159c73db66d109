/*
 * Goal: the catalog knows what the database has, and is renewed when that changes.
 */
#include "unit.h"

#include <stdio.h>

#include "catalog.h"
#include "db.h"
#include "plan_try.h"
#include "settings.h"

static int queries;
static bool refuses;

/* Stands in for the database: the sample's rows, a version, or a refusal. */
const PGresult *
kith_db_catalog(struct kith_request *req, const struct kith_sql *sql)
{
	static const struct {
		const char *mark, *rows;
		int ncolumns;
	} answers[] = {
		{ "base.typcategory", sample_types, 9 },
		{ "pg_attrdef", sample_columns, 11 },
		{ "k.conrelid", sample_keys, 6 },
		{ "w.ev_action", sample_views, 4 },
		{ "proargnames", sample_functions, 13 },
	};

	queries++;
	if (refuses) {
		kith_fail(req, 503, "PGRST001", "Database connection lost");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strstr(sql->text.s, answers[i].mark)) {
			PGresult *result = sample_result(answers[i].rows, answers[i].ncolumns);

			kith_arena_later(req->arena, (void (*)(void *))PQclear, result);
			return result;
		}
	assert_string_equal(sql->text.s, "select last_value from kith.schema_version");
	return NULL;
}

static const struct kith_catalog *
sample(void)
{
	static const char *schemas[] = { "public", "other", NULL };

	kith_settings.schemas = schemas;
	refuses = false;
	return kith_catalog_get(unit_request());
}

static const char *
ways_of(const char *schema, const char *name)
{
	static const char *const cardinalities[] = { "one", "many", "through" };
	const struct kith_catalog *c = sample();
	struct kith_request *req = unit_request();
	const struct kith_relationship *way;
	struct kith_buf b;
	size_t n = kith_catalog_relationships(c, kith_catalog_relation(c, schema, name), &way);

	kith_buf_init(&b, req->arena, 200);
	for (size_t i = 0; i < n; i++)
		kith_buf_printf(&b, "%s%s %s.%s by %s", i ? ", " : "", cardinalities[way[i].cardinality],
		    way[i].to->schema, way[i].to->name, way[i].from_columns[0]);
	return b.s;
}

static void
foreign_keys_lead_both_ways(void **state)
{
	(void)state;
	assert_string_equal(ways_of("public", "notes"),
	    "one public.chat_cards by chat_id, one public.chats by chat_id");
	assert_string_equal(ways_of("public", "badges"), "one public.people by person_id");
	/* A person has at most one badge, whose key is the person. */
	assert_non_null(strstr(ways_of("public", "people"), "one public.badges by id"));
	assert_non_null(strstr(ways_of("public", "people"), "many public.chats by id"));
}

static void
junctions_join(void **state)
{
	(void)state;
	assert_non_null(strstr(ways_of("public", "chats"), "through public.topics by id"));
	assert_non_null(strstr(ways_of("public", "topics"), "through public.chats by id"));
}

static void
views_show_keys(void **state)
{
	const struct kith_relation *view = kith_catalog_relation(sample(), "public", "chat_cards");

	(void)state;
	assert_true(view->is_view);
	assert_string_equal(view->primary_key[0], "card_id");
	assert_null(view->primary_key[1]);
	assert_non_null(strstr(ways_of("public", "chat_cards"), "many public.notes by card_id"));
	assert_non_null(strstr(ways_of("public", "chat_cards"), "one public.people by owner"));
}

static void
schemas_are_closed(void **state)
{
	(void)state;
	assert_string_equal(ways_of("other", "far"), "one other.chats by chat_id, one public.topics by topic_id");
	assert_string_equal(ways_of("other", "chats"), "many other.far by id");
}

static void
functions_by_name(void **state)
{
	const struct kith_function *f;
	const struct kith_catalog *c = sample();

	(void)state;
	assert_int_equal(kith_catalog_functions(c, "public", "say", &f), 2);
	assert_int_equal(kith_catalog_functions(c, "public", "pg_sleep", &f), 0);
	assert_int_equal(kith_catalog_functions(c, "other", "say", &f), 0);
	assert_int_equal(kith_catalog_functions(c, "public", "chats_of", &f), 1);
	assert_true(f->set && f->composite);
	assert_ptr_equal(f->returns, kith_catalog_relation(c, "public", "chats"));
	assert_int_equal(kith_catalog_functions(c, "public", "numbers", &f), 1);
	assert_int_equal(f->ncolumns, 2);
	assert_int_equal(f->narguments, 1);
	assert_int_equal(kith_catalog_functions(c, "public", "add_them", &f), 1);
	assert_true(f->arguments[0].required && !f->arguments[1].required && !f->is_volatile);
}

static void
casts_are_listed(void **state)
{
	const struct kith_catalog *c = sample();

	(void)state;
	assert_string_equal(kith_catalog_cast(c, "mood")->name, "public.mood");
	assert_string_equal(kith_catalog_cast(c, "timestamptz")->name, "timestamptz");
	assert_null(kith_catalog_cast(c, "regclass"));
	assert_null(kith_catalog_cast(c, "chats"));
	assert_null(kith_catalog_cast(c, ""));
}

static void
names_are_bytes(void **state)
{
	const struct kith_catalog *c = sample();

	(void)state;
	assert_null(kith_catalog_relation(c, "public", "Chats"));
	assert_null(kith_catalog_relation(c, "private", "chats"));
	assert_null(kith_catalog_column(kith_catalog_relation(c, "public", "chats"), "ID"));
}

static void
near_names(void **state)
{
	const struct kith_catalog *c = sample();
	const struct kith_relation *chats = kith_catalog_relation(c, "public", "chats");
	char endless[201] = "";

	(void)state;
	memset(endless, 'a', sizeof(endless) - 1);
	assert_string_equal(kith_catalog_nearest_relation(c, "public", "chat"), "chats");
	assert_string_equal(kith_catalog_nearest_column(chats, "titel"), "title");
	assert_string_equal(kith_catalog_nearest_function(c, "public", "add_then"), "add_them");
	assert_string_equal(kith_catalog_nearest_related(c, chats, "topic"), "topics");
	assert_null(kith_catalog_nearest_relation(c, "public", "invoices"));
	assert_null(kith_catalog_nearest_column(chats, endless));
	assert_null(kith_catalog_nearest_column(chats, ""));
}

static void
renewed_once(void **state)
{
	const struct kith_catalog *before = sample(), *after;
	int asked = queries;

	(void)state;
	assert_ptr_equal(sample(), before);
	assert_int_equal(queries, asked);
	kith_catalog_expire();
	after = sample();
	assert_ptr_not_equal(after, before);
	assert_int_equal(queries, asked + KITH_CATALOG_QUERIES);
	assert_ptr_equal(sample(), after);
	kith_catalog_version(1);
	assert_ptr_equal(sample(), after);
	kith_catalog_version(2);
	assert_ptr_not_equal(sample(), after);
}

static void
refresh_asks_the_version(void **state)
{
	int asked;

	(void)state;
	sample();
	asked = queries;
	assert_false(kith_catalog_refresh(unit_request()));
	assert_int_equal(queries, asked + 1);
	kith_catalog_expire();
	assert_true(kith_catalog_refresh(unit_request()));
}

static void
old_one_stays(void **state)
{
	const struct kith_catalog *before = sample();
	struct kith_request *req = unit_request();

	(void)state;
	kith_catalog_expire();
	refuses = true;
	assert_ptr_equal(kith_catalog_get(req), before);
	assert_int_equal(req->error.status, 0);
	assert_non_null(kith_catalog_relation(before, "public", "chats"));
}

/* Runs first, while there is none. */
static void
none_is_503(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	kith_settings.schemas = (const char *[]){ "public", NULL };
	refuses = true;
	assert_null(kith_catalog_get(req));
	assert_int_equal(req->error.status, 503);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("without a catalog the answer is 503", none_is_503),
		unit_that("a foreign key leads both ways, to one row where it is unique", foreign_keys_lead_both_ways),
		unit_that("a table whose key is two foreign keys joins many to many", junctions_join),
		unit_that("a view has the keys of the columns that it shows", views_show_keys),
		unit_that("a schema's own names come before another schema's", schemas_are_closed),
		unit_that("functions are found by name, in their schema only", functions_by_name),
		unit_that("a cast is to a listed type", casts_are_listed),
		unit_that("names are compared byte by byte", names_are_bytes),
		unit_that("a near name is suggested, a far one is not", near_names),
		unit_that("a notice or another version renews the catalog, once", renewed_once),
		unit_that("a miss asks for the version before it reads everything", refresh_asks_the_version),
		unit_that("an old catalog stays in force while a reload fails", old_one_stays),
	};

	return unit_run(tests);
}
