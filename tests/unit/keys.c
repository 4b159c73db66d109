/* Goal: only sound key files are used, changes are noticed, and foreign keys can never do more than they may. */
#include "mint.h"

#include <fcntl.h>

#include "keys.h"
#include "keys_load.h"
#include "token.h"

#define FOREIGN "https://id.example"
#define SET "\"jwks\":[{\"file\":\"set.json\",\"issuer\":\"" FOREIGN "\"}]"

static EVP_PKEY *ec, *other, *rsa;

static const char *
keys_file(const char *text)
{
	return mint_file("keys.json", text, 0640);
}

static const char *
own_key(EVP_PKEY *key, const char *kid)
{
	return kith_format(mint_memory(), "{%s,\"kid\":\"%s\",\"issuer\":\"" ISSUER "\"}", mint_jwk(key), kid);
}

static const char *
foreign_token(EVP_PKEY *key, const char *kid, const char *claims)
{
	return mint_token(kith_format(mint_memory(), "{\"alg\":\"%s\",\"kid\":\"%s\"}",
	    EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? "RS256" : "ES256", kid),
	    kith_format(mint_memory(), "{\"iss\":\"" FOREIGN "\",\"exp\":%ld%s}", (long)time(NULL) + 60, claims), key, NULL);
}

static enum kith_verdict
verify(const char *text, struct kith_token *token)
{
	return kith_token_verify(unit_request()->arena, kith_keys_current(), text, token);
}

static void
bad_files(void **state)
{
	const char *jwk = mint_jwk(ec);
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	EVP_PKEY *small = EVP_RSA_gen(1024);
	const struct {
		const char *format, *part, *error;
	} table[] = {
		{ "", "", "not a JSON object" },
		{ "{\"keys\":[", "", "not a JSON object" },
		{ "[]", "", "not a JSON object" },
		{ "{}", "", "holds no key" },
		{ "{\"keys\":{}}", "", "keys is not an array" },
		{ "{\"keys\":[1]}", "", "keys holds something that is no object" },
		{ "{\"keys\":[{}]}", "", "key 1: it has no kty" },
		{ "{\"keys\":[{\"kty\":\"OKP\"}]}", "", "key 1: it is of an unknown kty" },
		{ "{\"keys\":[{\"kty\":\"oct\",\"k\":\"\"}]}", "", "has a secret of less than 32 bytes" },
		{ "{\"keys\":[{\"kty\":\"oct\"}]}", "", "has a secret of less than 32 bytes" },
		{ "{\"keys\":[{\"kty\":\"oct\",\"k\":\"%s\"}]}", mint_base64url(SECRET, 31), "has a secret of less than 32 bytes" },
		{ "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"%s\"}]}", mint_base64url(SECRET, 32), "another alg" },
		{ "{\"keys\":[{%s,\"alg\":\"HS256\"}]}", jwk, "has another alg" },
		{ "{\"keys\":[{%s,\"use\":\"enc\"}]}", jwk, "is not for verifying" },
		{ "{\"keys\":[{%s,\"key_ops\":[\"sign\"]}]}", jwk, "is not for verifying" },
		{ "{\"keys\":[{%s,\"d\":\"AA\"}]}", jwk, "holds a private key" },
		{ "{\"keys\":[{%s,\"kid\":1}]}", jwk, "has a kid that is no text" },
		{ "{\"keys\":[{%s,\"issuer\":1}]}", jwk, "issuer is not a string" },
		{ "{\"keys\":[{%s,\"sessions\":true}]}", jwk, "sessions is not a string" },
		{ "{\"keys\":[{%s,\"roles\":\"anon\"}]}", jwk, "roles is not an array" },
		{ "{\"keys\":[{%s,\"roles\":[\"postgres\"]}]}", jwk, "roles holds something that is no role" },
		{ "{\"keys\":[{%s,\"state\":\"gone\"}]}", jwk, "state is none of" },
		{ "{\"keys\":[{%s}]}", mint_jwk(p384), "is not on P-256" },
		{ "{\"keys\":[{%s}]}", mint_jwk(small), "is not a valid public key" },
		{ "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"Ag\"}]}", mint_number(rsa, OSSL_PKEY_PARAM_RSA_N, 0),
		    "is not a valid public key" },
		{ "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQ\"}]}", mint_number(rsa, OSSL_PKEY_PARAM_RSA_N, 0),
		    "is not a valid public key" },
		{ "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAAAAE\"}]}", mint_number(rsa, OSSL_PKEY_PARAM_RSA_N, 0), "no e of 32" },
		{ "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"AA\"}]}",
		    mint_number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 32), "x and y of 32 bytes" },
		{ "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
		    mint_number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 32), "is not a valid public key" },
		{ "{\"keys\":[{%s,\"kid\":\"a\"},{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE\"}]}",
		    jwk, "key 2: kid a is there twice" },
		{ "{\"api_keys\":[{\"sha256\":\"aa\",\"role\":\"anon\"}]}", "", "is not 64 lower-case hex" },
		{ "{\"api_keys\":[{\"sha256\":\"%s\",\"role\":\"authenticated\"}]}",
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "neither anon nor service_role" },
		{ "{\"jwks\":[{\"file\":\"set.json\"}]}", "", "has no file or no issuer" },
		{ "{\"jwks\":[{\"file\":\"set.json\",\"issuer\":\"x\",\"role\":\"service_role\"}]}", "", "cannot stand for service_role" },
		{ "{\"jwks\":[{\"file\":\"set.json\",\"issuer\":\"x\",\"role\":\"root\"}]}", "", "none of ours" },
		{ "{\"jwks\":[{\"file\":\"set.json\",\"issuer\":\"x\",\"sub\":\"email\"}]}", "", "neither uuid nor any" },
	};
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const char *rest = strstr(table[i].format, "%s");
		const char *text = !rest ? table[i].format : kith_format(mint_memory(), "%.*s%s%s",
		    (int)(rest - table[i].format), table[i].format, table[i].part, rest + 2);

		if (kith_keys_read(keys_file(text), NULL, error, sizeof(error)))
			fail_msg("accepted: %s", text);
		if (!strstr(error, table[i].error))
			fail_msg("%s: %s", text, error);
	}
	assert_null(kith_keys_read("/nowhere/keys.json", NULL, error, sizeof(error)));
	EVP_PKEY_free(p384);
	EVP_PKEY_free(small);
}

/* A server that moves to another address keeps its key. */
static void
two_issuers(void **state)
{
	const char *record = kith_format(mint_memory(), "%s,\"kid\":\"a\"", mint_jwk(ec));
	const char *text = kith_format(mint_memory(), "{\"keys\":[{%s,\"issuer\":\"https://new\"},{%s,\"issuer\":\"http://old\"}]}",
	    record, record);
	struct kith_keys *keys;
	char error[200];

	(void)state;
	keys = kith_keys_read(keys_file(text), NULL, error, sizeof(error));
	assert_non_null(keys);
	assert_string_equal(kith_keys_choose(keys, KITH_ES256, "a", "https://new")->issuer, "https://new");
	assert_string_equal(kith_keys_choose(keys, KITH_ES256, "a", "http://old")->issuer, "http://old");
	/* Of nobody's: the first, whose issuer it will not name either. */
	assert_string_equal(kith_keys_choose(keys, KITH_ES256, "a", "kith")->issuer, "https://new");
	assert_null(kith_keys_choose(keys, KITH_ES256, NULL, "kith"));
	kith_arena_free(keys->arena);
	text = kith_format(mint_memory(), "{\"keys\":[{%s,\"issuer\":\"https://new\"},{%s}]}", record, record);
	assert_null(kith_keys_read(keys_file(text), NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "kid a is there twice"));
}

static void
readable_secret(void **state)
{
	const char *text = kith_format(mint_memory(), "{\"keys\":[{\"kty\":\"oct\",\"k\":\"%s\"}]}", mint_base64url(SECRET, 32));
	struct kith_keys *keys;
	char error[200];

	(void)state;
	assert_null(kith_keys_read(mint_file("keys.json", text, 0644), NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "everybody may read"));
	keys = kith_keys_read(mint_file("keys.json", text, 0640), NULL, error, sizeof(error));
	assert_int_equal(keys->keys[0].algorithm, KITH_HS256);
	assert_int_equal(keys->keys[0].length, 32);
	kith_arena_free(keys->arena);
}

static void
load_again(void **state)
{
	int old_stderr = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	unsigned generation;

	(void)state;
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[%s]}", own_key(ec, "1")));
	assert_int_equal(kith_keys_load(), 0);
	generation = kith_keys_current()->generation;
	assert_int_equal(kith_keys_load(), 0);
	assert_int_equal(kith_keys_current()->generation, generation);
	keys_file(kith_format(mint_memory(), "{\"keys\":[%s]}", own_key(other, "2")));
	assert_int_equal(kith_keys_load(), 0);
	assert_string_equal(kith_keys_current()->keys[0].kid, "2");
	keys_file("{\"keys\":[");
	dup2(null, STDERR_FILENO);
	assert_int_equal(kith_keys_load(), -1);
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(null);
}

static void
reload(void **state)
{
	const char *first = mint_token("{\"alg\":\"ES256\",\"kid\":\"1\"}", mint_claims(""), ec, NULL);
	const char *second = mint_token("{\"alg\":\"ES256\",\"kid\":\"2\"}", mint_claims(""), other, NULL);
	struct kith_token token;
	unsigned generation;

	(void)state;
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[%s]}", own_key(ec, "1")));
	assert_int_equal(kith_keys_load(), 0);
	generation = kith_keys_current()->generation;
	assert_int_equal(verify(first, &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(second, &token), KITH_TOKEN_BROKEN);
	assert_int_equal(kith_keys_current()->generation, generation);

	keys_file(kith_format(mint_memory(), "{\"keys\":[%s,%s]}", own_key(other, "2"), own_key(ec, "1")));
	assert_int_equal(verify(first, &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(second, &token), KITH_TOKEN_GOOD);
	assert_int_not_equal(kith_keys_current()->generation, generation);

	keys_file("{\"keys\":[");
	generation = kith_keys_current()->generation;
	assert_int_equal(verify(first, &token), KITH_TOKEN_GOOD);
	assert_int_equal(kith_keys_current()->generation, generation);

	mint_remove(kith_settings.keys);
	assert_null(kith_keys_current());
	assert_null(kith_keys_current());

	keys_file(kith_format(mint_memory(), "{\"keys\":[%s,{%s,\"kid\":\"1\",\"state\":\"retired\"}]}", own_key(other, "2"), mint_jwk(ec)));
	assert_int_equal(verify(first, &token), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(second, &token), KITH_TOKEN_GOOD);
}

static void
foreign_keys(void **state)
{
	const char *user = ",\"aud\":\"authenticated\",\"sub\":\"" ANA "\"";
	struct kith_token token;

	(void)state;
	mint_file("set.json", kith_format(mint_memory(), "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"%s\"},"
	    "{%s,\"kid\":\"d\",\"d\":\"AA\"},{\"kty\":\"OKP\"},{%s,\"kid\":\"1\"},{%s,\"kid\":\"r\",\"use\":\"sig\",\"key_ops\":[\"verify\"]}]}",
	    mint_base64url(SECRET, 32), mint_jwk(ec), mint_jwk(other), mint_jwk(rsa)), 0644);
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[%s]," SET "}", own_key(ec, "1")));
	assert_int_equal(kith_keys_load(), 0);
	assert_int_equal(kith_keys_current()->nkeys, 3);

	/* Both have a key named 1: the issuer tells which. */
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"1\"}", mint_claims(""), ec, NULL), &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"1\"}", "{\"role\":\"anon\",\"iss\":\"kith\",\"exp\":4102444800}",
	    ec, NULL), &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(foreign_token(other, "1", user), &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(foreign_token(rsa, "r", user), &token), KITH_TOKEN_GOOD);
	assert_int_equal(token.identity.role, KITH_AUTHENTICATED);
	assert_non_null(strstr(token.identity.claims, "\"role\":\"authenticated\""));
	assert_int_equal(verify(foreign_token(ec, "1", user), &token), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"1\"}", mint_claims(""), other, NULL), &token), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(foreign_token(ec, "d", user), &token), KITH_TOKEN_BROKEN);

	assert_int_equal(verify(foreign_token(other, "1", ",\"role\":\"service_role\""), &token), KITH_TOKEN_ROLE);
	assert_int_equal(verify(foreign_token(other, "1", ",\"role\":\"anon\""), &token), KITH_TOKEN_ROLE);
	assert_int_equal(verify(foreign_token(other, "1", ",\"aud\":\"authenticated\",\"sub\":\"auth0|7\""), &token), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify(foreign_token(other, "1", ",\"sub\":\"" ANA "\""), &token), KITH_TOKEN_CLAIMS);
}

static void
set_options(void **state)
{
	struct kith_token token;

	(void)state;
	mint_file("set.json", kith_format(mint_memory(), "{\"keys\":[{%s,\"kid\":\"r\"}]}", mint_jwk(rsa)), 0644);
	kith_settings.keys = keys_file("{\"jwks\":[{\"file\":\"set.json\",\"issuer\":\"" FOREIGN "\",\"audience\":\"app\",\"sub\":\"any\"}]}");
	assert_int_equal(kith_keys_load(), 0);
	assert_int_equal(verify(foreign_token(rsa, "r", ",\"aud\":\"app\",\"sub\":\"auth0|7\""), &token), KITH_TOKEN_GOOD);
	assert_null(token.identity.subject);
	assert_int_equal(verify(foreign_token(rsa, "r", ",\"aud\":\"authenticated\",\"sub\":\"x\""), &token), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify(foreign_token(rsa, "r", ",\"aud\":\"app\",\"sub\":\"\""), &token), KITH_TOKEN_CLAIMS);
	assert_int_equal(verify(foreign_token(rsa, "r", ",\"aud\":\"app\""), &token), KITH_TOKEN_CLAIMS);
}

static void
set_changes(void **state)
{
	const char *one = kith_format(mint_memory(), "{\"keys\":[{%s,\"kid\":\"1\"}]}", mint_jwk(other));
	struct kith_buf many;

	(void)state;
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[%s]," SET "}", own_key(ec, "1")));
	mint_remove(mint_file("set.json", "", 0644));
	assert_int_equal(kith_keys_load(), 0);
	assert_int_equal(kith_keys_current()->nkeys, 1);
	mint_file("set.json", one, 0644);
	assert_int_equal(kith_keys_current()->nkeys, 2);

	/* What is no set, or too large a one, leaves the keys as they were; also when the key file changes later. */
	mint_file("set.json", "<html>", 0644);
	assert_int_equal(kith_keys_current()->nkeys, 2);
	kith_buf_init(&many, mint_memory(), 0);
	for (int i = 0; i < 17; i++)
		kith_buf_printf(&many, "%s{\"kid\":\"%d\",%s}", i ? "," : "{\"keys\":[", i, mint_jwk(other));
	kith_buf_puts(&many, "]}");
	mint_file("set.json", many.s, 0644);
	assert_int_equal(kith_keys_current()->nkeys, 2);
	mint_file("set.json", kith_format(mint_memory(), "%s%70000s", one, ""), 0644);
	assert_int_equal(kith_keys_current()->nkeys, 2);
	keys_file(kith_format(mint_memory(), "{\"keys\":[%s,%s]," SET "}", own_key(ec, "1"), own_key(rsa, "2")));
	assert_int_equal(kith_keys_current()->nkeys, 3);
	mint_file("set.json", "{\"keys\":[]}", 0644);
	assert_int_equal(kith_keys_current()->nkeys, 2);
}

static void
wanted(void **state)
{
	const char *path = mint_file("set.json.wanted", "", 0644);
	struct kith_token token;

	(void)state;
	mint_remove(path);
	mint_file("set.json", "{\"keys\":[]}", 0644);
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[%s]," SET "}", own_key(ec, "1")));
	assert_int_equal(kith_keys_load(), 0);
	verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"9\"}", mint_claims(""), ec, NULL), &token);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(verify(foreign_token(rsa, "9", ""), &token), KITH_TOKEN_BROKEN);
	assert_int_equal(access(path, F_OK), 0);
	mint_remove(path);
	verify(foreign_token(rsa, "10", ""), &token);
	assert_int_equal(access(path, F_OK), -1);
	mint_clock_offset = 61;
	verify(foreign_token(rsa, "10", ""), &token);
	mint_clock_offset = 0;
	assert_int_equal(access(path, F_OK), 0);
}

static void
ambiguous(void **state)
{
	struct kith_token token;

	(void)state;
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[%s,%s]}", own_key(ec, "1"), own_key(other, "2")));
	assert_int_equal(kith_keys_load(), 0);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\"}", mint_claims(""), ec, NULL), &token), KITH_TOKEN_BROKEN);
	assert_int_equal(verify(mint_token("{\"alg\":\"ES256\",\"kid\":\"1\"}", mint_claims(""), ec, NULL), &token), KITH_TOKEN_GOOD);
}

static void
secret_with_kid(void **state)
{
	struct kith_token token;

	(void)state;
	kith_settings.keys = keys_file(kith_format(mint_memory(), "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"%s\"}]}",
	    mint_base64url(SECRET, strlen(SECRET))));
	assert_int_equal(kith_keys_load(), 0);
	assert_int_equal(verify(mint_token("{\"alg\":\"HS256\",\"kid\":\"s\"}", mint_claims(""), NULL, SECRET), &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(mint_token("{\"alg\":\"HS256\"}", mint_claims(""), NULL, SECRET), &token), KITH_TOKEN_GOOD);
	assert_int_equal(verify(mint_token("{\"alg\":\"HS256\",\"kid\":\"x\"}", mint_claims(""), NULL, SECRET), &token), KITH_TOKEN_BROKEN);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a key file with anything wrong is refused", bad_files),
		unit_that("a key that signed for several issuers is known by each", two_issuers),
		unit_that("a secret that everybody may read is refused", readable_secret),
		unit_that("loading again reads what changed, and puts up with nothing bad", load_again),
		unit_that("a changed key file counts at once, a bad one does not", reload),
		unit_that("a foreign issuer has only its own keys and role", foreign_keys),
		unit_that("a set may have its own audience and subjects", set_options),
		unit_that("a changed set counts at once, a bad one does not", set_changes),
		unit_that("an unknown kid of a known issuer asks for a refresh once a minute", wanted),
		unit_that("a secret that has a kid takes no other", secret_with_kid),
		unit_that("without kid two keys that fit are none", ambiguous),
	};
	int failed;

	kith_settings.log_level = 4;
	ec = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
	rsa = EVP_RSA_gen(2048);
	failed = unit_run(tests);
	mint_end(kith_settings.keys);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(other);
	EVP_PKEY_free(rsa);
	return failed;
}
