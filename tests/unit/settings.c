/* Goal: settings are what the environment says, and a mistake in it is told in one line. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "settings.h"

static char said[512];

/* Loads from an environment of the two necessary variables and this one; what goes to stderr is in said. */
static int
load(const char *name, const char *value)
{
	int old = dup(STDERR_FILENO), result;
	FILE *f = tmpfile();
	size_t n;

	clearenv();
	setenv("KITH_DATABASE", "dbname=kith", 1);
	setenv("KITH_KEYS", "keys.json", 1);
	setenv(name, value, 1);
	dup2(fileno(f), STDERR_FILENO);
	result = kith_settings_load();
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	fclose(f);
	return result;
}

static void
defaults(void **state)
{
	(void)state;
	assert_int_equal(load("OTHER", "x"), 0);
	assert_string_equal(said, "");
	assert_string_equal(kith_settings.database, "dbname=kith");
	assert_string_equal(kith_settings.keys, "keys.json");
	assert_string_equal(kith_settings.schemas[0], "public");
	assert_string_equal(kith_settings.schemas[1], "justin");
	assert_string_equal(kith_settings.schemas[5], "essence");
	assert_null(kith_settings.schemas[6]);
	assert_int_equal(kith_settings.max_rows, 1000);
	assert_int_equal(kith_settings.body_limit, 1048576);
	assert_int_equal(kith_settings.statement_timeout_anon, 3000);
	assert_int_equal(kith_settings.statement_timeout, 8000);
	assert_string_equal(kith_settings.jwt_audience, "authenticated");
	assert_int_equal(kith_settings.jwt_leeway, 30);
	assert_false(kith_settings.anon_without_key);
	assert_true(kith_settings.prepared_statements);
	assert_int_equal(kith_settings.idle_disconnect, 60);
	assert_int_equal(kith_settings.idle_stop, 300);
	assert_int_equal(kith_settings.log_level, KITH_LOG_INFO);
}

static void
values(void **state)
{
	(void)state;
	assert_int_equal(load("KITH_MAX_ROWS", "0"), 0);
	assert_int_equal(kith_settings.max_rows, 0);
	assert_int_equal(load("KITH_JWT_LEEWAY", "60"), 0);
	assert_int_equal(kith_settings.jwt_leeway, 60);
	assert_int_equal(load("KITH_PREPARED_STATEMENTS", "0"), 0);
	assert_false(kith_settings.prepared_statements);
	assert_int_equal(load("KITH_ANON_WITHOUT_KEY", "1"), 0);
	assert_true(kith_settings.anon_without_key);
	assert_int_equal(load("KITH_LOG_LEVEL", "error"), 0);
	assert_int_equal(kith_settings.log_level, KITH_LOG_ERROR);
	assert_int_equal(load("KITH_JWT_AUDIENCE", "people"), 0);
	assert_string_equal(kith_settings.jwt_audience, "people");
	assert_int_equal(load("KITH_PROCESSES", "1"), 0);
	assert_int_equal(kith_settings.processes, 1);
	assert_int_equal(load("KITH_BODY_LIMIT", ""), 0);
	assert_int_equal(kith_settings.body_limit, 1048576);
}

static void
schemas(void **state)
{
	(void)state;
	assert_int_equal(load("KITH_SCHEMAS", "companion"), 0);
	assert_string_equal(kith_settings.schemas[0], "companion");
	assert_null(kith_settings.schemas[1]);
	assert_int_equal(load("KITH_SCHEMAS", "public, my schema ,x"), 0);
	assert_string_equal(kith_settings.schemas[0], "public");
	assert_string_equal(kith_settings.schemas[1], "my schema");
	assert_string_equal(kith_settings.schemas[2], "x");
	assert_null(kith_settings.schemas[3]);
}

static void
links(void **state)
{
	(void)state;
	assert_null(kith_settings.redirect_urls);
	assert_int_equal(load("KITH_REDIRECT_URLS", "myapp://callback, https://*.example.org/**"), 0);
	assert_string_equal(kith_settings.redirect_urls[0], "myapp://callback");
	assert_string_equal(kith_settings.redirect_urls[1], "https://*.example.org/**");
	assert_null(kith_settings.redirect_urls[2]);
	assert_int_equal(load("KITH_VERIFY_GET", "redirect"), 0);
	assert_true(kith_settings.verify_get);
	assert_int_equal(load("KITH_VERIFY_GET", "page"), 0);
	assert_false(kith_settings.verify_get);
	assert_int_equal(load("KITH_AUTOCONFIRM", "0"), 0);
	assert_true(kith_settings.autoconfirm);
}

static void
refused(void **state)
{
	static const struct {
		const char *name;
		const char *value;
	} rows[] = {
		{ "KITH_MAX_ROWS", "-1" },
		{ "KITH_MAX_ROWS", "ten" },
		{ "KITH_BODY_LIMIT", "1m" },
		{ "KITH_BODY_LIMIT", "1073741825" },
		{ "KITH_STATEMENT_TIMEOUT", "0" },
		{ "KITH_STATEMENT_TIMEOUT_ANON", "3.5" },
		{ "KITH_JWT_LEEWAY", "61" },
		{ "KITH_IDLE_DISCONNECT", " 60" },
		{ "KITH_PROCESSES", "0" },
		{ "KITH_PROCESSES", "65" },
		{ "KITH_PREPARED_STATEMENTS", "yes" },
		{ "KITH_ANON_WITHOUT_KEY", "2" },
		{ "KITH_LOG_LEVEL", "INFO" },
		{ "KITH_SCHEMAS", "public,,x" },
		{ "KITH_SCHEMAS", " " },
		{ "KITH_SCHEMAS", "public," },
		{ "KITH_VERIFY_GET", "button" },
		{ "KITH_REDIRECT_URLS", "https://x.org,,myapp://y" },
		{ "KITH_SECURE_EMAIL_CHANGE", "on" },
		{ "KITH_MAX_ROW", "10" },
		{ "KITH_", "" },
		{ "KITH_DATABASES", "x" },
		{ "KITH_A_NAME_THAT_IS_LONGER_THAN_ANY_NAME_OF_A_SETTING_WOULD_EVER_BE_CHOSEN_TO_BE", "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(load(rows[i].name, rows[i].value), -1);
		assert_memory_equal(said, rows[i].name, strlen(rows[i].name) < 60 ? strlen(rows[i].name) : 60);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

static void
names_of_scripts(void **state)
{
	(void)state;
	assert_int_equal(load("KITH_HOME", "/somewhere"), 0);
	assert_int_equal(load("KITH_PORT", "x"), 0);
	assert_int_equal(load("KITH_SERVICE_KEY", "x"), 0);
}

static void
necessary(void **state)
{
	(void)state;
	kith_settings.database = NULL;
	assert_int_equal(load("KITH_DATABASE", ""), -1);
	assert_memory_equal(said, "KITH_DATABASE: ", 15);
	assert_int_equal(load("OTHER", "x"), 0);
	kith_settings.keys = NULL;
	assert_int_equal(load("KITH_KEYS", ""), -1);
	assert_memory_equal(said, "KITH_KEYS: ", 11);
}

static void
numbers(void **state)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1a", "0x1", "1.0", "1e3", "--1", "11", "-6",
		"99999999999999999999", "-99999999999999999999" };
	long n = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(kith_parse_long(bad[i], -5, 10, &n));
		assert_int_equal(n, 42);
	}
	assert_true(kith_parse_long("-5", -5, 10, &n));
	assert_int_equal(n, -5);
	assert_true(kith_parse_long("10", -5, 10, &n));
	assert_int_equal(n, 10);
	assert_true(kith_parse_long("007", -5, 10, &n));
	assert_int_equal(n, 7);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("what is not set has its default", defaults),
		unit_that("values are taken, empty ones are none", values),
		unit_that("schemas are split at commas", schemas),
		unit_that("links lead where the list says, and without mail an address is not asked", links),
		unit_that("bad values and unknown names are refused in one line that names them", refused),
		unit_that("the scripts' names are no mistake", names_of_scripts),
		unit_that("database and keys must be there", necessary),
		unit_that("only plain numbers within their bounds are numbers", numbers),
	};

	return unit_run(tests);
}
