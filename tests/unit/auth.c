/* Goal: the two headers say who is calling, and nothing that is wrong with them ever passes for less. */
#include "mint.h"

#include <openssl/sha.h>

#include "auth.h"
#include "error.h"
#include "request.h"

#define ES "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"own\"}"
#define PUBLISHABLE "sb_publishable_0123456789"
#define SECRET_KEY "sb_secret_0123456789"

static EVP_PKEY *ec, *other;
static const char *anon, *service;	/* tokens, as API keys */
static const char *ana;			/* "Bearer " and her token */

static const char *
hex_sha256(const char *text)
{
	unsigned char sum[32];
	struct kith_buf hex;

	SHA256((const unsigned char *)text, strlen(text), sum);
	kith_buf_init(&hex, mint_memory(), 64);
	for (size_t i = 0; i < sizeof(sum); i++)
		kith_buf_printf(&hex, "%02x", sum[i]);
	return hex.s;
}

static void
write_keys(EVP_PKEY *key)
{
	kith_settings.keys = mint_file("keys.json", kith_format(mint_memory(),
	    "{\"keys\":[{%s,\"kid\":\"own\",\"issuer\":\"" ISSUER "\",\"sessions\":\"" ISSUER "\"},"
	    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"%s\"}],"
	    "\"api_keys\":[{\"sha256\":\"%s\",\"role\":\"anon\"},{\"sha256\":\"%s\",\"role\":\"service_role\"},"
	    "{\"sha256\":\"%s\",\"role\":\"anon\"},{\"sha256\":\"%s\",\"role\":\"service_role\"}]}",
	    mint_jwk(key), mint_base64url(SECRET, strlen(SECRET)), hex_sha256(anon), hex_sha256(service), hex_sha256(PUBLISHABLE),
	    hex_sha256(SECRET_KEY)), 0640);
}

static const char *
bearer(const char *token)
{
	return kith_format(mint_memory(), "Bearer %s", token);
}

/* The request with these headers (NULL: without), identified. */
static struct kith_request *
call(const char *apikey, const char *authorization)
{
	struct kith_request *req = unit_request();
	int rc;

	if (apikey)
		unit_header(req, "apikey", apikey);
	if (authorization)
		unit_header(req, "authorization", authorization);
	rc = kith_auth_identify(req);
	assert_int_equal(rc, req->error.status ? -1 : 0);
	if (rc)
		assert_null(req->identity);
	else
		assert_non_null(req->identity);
	return req;
}

static void
assert_role(const struct kith_request *req, enum kith_role role, const char *claims)
{
	assert_int_equal(req->error.status, 0);
	assert_int_equal(req->identity->role, role);
	assert_string_equal(req->identity->role_name, role == KITH_ANON ? "anon" : role == KITH_SERVICE ? "service_role" : "authenticated");
	if (claims)
		assert_string_equal(req->identity->claims, claims);
}

static void
assert_refused(const struct kith_request *req, int status, const char *code, const char *message, const char *challenge)
{
	const char *expected = challenge ? kith_format(mint_memory(), "WWW-Authenticate: %s\r\n", challenge) : "";

	assert_int_equal(req->error.status, status);
	assert_string_equal(req->error.code, code);
	assert_string_equal(req->error.message, message);
	assert_string_equal(req->reply.headers.s, expected);
}

static void
assert_bad_key(const struct kith_request *req)
{
	assert_refused(req, 401, "PGRST301", "Invalid API key", "Bearer error=\"invalid_token\", error_description=\"Invalid API key\"");
}

static void
assert_bad_token(const struct kith_request *req)
{
	assert_refused(req, 401, "PGRST301", "JWT could not be verified",
	    "Bearer error=\"invalid_token\", error_description=\"JWT could not be verified\"");
}

static void
key_alone(void **state)
{
	(void)state;
	assert_role(call(PUBLISHABLE, NULL), KITH_ANON, "{\"role\":\"anon\"}");
	assert_role(call(SECRET_KEY, NULL), KITH_SERVICE, "{\"role\":\"service_role\"}");
	assert_role(call(anon, NULL), KITH_ANON, "{\"exp\":4102444800,\"iss\":\"kith\",\"role\":\"anon\"}");
	assert_role(call(service, NULL), KITH_SERVICE, "{\"exp\":4102444800,\"iss\":\"kith\",\"role\":\"service_role\"}");
	assert_null(call(anon, NULL)->identity->subject);
	assert_null(call(anon, NULL)->identity->session);
	/* Not in the list, but signed: a key of the stack one moves from. */
	assert_role(call(mint_token("{\"alg\":\"HS256\"}", "{\"role\":\"anon\",\"iss\":\"supabase\",\"ref\":\"x\",\"exp\":4102444800}", NULL,
	    SECRET), NULL), KITH_ANON, NULL);
}

static void
key_again_as_bearer(void **state)
{
	(void)state;
	assert_role(call(PUBLISHABLE, bearer(PUBLISHABLE)), KITH_ANON, "{\"role\":\"anon\"}");
	assert_role(call(SECRET_KEY, bearer(SECRET_KEY)), KITH_SERVICE, NULL);
	assert_role(call(anon, bearer(anon)), KITH_ANON, NULL);
	assert_role(call(anon, bearer(service)), KITH_SERVICE, NULL);
	assert_role(call(anon, bearer(SECRET_KEY)), KITH_SERVICE, NULL);
}

static void
user(void **state)
{
	struct kith_request *req = call(anon, ana);

	(void)state;
	assert_role(req, KITH_AUTHENTICATED, NULL);
	assert_string_equal(req->identity->subject, ANA);
	assert_string_equal(req->identity->session, SESSION);
	assert_non_null(strstr(req->identity->claims, "\"sub\":\"" ANA "\""));
	/* A user's token beats a secret key. */
	assert_role(call(service, ana), KITH_AUTHENTICATED, NULL);
	assert_role(call(anon, kith_format(mint_memory(), "bEARER   %s", ana + 7)), KITH_AUTHENTICATED, NULL);
}

static void
no_key(void **state)
{
	(void)state;
	assert_refused(call(NULL, NULL), 401, "PGRST302", "No API key found in request", "Bearer");
	assert_refused(call(NULL, ana), 401, "PGRST302", "No API key found in request", "Bearer");
	kith_settings.anon_without_key = true;
	assert_role(call(NULL, NULL), KITH_ANON, "{\"role\":\"anon\"}");
	assert_role(call(NULL, ana), KITH_AUTHENTICATED, NULL);
	assert_bad_key(call("wrong", ana));
	assert_bad_token(call(NULL, "Bearer x"));
	kith_settings.anon_without_key = false;
}

static void
wrong_keys(void **state)
{
	const char *wrong[] = { "", "x", "sb_publishable_012345678", "sb_publishable_01234567890", "SB_PUBLISHABLE_0123456789",
		" " PUBLISHABLE, PUBLISHABLE ", " PUBLISHABLE, hex_sha256(PUBLISHABLE), ana + 7, ana, bearer(anon),
		mint_token(ES, "{\"role\":\"anon\",\"exp\":4102444800}", other, NULL), mint_token(ES, "{\"role\":\"anon\",\"exp\":1}", ec, NULL),
		mint_token(ES, "{\"role\":\"postgres\",\"exp\":4102444800}", ec, NULL), mint_token(ES, "{\"role\":\"anon\"}", ec, NULL) };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_bad_key(call(wrong[i], NULL));
		assert_bad_key(call(wrong[i], ana));
	}
}

static void
wrong_bearers(void **state)
{
	const char *wrong[] = { "", "Bearer", "Bearer ", "Bearer  ", "Basic YTpi", "Bearer\tx", "Bearerx", ana + 7,
		"Bearer x", "Bearer a b", "Bearer =", "Bearer x=y", "Bearer a,b", kith_format(mint_memory(), "%s ", ana),
		kith_format(mint_memory(), "%s=", ana), kith_format(mint_memory(), "%s, %s", ana, ana),
		kith_format(mint_memory(), "Token %s", ana + 7), "Bearer sb_secret_012345678",
		bearer(mint_token(ES, mint_claims(""), other, NULL)) };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_bad_token(call(anon, wrong[i]));
		assert_bad_token(call(service, wrong[i]));
	}
}

static void
wrong_claims(void **state)
{
	(void)state;
	assert_refused(call(anon, bearer(mint_token(ES, "{\"role\":\"authenticated\",\"exp\":1}", ec, NULL))), 401, "PGRST303",
	    "JWT expired", "Bearer error=\"invalid_token\", error_description=\"JWT expired\"");
	assert_refused(call(anon, bearer(mint_token(ES, "{}", ec, NULL))), 401, "PGRST303", "JWT claims could not be verified",
	    "Bearer error=\"invalid_token\", error_description=\"JWT claims could not be verified\"");
	assert_refused(call(anon, bearer(mint_token(ES, "{\"role\":\"postgres\",\"iss\":\"" ISSUER "\",\"exp\":4102444800}", ec, NULL))), 403,
	    "42501", "permission denied to set role", NULL);
}

static void
twice(void **state)
{
	struct kith_request *req = unit_request();

	(void)state;
	unit_header(req, "apikey", anon);
	unit_header(req, "apikey", anon);
	assert_int_equal(kith_auth_identify(req), -1);
	assert_bad_key(req);
	req = unit_request();
	unit_header(req, "apikey", anon);
	unit_header(req, "authorization", ana);
	unit_header(req, "authorization", ana);
	assert_int_equal(kith_auth_identify(req), -1);
	assert_bad_token(req);
}

static void
expiry_of_kept_tokens(void **state)
{
	(void)state;
	assert_role(call(anon, ana), KITH_AUTHENTICATED, NULL);
	mint_clock_offset = 625;
	assert_role(call(anon, ana), KITH_AUTHENTICATED, NULL);
	mint_clock_offset = 595;
	assert_role(call(anon, ana), KITH_AUTHENTICATED, NULL);
	mint_clock_offset = 635;
	assert_string_equal(call(anon, ana)->error.message, "JWT expired");
	mint_clock_offset = 0;
	assert_role(call(anon, ana), KITH_AUTHENTICATED, NULL);
}

static void
rotation(void **state)
{
	(void)state;
	assert_role(call(anon, ana), KITH_AUTHENTICATED, NULL);
	write_keys(other);
	assert_bad_token(call(anon, ana));
	mint_remove(kith_settings.keys);
	assert_refused(call(anon, ana), 503, "KITH04", "keys are not available", NULL);
	assert_refused(call(NULL, NULL), 503, "KITH04", "keys are not available", NULL);
	write_keys(ec);
	assert_role(call(anon, ana), KITH_AUTHENTICATED, NULL);
}

static void
no_secret_told(void **state)
{
	struct kith_request *req = call(anon, bearer("sb_secret_canary"));

	(void)state;
	assert_null(strstr(req->error.log, "canary"));
	req = call("sb_canary", NULL);
	assert_null(strstr(req->error.log, "canary"));
	assert_null(strstr(req->error.hint, "canary"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("an API key alone has its role and claims", key_alone),
		unit_that("the API key again as bearer is nobody's token", key_again_as_bearer),
		unit_that("a user's token beats the API key", user),
		unit_that("without API key there is only a 401, unless the setting says so", no_key),
		unit_that("C12: a wrong API key is refused, token or not", wrong_keys),
		unit_that("C11: a wrong bearer is a 401, never a lesser role", wrong_bearers),
		unit_that("failing claims are PGRST303, a foreign role is 403", wrong_claims),
		unit_that("C7: a repeated header is refused", twice),
		unit_that("a kept token expires all the same", expiry_of_kept_tokens),
		unit_that("a replaced key ends its tokens at once, no key file is 503", rotation),
		unit_that("the log gets no credential", no_secret_told),
	};
	int failed;

	kith_settings.log_level = 4;
	ec = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
	anon = mint_token(ES, "{\"role\":\"anon\",\"iss\":\"kith\",\"exp\":4102444800}", ec, NULL);
	service = mint_token(ES, "{\"role\":\"service_role\",\"iss\":\"kith\",\"exp\":4102444800}", ec, NULL);
	ana = bearer(mint_token(ES, mint_claims(",\"session_id\":\"" SESSION "\""), ec, NULL));
	write_keys(ec);
	if (kith_auth_init())
		return 1;
	failed = unit_run(tests);
	mint_end(kith_settings.keys);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(other);
	return failed;
}
