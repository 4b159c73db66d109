#include "auth-program.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <openssl/rand.h>

#include "arena.h"
#include "kith.h"
#include "log.h"
#include "settings.h"

#define TOKEN_BYTES 32
#define CODES 1000000u
#define LIFETIME_S 3600

/* Six digits, all equally likely: what does not divide evenly is drawn again. */
static const char *
new_code(struct kith_arena *a)
{
	unsigned n;

	do {
		if (RAND_bytes((unsigned char *)&n, sizeof(n)) != 1) {
			kith_log(KITH_LOG_ERROR, "no random bytes");
			exit(EX_OSERR);
		}
	} while (n >= 4294u * CODES);
	return kith_format(a, "%06u", n % CODES);
}

static void
member(struct kith_buf *out, const char *name, const char *value)
{
	kith_buf_printf(out, "%s\"%s\":", out->s[out->len - 1] == '{' ? "" : ",", name);
	kith_json_write_string(out, value, strlen(value));
}

/* The payload of a mail; the SQL function adds the user's metadata. */
static void
mail(struct kith_buf *out, const char *template, const char *email, const char *url, const char *code,
    const char *token)
{
	kith_buf_putc(out, '{');
	member(out, "template", template);
	member(out, "to", email);
	kith_buf_lit(out, ",\"data\":{");
	member(out, "Email", email);
	member(out, "SiteURL", kith_settings.site_url);
	if (url) {
		member(out, "ConfirmationURL", url);
		member(out, "Token", code);
		member(out, "TokenHash", token);
	}
	kith_buf_lit(out, "}}");
}

const char *
auth_link(struct kith_request *req, const char *type, const char *template, const char *email)
{
	const char *token = auth_random(req->arena, TOKEN_BYTES), *code = new_code(req->arena), *url;
	struct kith_buf out;

	url = kith_format(req->arena, "%s/verify?token=%s&type=%s", kith_settings.issuer, token, type);
	kith_buf_init(&out, req->arena, 0);
	kith_buf_putc(&out, '{');
	member(&out, "token_hash", auth_digest(req->arena, token));
	member(&out, "code_hash", auth_mac(req->arena, "code", kith_format(req->arena, "%s %s %s", type, email, code)));
	kith_buf_printf(&out, ",\"lifetime\":%d,\"mail\":", LIFETIME_S);
	mail(&out, template, email, url, code, token);
	kith_buf_lit(&out, ",\"notice\":");
	mail(&out, "account_exists", email, NULL, NULL, NULL);
	kith_buf_putc(&out, '}');
	return out.s;
}
