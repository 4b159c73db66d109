#include "webhooks-program.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "arena.h"
#include "json_value.h"

#define ID_MAX 255
#define ESCAPE 6	/* bytes of a \u0000 */

/* clang-format off */
/* Where an event says what it is.  Without an id, or with one that is none, it is known by its digest. */
static const struct {
	const char *id[4], *type[4], *at[4];
	const char *id_header;
} places[] = {
	[WEBHOOKS_STRIPE]       = { .id = { "id" }, .type = { "type" }, .at = { "created" } },
	/* meta.webhook_id may be the endpoint's: it would make all events one. */
	[WEBHOOKS_LEMONSQUEEZY] = { .type = { "meta", "event_name" }, .at = { "data", "attributes", "updated_at" } },
	[WEBHOOKS_RESEND]       = { .id_header = "svix-id", .type = { "type" }, .at = { "created_at" } },
	[WEBHOOKS_TELEGRAM]     = { .id = { "update_id" }, .at = { "message", "date" } },
	[WEBHOOKS_ELEVENLABS]   = { .type = { "type" }, .at = { "event_timestamp" } },
};
/* clang-format on */

/* The value of \uXXXX at p, or -1. */
static int
escape(const char *p, const char *end)
{
	int value = 0;

	if (end - p < ESCAPE || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < ESCAPE; i++) {
		int digit = OPENSSL_hexchar2int((unsigned char)p[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/*
 * JSON may say what PostgreSQL cannot keep.  U+0000 goes; half of a surrogate
 * pair, which stands for no character, becomes U+FFFD.
 */
static void
clean(struct kith_buf *out, const char *p, const char *end)
{
	while (p < end) {
		int value = escape(p, end);

		if (value == -1) {
			/* An escaped backslash must not begin an escape with what follows it. */
			size_t n = *p == '\\' && p + 1 < end ? 2 : 1;

			kith_buf_add(out, p, n);
			p += n;
			continue;
		}
		if (value >= 0xd800 && value <= 0xdfff) {
			int low = value <= 0xdbff ? escape(p + ESCAPE, end) : -1;

			if (low >= 0xdc00 && low <= 0xdfff) {
				kith_buf_add(out, p, ESCAPE * 2);
				p += ESCAPE;
			} else {
				kith_buf_lit(out, "\\ufffd");
			}
		} else if (value) {
			kith_buf_add(out, p, ESCAPE);
		}
		p += ESCAPE;
	}
}

/* Text of the string or number at a path of names; NULL when there is none. */
static const char *
text_at(struct kith_arena *a, const struct kith_json_value *v, const char *const *path)
{
	if (!*path)
		return NULL;
	for (; v && *path; path++)
		v = v->type == KITH_JSON_OBJECT ? kith_json_value_get(v, *path) : NULL;
	if (!v || (v->type != KITH_JSON_STRING && v->type != KITH_JSON_NUMBER) || !v->n)
		return NULL;
	return kith_strndup(a, v->text, v->n);
}

static const char *
digest(struct kith_request *req)
{
	unsigned char bytes[SHA256_DIGEST_LENGTH];
	struct kith_buf text;

	SHA256((const unsigned char *)req->body, req->body_len, bytes);
	kith_buf_init(&text, req->arena, 2 * sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		kith_buf_printf(&text, "%02x", bytes[i]);
	return text.s;
}

int
webhooks_read_event(struct kith_request *req, enum webhooks_provider provider, struct webhooks_event *event)
{
	const struct kith_json_value *body;
	struct kith_json_scan scan = { .error = NULL };
	struct kith_buf payload;
	const char *error;

	kith_buf_init(&payload, req->arena, req->body_len);
	clean(&payload, req->body, req->body + req->body_len);
	if (kith_json_scan(req->arena, payload.s, payload.len, &scan) || scan.type != KITH_JSON_OBJECT)
		return kith_fail(req, 400, "bad_json", "%s", scan.error ? scan.error : "not an object");
	/* NULL for numbers that are beyond PostgreSQL's: the ledger will say so. */
	body = kith_json_value_parse(req->arena, payload.s, payload.len, &error);
	*event = (struct webhooks_event){
		.id = text_at(req->arena, body, places[provider].id),
		.type = text_at(req->arena, body, places[provider].type),
		.at = text_at(req->arena, body, places[provider].at),
		.payload = payload.s,
		.digest = digest(req),
	};
	if (places[provider].id_header)
		event->id = webhooks_header(req, places[provider].id_header);
	if (!event->id || strlen(event->id) > ID_MAX)
		event->id = event->digest;
	return 0;
}
