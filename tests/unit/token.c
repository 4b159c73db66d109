/*
 * Goal: a token is good only when one of our keys signed it with the key's own
 * algorithm and every claim holds.  "A6.n" is a row of the contract's table of
 * what libjwt does not do.
 */
#include "mint.h"

#include "json.h"
#include "keys.h"
#include "token.h"

#define ES "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"own\"}"
#define RS "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"rsa\"}"
#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static EVP_PKEY *ec, *rsa, *other;
static struct kith_token token;

static enum kith_verdict
verify(const char *text)
{
	return kith_token_verify(unit_request()->arena, kith_keys_current(), text, &token);
}

/* The verdict on claims that the own key signed. */
static enum kith_verdict
verify_claims(const char *claims)
{
	return verify(mint_token(ES, claims, ec, NULL));
}

/* The same, for a user's claims of which one member is replaced, or left out when value is NULL. */
static enum kith_verdict
verify_with(const char *member, const char *value)
{
	const char *names[] = { "iss", "sub", "aud", "role", "exp" };
	const char *values[] = { "\"" ISSUER "\"", "\"" ANA "\"", "\"authenticated\"", "\"authenticated\"",
		kith_format(mint_memory(), "%ld", (long)time(NULL) + 600) };
	struct kith_buf claims;

	kith_buf_init(&claims, mint_memory(), 0);
	kith_buf_lit(&claims, "{\"jti\":1");
	for (size_t i = 0; i < 5; i++) {
		if (strcmp(names[i], member))
			kith_buf_printf(&claims, ",\"%s\":%s", names[i], values[i]);
	}
	if (value)
		kith_buf_printf(&claims, ",\"%s\":%s", member, value);
	kith_buf_lit(&claims, "}");
	return verify_claims(claims.s);
}

static const char *
in(long seconds)
{
	return kith_format(mint_memory(), "%ld", (long)time(NULL) + seconds);
}

static void
good_tokens(void **state)
{
	(void)state;
	assert_int_equal(verify(mint_token(ES, mint_claims(",\"session_id\":\"" SESSION "\""), ec, NULL)), KITH_TOKEN_GOOD);
	assert_int_equal(token.identity.role, KITH_AUTHENTICATED);
	assert_string_equal(token.identity.role_name, "authenticated");
	assert_string_equal(token.identity.subject, ANA);
	assert_string_equal(token.identity.session, SESSION);
	assert_int_equal(verify(mint_token(RS, mint_claims(""), rsa, NULL)), KITH_TOKEN_GOOD);
	assert_null(token.identity.session);
	assert_int_equal(verify(mint_token(HS, mint_claims(""), NULL, SECRET)), KITH_TOKEN_GOOD);
	/* A shared secret has no kid, so it takes any that nobody knows. */
	assert_int_equal(verify(mint_token("{\"alg\":\"HS256\",\"kid\":\"x\"}", mint_claims(""), NULL, SECRET)), KITH_TOKEN_GOOD);
	/* Without kid: the issuer's single key of that algorithm. */
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_GOOD);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"typ\":\"jwt\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_GOOD);
}

static void
claims_text(void **state)
{
	const struct kith_json *claims;

	(void)state;
	assert_int_equal(verify(mint_token(ES, mint_claims(",\"app_metadata\":{\"b\":[1,2.5],\"a\":\"\\u00e9\\\"\"},"
	    "\"big\":9007199254740993"), ec, NULL)), KITH_TOKEN_GOOD);
	claims = kith_json_parse(mint_memory(), token.identity.claims, strlen(token.identity.claims), NULL);
	assert_string_equal(kith_json_string(claims, "sub"), ANA);
	assert_string_equal(kith_json_get(claims, "big")->text, "9007199254740993");
	assert_non_null(strstr(token.identity.claims, "\"app_metadata\":{\"a\":\"\xc3\xa9\\\"\",\"b\":[1,2.5]}"));
}

static void
a6_1_unsigned(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"NONE\",\"kid\":\"own\"}", "{\"alg\":\"\"}", "{\"typ\":\"JWT\"}",
		"{\"alg\":null}", "{\"alg\":0}", "{\"alg\":[\"ES256\"]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		const char *text = mint_unsigned(headers[i], mint_claims(""));

		assert_int_equal(verify(text), KITH_TOKEN_BROKEN);
		assert_int_equal(verify(kith_format(mint_memory(), "%s.", text)), KITH_TOKEN_BROKEN);
		assert_int_equal(verify(mint_token(headers[i], mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	}
	/* With a good header, too: no signature, an empty one, a cut one. */
	assert_int_equal(verify(mint_unsigned(ES, mint_claims(""))), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(kith_format(mint_memory(), "%s.", mint_unsigned(ES, mint_claims("")))), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token(HS, mint_claims(""), NULL, "")), KITH_TOKEN_BROKEN);
}

static void
a6_2_algorithm_of_the_key(void **state)
{
	static const char *const headers[] = {
		HS, "{\"alg\":\"HS256\",\"kid\":\"own\"}", "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", "{\"alg\":\"HS256\",\"kid\":\"x\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		assert_int_equal(verify(mint_token(headers[i], mint_claims(""), NULL, mint_pem(ec))), KITH_TOKEN_BROKEN);
		assert_int_equal(verify(mint_token(headers[i], mint_claims(""), NULL, mint_pem(rsa))), KITH_TOKEN_BROKEN);
	}
	assert_int_equal(verify(mint_token("{\"alg\":\"RS256\",\"kid\":\"own\"}", mint_claims(""), rsa, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"rsa\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token(ES, mint_claims(""), other, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"no\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
}

static void
a6_3_exact_algorithm(void **state)
{
	static const char *const names[] = { "es256", "Es256", "ES256 ", "ES384", "ES512", "HS512", "RS512" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(verify(mint_token(kith_format(mint_memory(), "{\"alg\":\"%s\"}", names[i]), mint_claims(""), ec,
		    NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"hs256\"}", mint_claims(""), NULL, SECRET)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"HS512\"}", mint_claims(""), NULL, SECRET)), KITH_TOKEN_BROKEN);
}

static void
a6_4_strict_base64(void **state)
{
	static const char *const tails[] = { "!!!!", "=", "==", "..", ".", ".e30", " ", "\n", "A", "AA", "AAAA", "+/", "\xc3\xa9" };
	const char *tokens[] = { mint_token(ES, mint_claims(""), ec, NULL), mint_token(RS, mint_claims(""), rsa, NULL),
		mint_token(HS, mint_claims(""), NULL, SECRET) };

	(void)state;
	for (size_t t = 0; t < 3; t++) {
		const char *good = tokens[t];
		char *text = kith_strdup(mint_memory(), good);
		size_t n = strlen(text);

		assert_int_equal(verify(good), KITH_TOKEN_GOOD);
		for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
			assert_int_equal(verify(kith_format(mint_memory(), "%s%s", good, tails[i])), KITH_TOKEN_BROKEN);
			assert_int_equal(verify(kith_format(mint_memory(), "%.*s%s%s", (int)n - 9, good, tails[i], good + n - 9)),
			    KITH_TOKEN_BROKEN);
		}
		/* Any other last character, even one whose used bits are the same. */
		for (int c = 1; c < 256; c++) {
			text[n - 1] = (char)c;
			assert_int_equal(verify(text), strcmp(text, good) ? KITH_TOKEN_BROKEN : KITH_TOKEN_GOOD);
		}
	}
	assert_int_equal(verify(kith_format(mint_memory(), "=%s", tokens[0])), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(kith_format(mint_memory(), " %s", tokens[0])), KITH_TOKEN_BROKEN);
}

static void
a6_5_curve(void **state)
{
	EVP_PKEY *p384 = EVP_EC_gen("P-384");

	(void)state;
	assert_int_equal(verify(mint_token(ES, mint_claims(""), p384, NULL)), KITH_TOKEN_BROKEN);
	EVP_PKEY_free(p384);
}

static void
a6_6_payload(void **state)
{
	static const char *const payloads[] = { "[]", "[{}]", "\"a\"", "1", "null", "", "{", "{}{}", "{\"a\":\"\\u0000\"}",
		"{\"a\":\"\\ud800\"}", "{\"a\":\"\xff\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
		assert_int_equal(verify_claims(payloads[i]), KITH_TOKEN_BROKEN);
	assert_int_equal(verify_claims("{}"), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_claims(mint_claims(",\"role\":\"service_role\"")), KITH_TOKEN_BROKEN);
	assert_int_equal(verify_claims(mint_claims(",\"r\\u006fle\":\"service_role\"")), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"own\"}", mint_claims(""), ec, NULL)),
	    KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("[\"ES256\"]", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
}

static void
a6_7_expiry(void **state)
{
	static const char *const bad[] = { NULL, "null", "true", "\"2000000000\"", "2000000000.0", "2e9", "1e400", "-1",
		"9007199254740993", "18446744073709551616", "[2000000000]", "{}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		enum kith_verdict verdict = verify_with("exp", bad[i]);

		/* What does not fit 64 bits libjwt cannot read at all. */
		if (verdict != KITH_TOKEN_CLAIMS && verdict != KITH_TOKEN_BROKEN)
			fail_msg("exp %s", bad[i]);
		assert_string_not_equal(token.message, "JWT expired");
	}
	assert_int_equal(verify_with("exp", "9007199254740992"), KITH_TOKEN_GOOD);
	assert_int_equal(verify_with("exp", "0"), KITH_TOKEN_CLAIMS);
	assert_string_equal(token.message, "JWT expired");
}

static void
a6_8_times(void **state)
{
	(void)state;
	assert_int_equal(verify_with("exp", in(-28)), KITH_TOKEN_GOOD);
	assert_int_equal(verify_with("exp", in(-30)), KITH_TOKEN_CLAIMS);
	assert_string_equal(token.message, "JWT expired");
	assert_int_equal(verify_with("nbf", in(28)), KITH_TOKEN_GOOD);
	assert_int_equal(verify_with("nbf", in(35)), KITH_TOKEN_CLAIMS);
	assert_string_equal(token.message, "JWT not yet valid");
	assert_int_equal(verify_with("nbf", "\"1\""), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("nbf", "1.5"), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("iat", in(100000)), KITH_TOKEN_GOOD);
	assert_int_equal(verify_with("iat", "\"yesterday\""), KITH_TOKEN_GOOD);
	kith_settings.jwt_leeway = 0;
	assert_int_equal(verify_with("exp", in(-1)), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("nbf", in(2)), KITH_TOKEN_CLAIMS);
	kith_settings.jwt_leeway = 30;
}

static void
a6_9_type(void **state)
{
	(void)state;
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"typ\":\"JWE\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"typ\":\"\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"typ\":1}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", mint_claims(""), ec, NULL)), KITH_TOKEN_GOOD);
	/* libjwt 1.10 refuses at+jwt, later ones do not: what counts is that nothing else is said of it. */
	if (verify(mint_token("{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", mint_claims(""), NULL, SECRET)))
		assert_string_equal(token.reason, "the signature does not fit");
}

static void
a6_10_every_bit_of_the_signature(void **state)
{
	const char *good = mint_token(HS, mint_claims(""), NULL, SECRET);
	char *text = kith_strdup(mint_memory(), good);
	size_t n = strlen(good);

	(void)state;
	for (size_t i = n - 43; i < n; i++) {
		text[i] = good[i] == 'A' ? 'B' : 'A';
		assert_int_equal(verify(text), KITH_TOKEN_BROKEN);
		text[i] = good[i];
	}
	for (size_t i = 1; i < 43; i++)
		assert_int_equal(verify(kith_strndup(mint_memory(), good, n - i)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(text), KITH_TOKEN_GOOD);
}

static void
a6_12_odd_input(void **state)
{
	static const char *const texts[] = { "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "e30.e30.e30", "e30..e30", ".e30.e30",
		"e30.e30.", "sb_secret_abc" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(verify(texts[i]), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"PS256\",\"kid\":\"rsa\"}", mint_claims(""), rsa, NULL)), KITH_TOKEN_BROKEN);
}

static void
longest(void **state)
{
	char pad[9000];
	size_t n = 6000;

	(void)state;
	memset(pad, 'x', sizeof(pad));
	memcpy(pad, ",\"pad\":\"", 8);
	pad[n - 1] = '"';
	pad[n] = '\0';
	assert_int_equal(verify(mint_token(HS, mint_claims(pad), NULL, SECRET)), KITH_TOKEN_BROKEN);
	assert_string_equal(token.reason, "longer than 8192 bytes");
	pad[5700 - 1] = '"';
	pad[5700] = '\0';
	assert_int_equal(verify(mint_token(HS, mint_claims(pad), NULL, SECRET)), KITH_TOKEN_GOOD);
}

static void
headers(void **state)
{
	static const char *const ignored[] = { "\"jku\":\"https://e.example/\"", "\"jwk\":{\"kty\":\"oct\",\"k\":\"\"}",
		"\"x5u\":\"https://e.example/\"", "\"x5c\":[\"AA\"]", "\"cty\":\"JWT\"", "\"b64\":true" };

	(void)state;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++) {
		const char *header = kith_format(mint_memory(), "{\"alg\":\"ES256\",%s}", ignored[i]);

		assert_int_equal(verify(mint_token(header, mint_claims(""), ec, NULL)), KITH_TOKEN_GOOD);
		assert_int_equal(verify(mint_token(header, mint_claims(""), other, NULL)), KITH_TOKEN_BROKEN);
	}
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"crit\":[]}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":7}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":null}", mint_claims(""), ec, NULL)), KITH_TOKEN_BROKEN);
}

static void
audiences(void **state)
{
	static const char *const bad[] = { NULL, "\"other\"", "[]", "[\"other\"]", "[\"authenticated\",1]", "1", "null", "{}",
		"\"authenticated \"" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(verify_with("aud", bad[i]), KITH_TOKEN_CLAIMS);
		assert_string_equal(token.message, "JWT not in audience");
	}
	assert_int_equal(verify_with("aud", "[\"other\",\"authenticated\"]"), KITH_TOKEN_GOOD);
}

static void
issuers(void **state)
{
	(void)state;
	assert_int_equal(verify_with("iss", NULL), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("iss", "\"https://other.example\""), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("iss", "1"), KITH_TOKEN_CLAIMS);
	/* Nobody's key may come from another stack; a user may not. */
	assert_int_equal(verify_claims(kith_format(mint_memory(), "{\"role\":\"anon\",\"iss\":\"supabase\",\"exp\":%s}", in(9))),
	    KITH_TOKEN_GOOD);
	assert_int_equal(token.identity.role, KITH_ANON);
	assert_int_equal(verify_claims(kith_format(mint_memory(), "{\"role\":\"service_role\",\"exp\":%s}", in(9))), KITH_TOKEN_GOOD);
	assert_int_equal(token.identity.role, KITH_SERVICE);
	assert_int_equal(verify_claims(kith_format(mint_memory(),
	    "{\"role\":\"service_role\",\"iss\":\"x\",\"sub\":\"" ANA "\",\"exp\":%s}", in(9))), KITH_TOKEN_CLAIMS);
}

static void
roles(void **state)
{
	static const char *const denied[] = { "\"postgres\"", "\"kith_auth\"", "\"Service_role\"", "\"\"", "\"anon;\"" };

	(void)state;
	assert_int_equal(verify_with("role", NULL), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("role", "null"), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("role", "[\"anon\"]"), KITH_TOKEN_CLAIMS);
	for (size_t i = 0; i < sizeof(denied) / sizeof(*denied); i++)
		assert_int_equal(verify_with("role", denied[i]), KITH_TOKEN_ROLE);
	/* The RSA key may sign for users only. */
	assert_int_equal(verify(mint_token(RS, kith_format(mint_memory(), "{\"role\":\"service_role\",\"exp\":%s}", in(9)), rsa,
	    NULL)), KITH_TOKEN_ROLE);
}

static void
subjects(void **state)
{
	static const char *const bad[] = { NULL, "\"\"", "\"ana\"", "1", "null", "\"1B4E28BA-2fa1-11d2-883f-0016d3cca427\"",
		"\"1b4e28ba-2fa1-11d2-883f-0016d3cca4270\"", "\"1b4e28ba2fa111d2883f0016d3cca427\"",
		"\"{1b4e28ba-2fa1-11d2-883f-0016d3cca427}\"", "\"1b4e28ba-2fa1-11d2-883f-0016d3cca42\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(verify_with("sub", bad[i]), KITH_TOKEN_CLAIMS);
		assert_string_equal(token.message, "JWT claims could not be verified");
	}
	assert_int_equal(verify_with("session_id", "\"x\""), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify_with("session_id", "null"), KITH_TOKEN_CLAIMS);
	/* The RSA key's sessions are not ours to check. */
	assert_int_equal(verify(mint_token(RS, mint_claims(",\"session_id\":\"x\""), rsa, NULL)), KITH_TOKEN_GOOD);
	assert_null(token.identity.session);
}

static void
api_key_claims(void **state)
{
	struct kith_arena *a = unit_request()->arena;

	(void)state;
	assert_string_equal(kith_token_api_key_claims(a, "sb_publishable_x", "anon"), "{\"role\":\"anon\"}");
	assert_string_equal(kith_token_api_key_claims(a, "a.b.c", "anon"), "{\"role\":\"anon\"}");
	assert_string_equal(kith_token_api_key_claims(a, mint_token(HS, "{\"role\":\"anon\",\"iss\":\"supabase\",\"exp\":1}", NULL,
	    "whatever"), "service_role"), "{\"exp\":1,\"iss\":\"supabase\",\"role\":\"service_role\"}");
}

static int
prepare(void)
{
	ec = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
	rsa = EVP_RSA_gen(2048);
	kith_settings.keys = mint_file("keys.json", kith_format(mint_memory(),
	    "{\"keys\":[{%s,\"kid\":\"own\",\"alg\":\"ES256\",\"issuer\":\"" ISSUER "\",\"sessions\":\"" ISSUER "\"},"
	    "{%s,\"kid\":\"rsa\",\"roles\":[\"authenticated\"]},{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"%s\"}]}",
	    mint_jwk(ec), mint_jwk(rsa), mint_base64url(SECRET, strlen(SECRET))), 0600);
	return kith_keys_load();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("tokens of each algorithm are good", good_tokens),
		unit_that("claims are printed anew, numbers exact", claims_text),
		unit_that("A6.1: nothing unsigned is good", a6_1_unsigned),
		unit_that("A6.2: the key's algorithm counts, not the token's", a6_2_algorithm_of_the_key),
		unit_that("A6.3: alg is compared exactly", a6_3_exact_algorithm),
		unit_that("A6.4: only strict base64url is a token", a6_4_strict_base64),
		unit_that("A6.5: a signature on another curve is not good", a6_5_curve),
		unit_that("A6.6: the payload is an object without duplicates", a6_6_payload),
		unit_that("A6.7: exp is there and an integer", a6_7_expiry),
		unit_that("A6.8: exp and nbf are checked with leeway, iat is not", a6_8_times),
		unit_that("A6.9: typ is JWT or at+jwt", a6_9_type),
		unit_that("A6.10: a signature with one change is not good", a6_10_every_bit_of_the_signature),
		unit_that("A6.12: empty and odd text and PS256 are refused", a6_12_odd_input),
		unit_that("8192 bytes are the most", longest),
		unit_that("crit is refused, keys in a header are not looked at", headers),
		unit_that("aud holds the audience", audiences),
		unit_that("iss is the key's, except for nobody's keys", issuers),
		unit_that("a role that is not listed is denied", roles),
		unit_that("sub and session_id are uuids", subjects),
		unit_that("an API key brings its claims and its role", api_key_claims),
	};
	int failed;

	if (prepare())
		return 1;
	failed = unit_run(tests);
	mint_end(kith_settings.keys);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(other);
	EVP_PKEY_free(rsa);
	return failed;
}
