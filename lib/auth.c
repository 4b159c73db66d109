#include "auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "arena.h"
#include "keys.h"
#include "log.h"
#include "request.h"
#include "settings.h"
#include "token.h"
#include "token_cache.h"

#define HOUR 3600

static const struct kith_identity nobody = {
	.role = KITH_ANON,
	.role_name = "anon",
	.claims = "{\"role\":\"anon\"}",
};

/* Fetched once: EVP_sha256() would look the implementation up with every call. */
static EVP_MD *sha256;
static EVP_MD_CTX *sha256_context;

int
kith_auth_init(void)
{
	if (!sha256)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256_context)
		sha256_context = EVP_MD_CTX_new();
	if (!sha256 || !sha256_context) {
		fputs("OpenSSL has no SHA-256\n", stderr);
		return -1;
	}
	return kith_keys_load();
}

static void
digest(const char *text, unsigned char *out)
{
	EVP_DigestInit_ex2(sha256_context, sha256, NULL);
	EVP_DigestUpdate(sha256_context, text, strlen(text));
	EVP_DigestFinal_ex(sha256_context, out, NULL);
}

static int
refuse(struct kith_request *req, const char *code, const char *message, const char *why)
{
	kith_reply_header(req, "WWW-Authenticate", "Bearer error=\"invalid_token\", error_description=\"%s\"", message);
	kith_fail(req, 401, code, "%s", message);
	return kith_fail_log(req, "%s", why);
}

static int
refuse_api_key(struct kith_request *req, const char *why)
{
	refuse(req, "PGRST301", "Invalid API key", why);
	return kith_fail_hint(req, "Double check your anon or service_role API key.");
}

static int
refuse_keyless(struct kith_request *req)
{
	kith_reply_header(req, "WWW-Authenticate", "Bearer");
	kith_fail(req, 401, "PGRST302", "No API key found in request");
	return kith_fail_hint(req, "Send the anon key of this server in the apikey header.");
}

/*
 * Who a credential stands for: one of the API keys, or whoever its issuer says.
 * NULL with the verdict and what there is to say in *bad.
 */
static const struct kith_identity *
identify(struct kith_request *req, const struct kith_keys *keys, const char *text, enum kith_verdict *verdict,
    struct kith_token *bad)
{
	unsigned char sum[KITH_SHA256_SIZE];
	struct kith_api_key *api_key;
	struct kith_token *token;

	digest(text, sum);
	api_key = kith_keys_api_key(keys, sum);
	if (api_key) {
		struct kith_identity *identity = &api_key->identity;

		if (!identity->claims)
			identity->claims = kith_token_api_key_claims(keys->arena, text, identity->role_name);
		return identity;
	}
	token = kith_token_cache_find(sum);
	if (token) {
		*verdict = kith_token_check_times(token);
	} else {
		*verdict = kith_token_verify(req->arena, keys, text, bad);
		token = *verdict ? bad : kith_token_cache_add(sum, bad);
	}
	if (!*verdict)
		return &token->identity;
	*bad = *token;
	return NULL;
}

/* An apikey is one of the API keys, or a token that a key of ours gave to no user. */
static int
check_api_key(struct kith_request *req, const struct kith_keys *keys, const char *text)
{
	enum kith_verdict verdict;
	struct kith_token bad;

	req->identity = identify(req, keys, text, &verdict, &bad);
	if (!req->identity)
		return refuse_api_key(req, bad.reason);
	if (req->identity->role == KITH_AUTHENTICATED) {
		req->identity = NULL;
		return refuse_api_key(req, "apikey is a user's token");
	}
	return 0;
}

static int
check_bearer(struct kith_request *req, const struct kith_keys *keys, const char *text)
{
	enum kith_verdict verdict;
	struct kith_token bad;

	req->identity = identify(req, keys, text, &verdict, &bad);
	if (req->identity)
		return 0;
	if (verdict == KITH_TOKEN_ROLE) {
		kith_fail(req, 403, "42501", "%s", bad.message);
		return kith_fail_log(req, "%s", bad.reason);
	}
	return refuse(req, verdict == KITH_TOKEN_CLAIMS ? "PGRST303" : "PGRST301", bad.message, bad.reason);
}

/* The credential behind "Bearer" and blanks (token68 of RFC 9110, section 11.2); NULL when it is anything else. */
static const char *
bearer(const char *authorization)
{
	static const char scheme[] = "Bearer ";
	const char *p = authorization + sizeof(scheme) - 1;
	size_t n;

	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	p += strspn(p, " ");
	n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
	if (!n || p[n + strspn(p + n, "=")])
		return NULL;
	return p;
}

/* Browsers send Origin: then everybody who opens the page has the key that sees everything. */
static void
warn_browser(const struct kith_request *req)
{
	static time_t warned;
	struct timespec now;

	if (!req->identity || req->identity->role != KITH_SERVICE || !kith_request_header(req, "origin"))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (warned && now.tv_sec - warned < HOUR)
		return;
	warned = now.tv_sec;
	kith_log(KITH_LOG_WARNING, "a service_role key is used in a browser: replace it, and give browsers the anon key");
}

static int
identify_by(struct kith_request *req, const struct kith_keys *keys, bool keyless)
{
	const char *apikey = kith_request_header(req, "apikey");
	const char *authorization = kith_request_header(req, "authorization");
	const char *token;

	/* The first of two would be checked, and another program might read the second. */
	if (kith_request_header_count(req, "apikey") > 1)
		return refuse_api_key(req, "more than one apikey");
	if (kith_request_header_count(req, "authorization") > 1)
		return refuse(req, "PGRST301", "JWT could not be verified", "more than one Authorization");
	if (!apikey && !keyless)
		return refuse_keyless(req);
	if (apikey && check_api_key(req, keys, apikey))
		return -1;
	if (!apikey)
		req->identity = &nobody;
	if (!authorization)
		return 0;
	token = bearer(authorization);
	if (!token) {
		req->identity = NULL;
		return refuse(req, "PGRST301", "JWT could not be verified", "Authorization is not a bearer token");
	}
	/* Clients send the API key again when nobody is signed in. */
	if (apikey && !strcmp(token, apikey))
		return 0;
	return check_bearer(req, keys, token);
}

static int
identify_caller(struct kith_request *req, bool keyless)
{
	static unsigned generation;
	const struct kith_keys *keys = kith_keys_current();

	req->identity = NULL;
	if (!keys)
		return kith_fail(req, 503, "KITH04", "keys are not available");
	if (keys->generation != generation) {
		kith_token_cache_clear();
		generation = keys->generation;
	}
	if (identify_by(req, keys, keyless))
		return -1;
	warn_browser(req);
	return 0;
}

int
kith_auth_identify(struct kith_request *req)
{
	return identify_caller(req, kith_settings.anon_without_key);
}

int
kith_auth_identify_bearer(struct kith_request *req)
{
	return identify_caller(req, true);
}
