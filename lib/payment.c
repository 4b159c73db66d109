#include "payment.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "http.h"
#include "json.h"
#include "settings.h"

#define STRIPE_VERSION "2026-10-28.endive"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ID_MAX 255
#define WORD_MAX 64

static const struct {
	const char *name;
	const char **key, **base_url;
	const char *key_setting, *base_setting;
} providers[KITH_PAYMENTS] = {
	[KITH_STRIPE] = { "stripe", &kith_settings.stripe_key, &kith_settings.stripe_base_url, "KITH_STRIPE_API_KEY",
	    "KITH_STRIPE_BASE_URL" },
	[KITH_LEMONSQUEEZY] = { "lemonsqueezy", &kith_settings.lemonsqueezy_key, &kith_settings.lemonsqueezy_base_url,
	    "KITH_LEMONSQUEEZY_API_KEY", "KITH_LEMONSQUEEZY_BASE_URL" },
};

const char *
kith_payment_name(enum kith_payment provider)
{
	return providers[provider].name;
}

bool
kith_payment_find(const char *name, enum kith_payment *provider)
{
	for (int i = 0; i < KITH_PAYMENTS; i++) {
		if (!strcmp(name, providers[i].name)) {
			*provider = (enum kith_payment)i;
			return true;
		}
	}
	return false;
}

bool
kith_payment_configured(enum kith_payment provider)
{
	return *providers[provider].key;
}

static int
refuse(const char *name, const char *why)
{
	fprintf(stderr, "%s: %s\n", name, why);
	return -1;
}

static int
check(struct kith_arena *a, enum kith_payment provider)
{
	const char *why = kith_outgoing_refuse(*providers[provider].base_url, "https http");

	if (why)
		return refuse(providers[provider].base_setting, why);
	if (!kith_outgoing_secret(a, *providers[provider].key, &why))
		return refuse(providers[provider].key_setting, why);
	if (provider == KITH_LEMONSQUEEZY && !kith_settings.lemonsqueezy_store)
		return refuse("KITH_LEMONSQUEEZY_STORE_ID", "must be set: the number of your store");
	return 0;
}

int
kith_payment_init(void)
{
	struct kith_arena *a = kith_arena_new(0);
	int status = 0;

	for (int i = 0; i < KITH_PAYMENTS && !status; i++)
		if (kith_payment_configured((enum kith_payment)i))
			status = check(a, (enum kith_payment)i);
	kith_arena_free(a);
	return status;
}

struct kith_http *
kith_payment_call(struct kith_arena *a, enum kith_payment provider, const char *method, const char *path,
    const char *route, const char **why)
{
	const char *key = kith_outgoing_secret(a, *providers[provider].key, why);
	struct kith_http *call;

	if (!key) {
		*why = kith_format(a, "%s: %s: %s", providers[provider].name, providers[provider].key_setting, *why);
		return NULL;
	}
	call = kith_http_new(a, providers[provider].name, method, *providers[provider].base_url, path);
	call->route = route;
	kith_http_header(call, "Authorization", "Bearer %s", key);
	if (provider == KITH_STRIPE) {
		kith_http_header(call, "Stripe-Version", STRIPE_VERSION);
		kith_http_header(call, "Content-Type", "application/x-www-form-urlencoded");
	} else {
		kith_http_header(call, "Accept", "application/vnd.api+json");
		kith_http_header(call, "Content-Type", "application/vnd.api+json");
	}
	return call;
}

const char *
kith_payment_id(const char *id)
{
	size_t n = id ? strlen(id) : 0;

	return n && n <= ID_MAX && strspn(id, LETTERS DIGITS "_-") == n ? id : NULL;
}

/* What may be logged, and compared: nothing of the caller's. */
static const char *
word(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	return n && n <= WORD_MAX && strspn(text, LETTERS DIGITS "_") == n ? text : "";
}

/* "/data/attributes/checkout_data/email", "line_items[0][price]": what it is about stands last. */
static const char *
last_word(struct kith_arena *a, const char *path)
{
	size_t n = path ? strlen(path) : 0;
	const char *start;

	while (n && strchr("/]", path[n - 1]))
		n--;
	for (start = path + n; start > path && !strchr("/[", start[-1]); start--)
		;
	return n ? word(kith_strndup(a, start, (size_t)(path + n - start))) : "";
}

struct kith_payment_error
kith_payment_error(struct kith_arena *a, const struct kith_http *call)
{
	const struct kith_json *answer = kith_json_parse(a, call->answer, call->answer_len, NULL), *error, *errors;
	struct kith_payment_error found = { "", "" };

	if ((error = kith_json_get(answer, "error"))) {
		found.code = word(kith_json_string(error, "code"));
		if (!*found.code)
			found.code = word(kith_json_string(error, "type"));
		found.param = last_word(a, kith_json_string(error, "param"));
	} else if ((errors = kith_json_get(answer, "errors")) && errors->type == KITH_JSON_ARRAY && errors->first) {
		found.code = word(kith_json_string(errors->first, "code"));
		found.param = last_word(a, kith_json_string(kith_json_get(errors->first, "source"), "pointer"));
	}
	return found;
}
