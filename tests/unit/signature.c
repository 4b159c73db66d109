/*
 * Goal: what a provider signed is believed, and nothing else.  C16
 *
 * The vectors were made by the providers' own SDKs, with these calls, of
 * stripe 23.1.0, svix 1.99.0 (which Resend's SDK uses) and elevenlabs-js 2.73.0:
 *
 *	stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp, scheme })
 *	new Webhook(secret).sign(id, date, payload)
 *	elevenlabs.webhooks.constructEvent(payload, header, secret), which accepts it
 *
 * Lemon Squeezy's is its documentation's: createHmac('sha256', secret).update(payload).
 */
#include "unit.h"

#include <string.h>

#include "arena.h"
#include "signature.h"

#define AT 1790000000
#define BODY "{\"id\":\"evt_1\",\"text\":\"Zo\xc3\xab \\u0000 \xf0\x9f\x98\x80\"}\n"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"

#define STRIPE_SECRET "whsec_c3RyaXBl"
#define STRIPE "5258294c526eb8e657365d2a51488f1ee98a2c58818ba57bdc070e54e9d8e986"
#define STRIPE_OLD_SECRET "whsec_b2xk"
#define STRIPE_OLD "db0db4240beb743afe901d191a3e1c2880ffd713cad97fd425610c6d8f37397e"
#define SVIX_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SVIX "omMxVHhgAOcVZ7BJ1rabOOJEQaUZlPmu8euVwueKkyQ="
#define ELEVENLABS_SECRET "wsec_eleven"
#define ELEVENLABS "5257fdbd4d57d51c3ca2cd77de493caddfbf0ba259d64bd3b905f1fbaa97d850"
#define SQUEEZY_SECRET "squeezed"
#define SQUEEZY "21b22d09227c58d2187920f83998707212e8973970dc62b865c705cd657890c5"
#define WRONG "0000000000000000000000000000000000000000000000000000000000000000"
#define BASE64_WRONG "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct try {
	const char *secrets, *signature;
	bool good;
	const char *body;	/* NULL: BODY */
	const char *id, *at;	/* of Svix; NULL: as signed */
};

#define GOOD(secrets, signature) { (secrets), (signature), true, NULL, NULL, NULL }
#define BAD(secrets, signature) { (secrets), (signature), false, NULL, NULL, NULL }

static void
all(enum kith_signature scheme, const struct try *tries)
{
	struct kith_arena *a = unit_request()->arena;
	const char *error;

	for (const struct try *t = tries; t->secrets; t++) {
		const struct kith_secret *secrets = kith_signature_secrets(a, scheme, t->secrets, &error);
		const char *body = t->body ? t->body : BODY;
		struct kith_signed sent = {
			.signature = t->signature,
			.id = t->id ? t->id : ID,
			.timestamp = t->at ? t->at : "1790000000",
			.body = body,
			.body_len = strlen(body),
		};

		assert_non_null(secrets);
		if (kith_signature_verify(a, scheme, secrets, &sent, AT) != t->good)
			fail_msg("%s: \"%s\"", t->good ? "refused" : "believed", t->signature ? t->signature : "none");
	}
}

static void
stripe(void **state)
{
	static const struct try tries[] = {
		GOOD(STRIPE_SECRET, "t=1790000000,v1=" STRIPE),
		GOOD(STRIPE_SECRET "," STRIPE_OLD_SECRET, "t=1790000000,v1=" STRIPE_OLD),
		GOOD(STRIPE_OLD_SECRET "\n" STRIPE_SECRET "\n", "t=1790000000,v1=" STRIPE),
		GOOD(STRIPE_SECRET, "t=1790000000,v1=" STRIPE_OLD ",v1=" STRIPE),
		GOOD(STRIPE_SECRET, "t=1790000000,v1=" STRIPE ",v1=" STRIPE_OLD ",v0=" WRONG),
		GOOD(STRIPE_SECRET, "v1=" STRIPE ",t=1790000000"),
		GOOD(STRIPE_SECRET, "v9=x,=,,t=1790000000,v1=" STRIPE),
		BAD(STRIPE_SECRET, NULL),
		BAD(STRIPE_SECRET, ""),
		BAD(STRIPE_SECRET, "t=1790000000"),
		BAD(STRIPE_SECRET, "t=1790000000,v1="),
		BAD(STRIPE_SECRET, "t=1790000000,v0=" STRIPE),
		BAD(STRIPE_SECRET, "t=1790000000,v1=" WRONG),
		BAD(STRIPE_SECRET, "t=1790000000,v1=" STRIPE_OLD),
		BAD(STRIPE_SECRET, "t=1790000000,v1=" STRIPE " "),
		BAD(STRIPE_SECRET, "t=1790000000,v1=" STRIPE "0"),
		BAD(STRIPE_SECRET, "t=1790000000, v1=" STRIPE),
		BAD(STRIPE_SECRET, "t=1790000001,v1=" STRIPE),
		BAD(STRIPE_SECRET, "t=01790000000,v1=" STRIPE),
		BAD(STRIPE_SECRET, "t=1790000000,t=1790000000,v1=" STRIPE),
		BAD(STRIPE_SECRET, "t=,v1=" STRIPE),
		BAD(STRIPE_SECRET, "v1=" STRIPE),
		{ STRIPE_SECRET, "t=1790000000,v1=" STRIPE, false, "{}", NULL, NULL },
		{ STRIPE_SECRET, "t=1790000000,v1=" STRIPE, false, BODY "\n", NULL, NULL },
		{ STRIPE_SECRET, "t=1790000000,v1=" STRIPE, false, "", NULL, NULL },
		/* Decoded, as Svix's are, it is another secret. */
		BAD("stripe", "t=1790000000,v1=" STRIPE),
		{ 0 },
	};

	(void)state;
	all(KITH_SIGNATURE_STRIPE, tries);
}

static void
svix(void **state)
{
	static const struct try tries[] = {
		GOOD(SVIX_SECRET, "v1," SVIX),
		GOOD("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1," SVIX),
		GOOD("whsec_b2xk " SVIX_SECRET, "v1," SVIX),
		GOOD(SVIX_SECRET, "v1," BASE64_WRONG " v1a,xx v1," SVIX),
		GOOD(SVIX_SECRET, "v1," SVIX " v1," BASE64_WRONG),
		BAD(SVIX_SECRET, NULL),
		BAD(SVIX_SECRET, ""),
		BAD(SVIX_SECRET, SVIX),
		BAD(SVIX_SECRET, "v1,"),
		BAD(SVIX_SECRET, "v1a," SVIX),
		BAD(SVIX_SECRET, "v2," SVIX),
		BAD(SVIX_SECRET, "v1=" SVIX),
		BAD(SVIX_SECRET, "v1," BASE64_WRONG),
		BAD(SVIX_SECRET, "v1,omMxVHhgAOcVZ7BJ1rabOOJEQaUZlPmu8euVwueKkyQ"),
		{ SVIX_SECRET, "v1," SVIX, false, NULL, "msg_2", NULL },
		{ SVIX_SECRET, "v1," SVIX, false, NULL, "", NULL },
		{ SVIX_SECRET, "v1," SVIX, false, NULL, NULL, "1790000001" },
		{ SVIX_SECRET, "v1," SVIX, false, NULL, NULL, "" },
		{ SVIX_SECRET, "v1," SVIX, false, "{}", NULL, NULL },
		BAD("whsec_b2xk", "v1," SVIX),
		{ 0 },
	};
	struct kith_arena *a;
	struct kith_signed sent = { "v1," SVIX, NULL, "1790000000", BODY, strlen(BODY) };
	const char *error;

	(void)state;
	all(KITH_SIGNATURE_SVIX, tries);
	a = unit_request()->arena;
	assert_false(kith_signature_verify(a, KITH_SIGNATURE_SVIX,
	    kith_signature_secrets(a, KITH_SIGNATURE_SVIX, SVIX_SECRET, &error), &sent, AT));
}

static void
others(void **state)
{
	static const struct try elevenlabs[] = {
		GOOD(ELEVENLABS_SECRET, "t=1790000000,v0=" ELEVENLABS),
		GOOD("x " ELEVENLABS_SECRET, "t=1790000000,v0=" ELEVENLABS),
		BAD(ELEVENLABS_SECRET, "t=1790000000,v1=" ELEVENLABS),
		BAD(ELEVENLABS_SECRET, "t=1790000001,v0=" ELEVENLABS),
		BAD(ELEVENLABS_SECRET, ELEVENLABS),
		BAD("eleven", "t=1790000000,v0=" ELEVENLABS),
		{ 0 },
	};
	static const struct try squeezy[] = {
		GOOD(SQUEEZY_SECRET, SQUEEZY),
		GOOD("older," SQUEEZY_SECRET, SQUEEZY),
		BAD(SQUEEZY_SECRET, NULL),
		BAD(SQUEEZY_SECRET, ""),
		BAD(SQUEEZY_SECRET, "sha256=" SQUEEZY),
		BAD(SQUEEZY_SECRET, SQUEEZY "," SQUEEZY),
		BAD(SQUEEZY_SECRET, WRONG),
		{ SQUEEZY_SECRET, SQUEEZY, false, "", NULL, NULL },
		BAD("squeezer", SQUEEZY),
		{ 0 },
	};
	static const struct try telegram[] = {
		GOOD("a_Token-1", "a_Token-1"),
		GOOD("newer a_Token-1", "a_Token-1"),
		{ "a_Token-1", "a_Token-1", true, "", NULL, NULL },
		BAD("a_Token-1", NULL),
		BAD("a_Token-1", ""),
		BAD("a_Token-1", "a_Token-"),
		BAD("a_Token-1", "a_Token-11"),
		BAD("a_Token-1", "a_token-1"),
		BAD("a_Token-1 b", "a_Token-1 b"),
		{ 0 },
	};

	(void)state;
	all(KITH_SIGNATURE_ELEVENLABS, elevenlabs);
	all(KITH_SIGNATURE_LEMONSQUEEZY, squeezy);
	all(KITH_SIGNATURE_TELEGRAM, telegram);
}

/* Whether a signature of AT is believed so many seconds later. */
static bool
later(enum kith_signature scheme, const char *secret, const char *signature, long seconds)
{
	struct kith_signed sent = { signature, ID, "1790000000", BODY, strlen(BODY) };
	struct kith_arena *a = unit_request()->arena;
	const char *error;

	return kith_signature_verify(a, scheme, kith_signature_secrets(a, scheme, secret, &error), &sent, AT + seconds);
}

static void
times(void **state)
{
	static const struct {
		enum kith_signature scheme;
		const char *secret, *signature;
		long past, future;
	} schemes[] = {
		{ KITH_SIGNATURE_STRIPE, STRIPE_SECRET, "t=1790000000,v1=" STRIPE, 300, 300 },
		{ KITH_SIGNATURE_SVIX, SVIX_SECRET, "v1," SVIX, 300, 300 },
		{ KITH_SIGNATURE_ELEVENLABS, ELEVENLABS_SECRET, "t=1790000000,v0=" ELEVENLABS, 1800, 300 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		assert_true(later(schemes[i].scheme, schemes[i].secret, schemes[i].signature, schemes[i].past));
		assert_false(later(schemes[i].scheme, schemes[i].secret, schemes[i].signature, schemes[i].past + 1));
		assert_true(later(schemes[i].scheme, schemes[i].secret, schemes[i].signature, -schemes[i].future));
		assert_false(later(schemes[i].scheme, schemes[i].secret, schemes[i].signature, -schemes[i].future - 1));
	}
	assert_true(later(KITH_SIGNATURE_LEMONSQUEEZY, SQUEEZY_SECRET, SQUEEZY, 1000000000));
}

static void
secrets(void **state)
{
	static const struct {
		enum kith_signature scheme;
		const char *text;
	} bad[] = {
		{ KITH_SIGNATURE_STRIPE, "" },
		{ KITH_SIGNATURE_STRIPE, " \t\r\n" },
		{ KITH_SIGNATURE_STRIPE, ",,, ,\n" },
		{ KITH_SIGNATURE_LEMONSQUEEZY, "\n" },
		{ KITH_SIGNATURE_ELEVENLABS, "" },
		{ KITH_SIGNATURE_TELEGRAM, "" },
		{ KITH_SIGNATURE_TELEGRAM, "fine not.fine" },
		{ KITH_SIGNATURE_SVIX, "" },
		{ KITH_SIGNATURE_SVIX, "whsec_" },
		{ KITH_SIGNATURE_SVIX, "whsec_=" },
		{ KITH_SIGNATURE_SVIX, "whsec_not-base64!" },
		{ KITH_SIGNATURE_SVIX, "whsec_ab-_" },
		{ KITH_SIGNATURE_SVIX, SVIX_SECRET " whsec_" },
	};
	struct kith_arena *a = unit_request()->arena;
	const struct kith_secret *secret;
	const char *error;
	char long_token[258];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (kith_signature_secrets(a, bad[i].scheme, bad[i].text, &error))
			fail_msg("a secret: \"%s\"", bad[i].text);
		assert_non_null(error);
	}
	memset(long_token, 'a', sizeof(long_token) - 1);
	long_token[257] = '\0';
	assert_null(kith_signature_secrets(a, KITH_SIGNATURE_TELEGRAM, long_token, &error));
	assert_non_null(kith_signature_secrets(a, KITH_SIGNATURE_TELEGRAM, long_token + 1, &error));

	secret = kith_signature_secrets(a, KITH_SIGNATURE_STRIPE, "\n one,two\r\n\tthree ", &error);
	assert_null(error);
	assert_string_equal(secret->bytes, "one");
	assert_string_equal(secret->next->bytes, "two");
	assert_string_equal(secret->next->next->bytes, "three");
	assert_null(secret->next->next->next);
	secret = kith_signature_secrets(a, KITH_SIGNATURE_SVIX, "whsec_+/8=", &error);
	assert_int_equal(secret->n, 2);
	assert_memory_equal(secret->bytes, "\xfb\xff", 2);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("Stripe: what its SDK signs", stripe),
		unit_that("Resend: what Svix signs", svix),
		unit_that("ElevenLabs, Lemon Squeezy and Telegram", others),
		unit_that("a signature is good for some minutes", times),
		unit_that("a blank text is no secret", secrets),
	};

	return unit_run(tests);
}
