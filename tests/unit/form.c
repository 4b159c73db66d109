/* Goal: a form says what was meant, whatever the values hold. */
#include "unit.h"

#include "arena.h"
#include "buf.h"
#include "form.h"

static const char *
field(const char *name, const char *value)
{
	struct kith_buf out;

	kith_buf_init(&out, unit_request()->arena, 0);
	kith_form_field(&out, name, value);
	return out.s;
}

static void
characters(void **state)
{
	(void)state;
	assert_string_equal(field("a", "AZaz09-._~"), "a=AZaz09-._~");
	assert_string_equal(field("a", "&b=c"), "a=%26b%3Dc");
	assert_string_equal(field("a", "1 + 1%"), "a=1%20%2B%201%25");
	assert_string_equal(field("a", "gr\xc3\xbc\xc3\x9f"), "a=gr%C3%BC%C3%9F");
	assert_string_equal(field("a", "\r\n\x7f\xff"), "a=%0D%0A%7F%FF");
	assert_string_equal(field("a", ""), "a=");
}

/* Stripe fills this in; encoded twice it would not find it. */
static void
placeholder(void **state)
{
	(void)state;
	assert_string_equal(field("success_url", "https://a.example/?s={CHECKOUT_SESSION_ID}"),
	    "success_url=https%3A%2F%2Fa.example%2F%3Fs%3D%7BCHECKOUT_SESSION_ID%7D");
}

static void
several(void **state)
{
	struct kith_buf out;

	(void)state;
	kith_buf_init(&out, unit_request()->arena, 0);
	kith_form_field(&out, "absent", NULL);
	kith_form_field(&out, "mode", "subscription");
	kith_form_field(&out, "absent", NULL);
	kith_form_field(&out, "line_items[0][price]", "price_1");
	kith_form_field(&out, "subscription_data[metadata][user_id]", "u");
	assert_string_equal(out.s, "mode=subscription&line_items%5B0%5D%5Bprice%5D=price_1"
				   "&subscription_data%5Bmetadata%5D%5Buser_id%5D=u");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("what could end a value, or a field, is encoded", characters),
		unit_that("once", placeholder),
		unit_that("nested names are kept, and what there is none of is left out", several),
	};

	return unit_run(tests);
}
