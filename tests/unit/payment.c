/* Goal: of what a payment provider says only its own words are believed, and ids stay in their place. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "http.h"
#include "payment.h"
#include "settings.h"

static void
errors(void **state)
{
	static const struct {
		const char *answer, *code, *param;
	} table[] = {
		{ "{\"error\":{\"type\":\"a\",\"code\":\"resource_missing\",\"param\":\"customer\"}}",
		    "resource_missing", "customer" },
		{ "{\"error\":{\"type\":\"idempotency_error\"}}", "idempotency_error", "" },
		{ "{\"error\":{\"code\":\"x\",\"param\":\"line_items[0][price]\"}}", "x", "price" },
		{ "{\"error\":{\"code\":\"x\",\"param\":\"]]\"}}", "x", "" },
		{ "{\"error\":{\"code\":\"two words\",\"param\":\"a b\"}}", "", "" },
		{ "{\"error\":{\"code\":1,\"param\":[]}}", "", "" },
		{ "{\"error\":\"text\"}", "", "" },
		{ "{\"errors\":[{\"source\":{\"pointer\":\"/data/attributes/checkout_data/email\"}}]}", "", "email" },
		{ "{\"errors\":[{\"source\":{\"pointer\":\"/data/\"}}]}", "", "data" },
		{ "{\"errors\":[{\"source\":{\"pointer\":\"\"}}]}", "", "" },
		{ "{\"errors\":[]}", "", "" },
		{ "{\"errors\":{\"a\":1}}", "", "" },
		{ "{\"errors\":[1]}", "", "" },
		{ "null", "", "" },
		{ "<html>", "", "" },
		{ "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct kith_http call = { .answer = table[i].answer, .answer_len = strlen(table[i].answer) };
		struct kith_payment_error error = kith_payment_error(unit_request()->arena, &call);

		assert_string_equal(error.code, table[i].code);
		assert_string_equal(error.param, table[i].param);
	}
}

/* C13 */
static void
ids(void **state)
{
	static const char *const bad[] = { "", "a/b", "..", "a?b", "a b", "a#b", "a%2fb", "a\r\nb", "a\xc3\xbc" };
	char many[300];

	(void)state;
	assert_string_equal(kith_payment_id("sub_1KithA"), "sub_1KithA");
	assert_string_equal(kith_payment_id("481223"), "481223");
	assert_null(kith_payment_id(NULL));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(kith_payment_id(bad[i]));
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	assert_null(kith_payment_id(many));
}

static void
names(void **state)
{
	enum kith_payment provider;

	(void)state;
	for (int i = 0; i < KITH_PAYMENTS; i++) {
		assert_true(kith_payment_find(kith_payment_name((enum kith_payment)i), &provider));
		assert_int_equal(provider, i);
	}
	assert_false(kith_payment_find("paypal", &provider));
	assert_false(kith_payment_find("", &provider));
}

static void
keys(void **state)
{
	struct kith_arena *a = unit_request()->arena;
	char path[] = "/tmp/kith-key-XXXXXX";
	int fd = mkstemp(path);
	struct kith_http *call;
	const char *why;

	(void)state;
	assert_true(fd >= 0);
	assert_false(kith_payment_configured(KITH_STRIPE));
	assert_int_equal(kith_payment_init(), 0);
	kith_settings.stripe_key = path;
	assert_true(kith_payment_configured(KITH_STRIPE));
	assert_false(kith_payment_configured(KITH_LEMONSQUEEZY));
	assert_int_equal(kith_payment_init(), -1);
	assert_null(kith_payment_call(a, KITH_STRIPE, "GET", "/v1/x", "/v1/x", &why));
	assert_string_equal(why, "stripe: KITH_STRIPE_API_KEY: it is empty");
	assert_int_equal(write(fd, "sk_1\n", 5), 5);
	assert_int_equal(kith_payment_init(), 0);
	call = kith_payment_call(a, KITH_STRIPE, "GET", "/v1/subscriptions/sub_1", "/v1/subscriptions/{id}", &why);
	assert_non_null(call);
	assert_string_equal(call->url, "https://api.stripe.com/v1/subscriptions/sub_1");
	assert_string_equal(call->route, "/v1/subscriptions/{id}");
	kith_settings.lemonsqueezy_key = path;
	assert_int_equal(kith_payment_init(), -1);
	kith_settings.lemonsqueezy_store = 77;
	assert_int_equal(kith_payment_init(), 0);
	kith_settings.lemonsqueezy_base_url = "http://api.example";
	assert_int_equal(kith_payment_init(), -1);
	unlink(path);
	close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("an error's code and what it is about are words", errors),
		unit_that("an id leads to no other place", ids),
		unit_that("a provider has one name", names),
		unit_that("a key is read with each call, and looked at when we start", keys),
	};

	return unit_run(tests);
}
