#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "log.h"
#include "supervisor.h"

/* What holds where the environment says nothing. */
struct kith_settings kith_settings = {
	.schemas = (const char *[]){ "public", "justin", "companion", "trailhead", "thinking_partner", "essence", NULL },
	.max_rows = 1000,
	.body_limit = 1048576,
	.statement_timeout_anon = 3000,
	.statement_timeout = 8000,
	.jwt_audience = "authenticated",
	.jwt_leeway = 30,
	.prepared_statements = true,
	.idle_disconnect = 60,
	.jwt_expiry = 3600,
	.auth_ip_limits = true,
	.mails_per_hour = 30,
	.secure_email_change = true,
	.password_min_length = 6,
	.password_method = "$2b$",
	.resend_base_url = "https://api.resend.com",
	.resend_rate = 2,
	.stripe_base_url = "https://api.stripe.com",
	.lemonsqueezy_base_url = "https://api.lemonsqueezy.com",
	.ffmpeg = "/usr/bin/ffmpeg",
	.file_grace = 60,
	.orphan_age = 3600,
	.file_limit = 52428800,
	.signed_upload_expiry = 7200,
	.worker_processes = 1,
	.idle_stop = 300,
	.log_level = KITH_LOG_INFO,
};

extern char **environ;

/* clang-format off */
static const struct {
	const char *name;
	long *value;
	long min, max;
} numbers[] = {
	{ "KITH_MAX_ROWS",               &kith_settings.max_rows,               0, 1000000 },
	{ "KITH_BODY_LIMIT",             &kith_settings.body_limit,             0, 1L << 30 },
	{ "KITH_STATEMENT_TIMEOUT_ANON", &kith_settings.statement_timeout_anon, 1, 3600000 },
	{ "KITH_STATEMENT_TIMEOUT",      &kith_settings.statement_timeout,      1, 3600000 },
	{ "KITH_JWT_LEEWAY",             &kith_settings.jwt_leeway,             0, 60 },
	{ "KITH_JWT_EXPIRY",             &kith_settings.jwt_expiry,             300, 86400 },
	{ "KITH_PASSWORD_MIN_LENGTH",    &kith_settings.password_min_length,    6, 72 },
	{ "KITH_MAILS_PER_HOUR",         &kith_settings.mails_per_hour,         0, 1000000 },
	{ "KITH_IDLE_DISCONNECT",        &kith_settings.idle_disconnect,        0, 86400 },
	{ "KITH_IDLE_STOP",              &kith_settings.idle_stop,              0, 86400 },
	{ "KITH_RESEND_RATE",            &kith_settings.resend_rate,            1, 1000 },
	{ "KITH_LEMONSQUEEZY_STORE_ID",  &kith_settings.lemonsqueezy_store,     1, LONG_MAX },
	{ "KITH_FILE_GRACE",             &kith_settings.file_grace,             1, 31536000 },
	{ "KITH_ORPHAN_AGE",             &kith_settings.orphan_age,             1, 31536000 },
	{ "KITH_FILE_LIMIT",             &kith_settings.file_limit,             1, 1L << 40 },
	{ "KITH_SIGNED_UPLOAD_EXPIRY",   &kith_settings.signed_upload_expiry,   1, 604800 },
	{ "KITH_WORKER_PROCESSES",       &kith_settings.worker_processes,       1, KITH_SUPERVISOR_MAX },
	{ "KITH_PROCESSES",              &kith_settings.processes,              1, KITH_SUPERVISOR_MAX },
};

static const struct {
	const char *name;
	bool *value;
} switches[] = {
	{ "KITH_ANON_WITHOUT_KEY",        &kith_settings.anon_without_key },
	{ "KITH_PREPARED_STATEMENTS",     &kith_settings.prepared_statements },
	{ "KITH_AUTOCONFIRM",             &kith_settings.autoconfirm },
	{ "KITH_DISABLE_SIGNUP",          &kith_settings.disable_signup },
	{ "KITH_ANONYMOUS_SIGN_INS",      &kith_settings.anonymous_sign_ins },
	{ "KITH_AUTH_IP_LIMITS",          &kith_settings.auth_ip_limits },
	{ "KITH_SECURE_EMAIL_CHANGE",     &kith_settings.secure_email_change },
	{ "KITH_REAUTHENTICATE",          &kith_settings.reauthenticate },
	{ "KITH_CURRENT_PASSWORD",        &kith_settings.current_password },
	{ "KITH_REVEAL_UNKNOWN",          &kith_settings.reveal_unknown },
	{ "KITH_ALLOW_HTTP_PROVIDERS",    &kith_settings.allow_http_providers },
	{ "KITH_LEMONSQUEEZY_ALLOW_TEST", &kith_settings.lemonsqueezy_allow_test },
};

static const struct {
	const char *name;
	const char **value;
} texts[] = {
	{ "KITH_DATABASE",                    &kith_settings.database },
	{ "KITH_KEYS",                        &kith_settings.keys },
	{ "KITH_SIGNING_KEY",                 &kith_settings.signing_key },
	{ "KITH_AUTH_SECRET",                 &kith_settings.auth_secret },
	{ "KITH_ISSUER",                      &kith_settings.issuer },
	{ "KITH_SITE_URL",                    &kith_settings.site_url },
	{ "KITH_JWT_AUDIENCE",                &kith_settings.jwt_audience },
	{ "KITH_MAIL_FROM",                   &kith_settings.mail_from },
	{ "KITH_SMTP_URL",                    &kith_settings.smtp_url },
	{ "KITH_SMTP_USER",                   &kith_settings.smtp_user },
	{ "KITH_SMTP_PASSWORD",               &kith_settings.smtp_password },
	{ "KITH_RESEND_API_KEY",              &kith_settings.resend_key },
	{ "KITH_RESEND_BASE_URL",             &kith_settings.resend_base_url },
	{ "KITH_MAIL_TEMPLATES",              &kith_settings.mail_templates },
	{ "KITH_MAIL_DEFAULTS",               &kith_settings.mail_defaults },
	{ "KITH_STRIPE_API_KEY",              &kith_settings.stripe_key },
	{ "KITH_STRIPE_BASE_URL",             &kith_settings.stripe_base_url },
	{ "KITH_LEMONSQUEEZY_API_KEY",        &kith_settings.lemonsqueezy_key },
	{ "KITH_LEMONSQUEEZY_BASE_URL",       &kith_settings.lemonsqueezy_base_url },
	{ "KITH_STORAGE",                     &kith_settings.storage },
	{ "KITH_STORAGE_SECRET",              &kith_settings.storage_secret },
	{ "KITH_CA_CERTIFICATES",             &kith_settings.ca_certificates },
	{ "KITH_FFMPEG",                      &kith_settings.ffmpeg },
	{ "KITH_STRIPE_WEBHOOK_SECRET",       &kith_settings.stripe_webhook_secret },
	{ "KITH_LEMONSQUEEZY_WEBHOOK_SECRET", &kith_settings.lemonsqueezy_webhook_secret },
	{ "KITH_RESEND_WEBHOOK_SECRET",       &kith_settings.resend_webhook_secret },
	{ "KITH_TELEGRAM_WEBHOOK_SECRET",     &kith_settings.telegram_webhook_secret },
	{ "KITH_ELEVENLABS_WEBHOOK_SECRET",   &kith_settings.elevenlabs_webhook_secret },
};
/* clang-format on */

static const char *const levels[] = { "debug", "info", "warning", "error" };

/* Names that belong to scripts/kith: read there, or printed by `kith env` and so found in a developer's shell. */
static const char *const of_scripts[] = {
	"KITH_HOME", "KITH_PORT",      "KITH_HTTPS_PORT", "KITH_JWT_SECRET",  "KITH_VARIANT",
	"KITH_URL",  "KITH_HTTPS_URL", "KITH_ANON_KEY",   "KITH_SERVICE_KEY", "KITH_CA_FILE",
	"KITH_API_URL",
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

bool
kith_parse_long(const char *s, long min, long max, long *value)
{
	const char *digits = *s == '-' ? s + 1 : s;
	char *end;
	long n;

	/* strtol alone would take blanks, a plus and, with errno not looked at, too much. */
	if (*digits < '0' || *digits > '9')
		return false;
	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || *end || n < min || n > max)
		return false;
	*value = n;
	return true;
}

static int
refuse(const char *name, const char *wanted)
{
	fprintf(stderr, "%s: %s\n", name, wanted);
	return -1;
}

static int
set_number(size_t i, const char *value)
{
	char wanted[80];

	if (kith_parse_long(value, numbers[i].min, numbers[i].max, numbers[i].value))
		return 0;
	snprintf(wanted, sizeof(wanted), "must be a whole number from %ld to %ld", numbers[i].min, numbers[i].max);
	return refuse(numbers[i].name, wanted);
}

static int
set_switch(size_t i, const char *value)
{
	if (strcmp(value, "0") && strcmp(value, "1"))
		return refuse(switches[i].name, "must be 0 or 1");
	*switches[i].value = *value == '1';
	return 0;
}

static int
set_level(const char *value)
{
	for (size_t i = 0; i < LENGTH(levels); i++) {
		if (!strcmp(value, levels[i])) {
			kith_settings.log_level = (int)i;
			return 0;
		}
	}
	return refuse("KITH_LOG_LEVEL", "must be debug, info, warning or error");
}

static int
set_password_hash(const char *value)
{
	if (strcmp(value, "bcrypt") && strcmp(value, "yescrypt"))
		return refuse("KITH_PASSWORD_HASH", "must be bcrypt or yescrypt");
	kith_settings.password_method = strcmp(value, "bcrypt") ? "$y$" : "$2b$";
	return 0;
}

static int
set_verify_get(const char *value)
{
	if (strcmp(value, "page") && strcmp(value, "redirect"))
		return refuse("KITH_VERIFY_GET", "must be page or redirect");
	kith_settings.verify_get = !strcmp(value, "redirect");
	return 0;
}

/* "public, companion" becomes { "public", "companion", NULL }. */
static int
set_list(const char ***list, const char *name, const char *value, const char *wanted)
{
	static struct kith_arena *arena;
	const char **items;
	size_t n = 1;

	if (!arena)
		arena = kith_arena_new(0);
	for (const char *p = value; *p; p++)
		n += *p == ',';
	items = kith_new_array(arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t blanks = strspn(value, " "), length = strcspn(value, ",");
		const char *next = value + length + 1;

		value += blanks;
		length -= blanks;
		while (length && value[length - 1] == ' ')
			length--;
		if (!length)
			return refuse(name, wanted);
		items[i] = kith_strndup(arena, value, length);
		value = next;
	}
	*list = items;
	return 0;
}

static int
set_schemas(const char *value)
{
	return set_list(&kith_settings.schemas, "KITH_SCHEMAS", value, "must be names of schemas with commas between");
}

static int
set_redirect_urls(const char *value)
{
	return set_list(&kith_settings.redirect_urls, "KITH_REDIRECT_URLS", value, "must be addresses with commas between");
}

static bool
is(const char *known, const char *name, size_t n)
{
	return strlen(known) == n && !memcmp(known, name, n);
}

/* One variable of the environment.  An empty value is as good as none. */
static int
set(const char *name, size_t n, const char *value)
{
	char text[64];

	for (size_t i = 0; i < LENGTH(numbers); i++)
		if (is(numbers[i].name, name, n))
			return *value ? set_number(i, value) : 0;
	for (size_t i = 0; i < LENGTH(switches); i++)
		if (is(switches[i].name, name, n))
			return *value ? set_switch(i, value) : 0;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		if (is(texts[i].name, name, n)) {
			if (*value)
				*texts[i].value = value;
			return 0;
		}
	}
	if (is("KITH_SCHEMAS", name, n))
		return *value ? set_schemas(value) : 0;
	if (is("KITH_REDIRECT_URLS", name, n))
		return *value ? set_redirect_urls(value) : 0;
	if (is("KITH_VERIFY_GET", name, n))
		return *value ? set_verify_get(value) : 0;
	if (is("KITH_PASSWORD_HASH", name, n))
		return *value ? set_password_hash(value) : 0;
	if (is("KITH_LOG_LEVEL", name, n))
		return *value ? set_level(value) : 0;
	for (size_t i = 0; i < LENGTH(of_scripts); i++)
		if (is(of_scripts[i], name, n))
			return 0;
#ifdef KITH_TEST
	if (!strncmp(name, "KITH_TEST_", 10))
		return 0;
#endif
	snprintf(text, sizeof(text), "%.*s", (int)(n < sizeof(text) ? n : sizeof(text) - 1), name);
	return refuse(text, "no such setting");
}

int
kith_settings_load(void)
{
	for (char **e = environ; *e; e++) {
		const char *equals = strchr(*e, '=');

		if (!strncmp(*e, "KITH_", 5) && equals && set(*e, (size_t)(equals - *e), equals + 1))
			return -1;
	}
	if (!kith_settings.database)
		return refuse("KITH_DATABASE", "must be set: how to connect, as libpq reads it, without user");
	if (!kith_settings.keys)
		return refuse("KITH_KEYS", "must be set: the path of keys.json");
	kith_settings.mail = kith_settings.smtp_url ? "smtp" : kith_settings.resend_key ? "resend" : NULL;
	if (kith_settings.mail && !kith_settings.mail_from)
		return refuse("KITH_MAIL_FROM", "must be set: whom mails come from");
	if (!kith_settings.mail)
		kith_settings.autoconfirm = true;
	return 0;
}
