/*
 * Tokens.  The input is a token as it came; or, behind a line break, a header
 * and claims (divided by another one) that are signed with the right key, so
 * that the claims checks are reached.
 *
 * Whatever is good must carry a signature that we find right ourselves, and an
 * identity in which everything has been checked.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base64url.h"
#include "json.h"
#include "keys.h"
#include "token.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define MAC_SIZE 32

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct kith_key key = {
	.algorithm = KITH_HS256,
	.issuer = "https://kith.example/auth/v1",
	.roles = 1u << KITH_ANON | 1u << KITH_AUTHENTICATED,
	.sessions = "https://kith.example/auth/v1",
	.material = (const unsigned char *)SECRET,
	.length = sizeof(SECRET) - 1,
};

static const struct kith_keys keys = { .keys = &key, .nkeys = 1 };

static void
demand(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void
add_base64url(struct kith_buf *out, const unsigned char *p, size_t n)
{
	size_t len;

	kith_buf_reserve(out, n / 3 * 4 + 8);
	EVP_EncodeBlock((unsigned char *)out->s + out->len, p, (int)n);
	len = strcspn(out->s + out->len, "=");
	for (char *c = out->s + out->len; len--; c++, out->len++)
		*c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
	out->s[out->len] = '\0';
}

static void
mac(const char *text, size_t n, unsigned char *out)
{
	HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (const unsigned char *)text, n, out, NULL);
}

static const char *
sign(struct kith_arena *a, const unsigned char *data, size_t size)
{
	const unsigned char *claims = memchr(data, '\n', size);
	size_t n = claims ? (size_t)(claims - data) : size;
	unsigned char signature[MAC_SIZE];
	struct kith_buf token;

	kith_buf_init(&token, a, 0);
	add_base64url(&token, data, n);
	kith_buf_putc(&token, '.');
	if (claims)
		add_base64url(&token, claims + 1, size - n - 1);
	mac(token.s, token.len, signature);
	kith_buf_putc(&token, '.');
	add_base64url(&token, signature, sizeof(signature));
	return token.s;
}

static bool
signature_is_right(struct kith_arena *a, const char *text)
{
	const char *signature = strrchr(text, '.') + 1;
	unsigned char right[MAC_SIZE];
	size_t n;
	char *given = kith_base64url_decode(a, signature, strlen(signature), &n);

	mac(text, (size_t)(signature - 1 - text), right);
	return given && n == MAC_SIZE && !memcmp(given, right, MAC_SIZE);
}

static void
check_parts(const char *text, const struct kith_token_parts *parts)
{
	const char *first = strchr(text, '.');

	demand(strlen(text) <= KITH_TOKEN_MAX, "too long");
	demand(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(text), "alphabet");
	demand(first && strchr(first + 1, '.') && strchr(first + 1, '.') == strrchr(text, '.'), "two dots");
	demand(parts->header->type == KITH_JSON_OBJECT && parts->claims->type == KITH_JSON_OBJECT, "objects");
}

static void
check_good(struct kith_arena *a, const char *text, const struct kith_token *token)
{
	const struct kith_identity *who = &token->identity;
	const struct kith_json *claims = kith_json_parse(a, who->claims, strlen(who->claims), NULL);
	const char *subject = kith_json_string(claims, "sub");
	int64_t exp = 0;

	demand(signature_is_right(a, text), "signature");
	demand(!strcmp(kith_json_string(claims, "role"), who->role_name), "role");
	demand(who->role != KITH_SERVICE, "a role the key may not give");
	demand(kith_json_integer(claims, "exp", &exp) == 1 && exp == token->expires, "exp");
	demand(who->subject ? !strcmp(subject, who->subject) : !kith_json_get(claims, "sub"), "sub");
	demand(!who->subject || kith_uuid_canonical(who->subject), "sub is no uuid");
	demand(who->role != KITH_AUTHENTICATED || who->subject, "a user without sub");
	demand(who->role != KITH_AUTHENTICATED || !strcmp(kith_json_string(claims, "iss"), key.issuer), "iss");
	demand(!who->session || kith_uuid_canonical(who->session), "session is no uuid");
	demand(who->session || !kith_json_get(claims, "session_id"), "session is not checked");
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct kith_arena *a = kith_arena_new(0);
	bool ours = size && data[0] == '\n';
	const char *text = ours ? sign(a, data + 1, size - 1) : kith_strndup(a, (const char *)data, size);
	struct kith_token_parts parts;
	struct kith_token token;
	enum kith_verdict verdict;

	if (!kith_token_split(a, text, &parts))
		check_parts(text, &parts);
	verdict = kith_token_verify(a, &keys, text, &token);
	if (verdict)
		demand(token.message && token.reason, "refused without a reason");
	else
		check_good(a, text, &token);
	kith_token_api_key_claims(a, text, "anon");
	kith_arena_free(a);
	return 0;
}
