#include "token.h"

#include <jwt.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "arena.h"
#include "base64url.h"
#include "ec.h"
#include "json.h"
#include "keys.h"
#include "settings.h"

/* All that is accepted, by exact name, and what libjwt calls it. */
static const struct {
	const char *name;
	jwt_alg_t libjwt;
} algorithms[] = {
	[KITH_HS256] = { "HS256", JWT_ALG_HS256 },
	[KITH_RS256] = { "RS256", JWT_ALG_RS256 },
	[KITH_ES256] = { "ES256", JWT_ALG_ES256 },
};

/* Decodes one part of a token that must be a JSON object; NULL when it is not. */
static const struct kith_json *
object_part(struct kith_arena *a, const char *p, size_t n)
{
	const struct kith_json *object;
	size_t len;
	char *text = kith_base64url_decode(a, p, n, &len);

	object = text ? kith_json_parse(a, text, len, NULL) : NULL;
	return object && object->type == KITH_JSON_OBJECT ? object : NULL;
}

const char *
kith_token_split(struct kith_arena *a, const char *text, struct kith_token_parts *parts)
{
	const char *claims, *signature;
	size_t n = strnlen(text, KITH_TOKEN_MAX + 1);
	size_t len;

	if (n > KITH_TOKEN_MAX)
		return "longer than 8192 bytes";
	claims = strchr(text, '.');
	signature = claims ? strchr(claims + 1, '.') : NULL;
	if (!signature)
		return "not three parts";
	claims++;
	signature++;
	/* A third dot is outside of the alphabet. */
	n -= (size_t)(signature - text);
	if (!n || !kith_base64url_decode(a, signature, n, &len))
		return "signature is not base64url";
	parts->header = object_part(a, text, (size_t)(claims - 1 - text));
	if (!parts->header)
		return "header is not an object in base64url";
	parts->claims = object_part(a, claims, (size_t)(signature - 1 - claims));
	if (!parts->claims)
		return "payload is not an object in base64url";
	return NULL;
}

static bool
is_text(const struct kith_json *value)
{
	return value && value->type == KITH_JSON_STRING;
}

/* jku, jwk, x5u, x5c and the like are not looked at: a token brings no key. */
static const char *
check_header(const struct kith_json *header, enum kith_algorithm *algorithm, const char **kid)
{
	const struct kith_json *alg = kith_json_get(header, "alg");
	const struct kith_json *typ = kith_json_get(header, "typ");
	const struct kith_json *id = kith_json_get(header, "kid");

	if (kith_json_get(header, "crit"))
		return "header has crit";
	if (typ && (!is_text(typ) || (strcasecmp(typ->text, "JWT") && strcasecmp(typ->text, "at+jwt"))))
		return "typ is neither JWT nor at+jwt";
	if (id && !is_text(id))
		return "kid is not a string";
	*kid = id ? id->text : NULL;
	for (size_t i = 0; is_text(alg) && i < sizeof(algorithms) / sizeof(*algorithms); i++) {
		if (!strcmp(alg->text, algorithms[i].name)) {
			*algorithm = (enum kith_algorithm)i;
			return NULL;
		}
	}
	return "alg is not one of HS256, RS256, ES256";
}

/* The claims as libjwt prints them: sorted, without duplicates. */
static const struct kith_json *
print_claims(struct kith_arena *a, jwt_t *jwt, const char **text)
{
	char *json = jwt_get_grants_json(jwt, NULL);

	*text = json ? kith_strdup(a, json) : "";
	free(json);
	return kith_json_parse(a, *text, strlen(*text), NULL);
}

/* The JSON text of the claims, which were found to be base64url. */
static const char *
payload(struct kith_arena *a, const char *token)
{
	const char *start = strchr(token, '.') + 1;
	size_t n;

	return kith_base64url_decode(a, start, (size_t)(strrchr(token, '.') - start), &n);
}

/* The token with its signature found right by this key; NULL when it is not. */
static jwt_t *
verify_ec(struct kith_arena *a, const struct kith_key *key, const char *token)
{
	const char *end = strrchr(token, '.');
	jwt_t *jwt = NULL;
	size_t n;
	const char *signature = kith_base64url_decode(a, end + 1, strlen(end + 1), &n);

	if (!kith_ec_verify(key->ec, token, (size_t)(end - token), (const unsigned char *)signature, n) || jwt_new(&jwt))
		return NULL;
	if (!jwt_add_grants_json(jwt, payload(a, token)))
		return jwt;
	jwt_free(jwt);
	return NULL;
}

static jwt_t *
verify(const struct kith_key *key, const char *token)
{
	jwt_t *jwt = NULL;

	/* A length of 0 would make libjwt accept anything. */
	if (key->length > 0 && !jwt_decode(&jwt, token, key->material, key->length) &&
	    jwt_get_alg(jwt) == algorithms[key->algorithm].libjwt)
		return jwt;
	jwt_free(jwt);
	return NULL;
}

/*
 * Checks the signature with this key and no other.  Returns the verified claims
 * and their text, or NULL.
 */
static const struct kith_json *
verify_signature(struct kith_arena *a, const struct kith_key *key, const char *token, const char **text)
{
	jwt_t *jwt = key->algorithm == KITH_ES256 ? verify_ec(a, key, token) : verify(key, token);
	const struct kith_json *claims = jwt ? print_claims(a, jwt, text) : NULL;

	if (key->role && claims && !kith_json_get(claims, "role") && !jwt_add_grant(jwt, "role", key->role))
		claims = print_claims(a, jwt, text);
	jwt_free(jwt);
	ERR_clear_error();
	return claims && claims->type == KITH_JSON_OBJECT ? claims : NULL;
}

bool
kith_uuid_canonical(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(shape); i++) {
		bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

		if (shape[i] == 'x' ? !hex : text[i] != shape[i])
			return false;
	}
	return true;
}

static enum kith_verdict
refuse(struct kith_token *token, enum kith_verdict verdict, const char *message, const char *reason)
{
	token->message = message;
	token->reason = reason;
	return verdict;
}

static enum kith_verdict
bad_claim(struct kith_token *token, const char *reason)
{
	return refuse(token, KITH_TOKEN_CLAIMS, "JWT claims could not be verified", reason);
}

enum kith_verdict
kith_token_check_times(struct kith_token *token)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec >= token->expires + kith_settings.jwt_leeway)
		return refuse(token, KITH_TOKEN_CLAIMS, "JWT expired", "exp has passed");
	if (now.tv_sec + kith_settings.jwt_leeway < token->begins)
		return refuse(token, KITH_TOKEN_CLAIMS, "JWT not yet valid", "nbf has not come");
	return KITH_TOKEN_GOOD;
}

/* aud: a string, or an array of strings. */
static bool
is_for(const struct kith_json *aud, const char *audience)
{
	bool found = false;

	if (is_text(aud))
		return !strcmp(aud->text, audience);
	if (aud->type != KITH_JSON_ARRAY)
		return false;
	for (const struct kith_json *a = aud->first; a; a = a->next) {
		if (!is_text(a))
			return false;
		found |= !strcmp(a->text, audience);
	}
	return found;
}

static enum kith_verdict
check_audience(const struct kith_key *key, const struct kith_json *claims, bool required, struct kith_token *token)
{
	const struct kith_json *aud = kith_json_get(claims, "aud");

	if (!aud && !required)
		return KITH_TOKEN_GOOD;
	if (!aud || !is_for(aud, key->audience ? key->audience : kith_settings.jwt_audience))
		return refuse(token, KITH_TOKEN_CLAIMS, "JWT not in audience", "aud does not hold the audience");
	return KITH_TOKEN_GOOD;
}

static enum kith_verdict
check_subject(const struct kith_key *key, const struct kith_json *claims, bool required, struct kith_token *token)
{
	const struct kith_json *sub = kith_json_get(claims, "sub");
	const struct kith_json *session = kith_json_get(claims, "session_id");
	const struct kith_json *iss = kith_json_get(claims, "iss");

	if (!sub && required)
		return bad_claim(token, "sub is absent");
	if (sub && !is_text(sub))
		return bad_claim(token, "sub is not a string");
	if (sub && kith_uuid_canonical(sub->text))
		token->identity.subject = sub->text;
	else if (sub && (!key->any_subject || !*sub->text))
		return bad_claim(token, "sub is not a uuid");
	if (session && key->sessions && iss && !strcmp(iss->text, key->sessions)) {
		if (!is_text(session) || !kith_uuid_canonical(session->text))
			return bad_claim(token, "session_id is not a uuid");
		token->identity.session = session->text;
	}
	return KITH_TOKEN_GOOD;
}

/* API keys (role anon or service_role, nobody's) may have been issued by another stack. */
static bool
issuer_fits(const struct kith_key *key, const struct kith_json *claims, bool api_key)
{
	const struct kith_json *iss = kith_json_get(claims, "iss");

	if (iss && !is_text(iss))
		return false;
	if (!key->issuer || (api_key && !key->foreign))
		return true;
	return iss && !strcmp(iss->text, key->issuer);
}

/* Contract: authentication, A3.5.  iat is not looked at: clocks of issuers differ. */
static enum kith_verdict
check_claims(const struct kith_key *key, const struct kith_json *claims, struct kith_token *token)
{
	const struct kith_json *role = kith_json_get(claims, "role");
	enum kith_verdict verdict;
	bool known, user;

	if (kith_json_integer(claims, "exp", &token->expires) != 1)
		return bad_claim(token, "exp is absent or no integer");
	if (kith_json_integer(claims, "nbf", &token->begins) < 0)
		return bad_claim(token, "nbf is no integer");
	verdict = kith_token_check_times(token);
	if (verdict)
		return verdict;
	if (!is_text(role))
		return bad_claim(token, "role is absent or not a string");
	known = kith_role_parse(role->text, &token->identity.role);
	user = known && token->identity.role == KITH_AUTHENTICATED;
	if (!issuer_fits(key, claims, known && !user && !kith_json_get(claims, "sub")))
		return bad_claim(token, "iss is not the key's issuer");
	verdict = check_audience(key, claims, user, token);
	if (!verdict)
		verdict = check_subject(key, claims, user, token);
	if (verdict)
		return verdict;
	if (!known || !(key->roles & 1u << token->identity.role))
		return refuse(token, KITH_TOKEN_ROLE, "permission denied to set role", "role is not one the key may give");
	token->identity.role_name = kith_role_name(token->identity.role);
	return KITH_TOKEN_GOOD;
}

enum kith_verdict
kith_token_verify(struct kith_arena *a, const struct kith_keys *keys, const char *text, struct kith_token *token)
{
	static const char message[] = "JWT could not be verified";
	struct kith_token_parts parts;
	const struct kith_json *claims;
	const struct kith_key *key;
	enum kith_algorithm algorithm = KITH_ES256;
	const char *kid = NULL, *wrong;

	*token = (struct kith_token){ .expires = 0 };
	wrong = kith_token_split(a, text, &parts);
	if (!wrong)
		wrong = check_header(parts.header, &algorithm, &kid);
	if (wrong)
		return refuse(token, KITH_TOKEN_BROKEN, message, wrong);
	/* The issuer only helps to choose; it is checked with the other claims. */
	key = kith_keys_choose(keys, algorithm, kid, kith_json_string(parts.claims, "iss"));
	if (!key)
		return refuse(token, KITH_TOKEN_BROKEN, message, "no key of that kid, alg and issuer");
	claims = verify_signature(a, key, text, &token->identity.claims);
	if (!claims)
		return refuse(token, KITH_TOKEN_BROKEN, message, "the signature does not fit");
	return check_claims(key, claims, token);
}

const char *
kith_token_api_key_claims(struct kith_arena *a, const char *text, const char *role)
{
	const char *claims = kith_format(a, "{\"role\":\"%s\"}", role);
	struct kith_token_parts parts;
	jwt_t *jwt = NULL;

	if (kith_token_split(a, text, &parts) || jwt_new(&jwt))
		return claims;
	if (!jwt_add_grants_json(jwt, payload(a, text)) && !jwt_del_grants(jwt, "role") && !jwt_add_grant(jwt, "role", role))
		print_claims(a, jwt, &claims);
	jwt_free(jwt);
	return claims;
}
