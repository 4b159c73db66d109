/*
 * Settings: KITH_* variables of the environment, read once at start.
 */
#ifndef KITH_SETTINGS_H
#define KITH_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

struct kith_settings {
	const char *database;		/* KITH_DATABASE: libpq conninfo without user */
	const char *keys;		/* KITH_KEYS: path of the key file */
	const char *signing_key;	/* KITH_SIGNING_KEY: path of the key that signs tokens; only the auth program's */
	const char *auth_secret;	/* KITH_AUTH_SECRET: path of a secret that only the auth program knows */
	const char *issuer;		/* KITH_ISSUER: URL of the auth program, as clients see it: iss of its tokens */
	const char *site_url;		/* KITH_SITE_URL: the app, where links in mails lead in the end */
	const char **redirect_urls;	/* KITH_REDIRECT_URLS: where else they, and payments, may lead, see redirect_url.h; NULL or ends with NULL */
	bool verify_get;		/* KITH_VERIFY_GET=redirect: opening a link is enough, and no button has to be pressed */
	bool autoconfirm;		/* KITH_AUTOCONFIRM: an address need not be proved; always so without mail */
	bool secure_email_change;	/* KITH_SECURE_EMAIL_CHANGE: the old address is asked too */
	bool reauthenticate;		/* KITH_REAUTHENTICATE: a new password wants a code, a day after signing in */
	bool current_password;		/* KITH_CURRENT_PASSWORD: a new password wants the old one */
	bool reveal_unknown;		/* KITH_REVEAL_UNKNOWN: a code that is asked for may say that there is no such user */
	long mails_per_hour;		/* KITH_MAILS_PER_HOUR: that anybody can cause, together; 0: no limit */
	bool disable_signup;		/* KITH_DISABLE_SIGNUP */
	bool anonymous_sign_ins;	/* KITH_ANONYMOUS_SIGN_INS */
	bool auth_ip_limits;		/* KITH_AUTH_IP_LIMITS: how often one IP address may try something */
	long jwt_expiry;		/* KITH_JWT_EXPIRY: seconds that an access token lives */
	long password_min_length;	/* KITH_PASSWORD_MIN_LENGTH: bytes */
	const char *password_method;	/* KITH_PASSWORD_HASH: "$2b$" for bcrypt, "$y$" for yescrypt */
	const char *mail;		/* how mail is sent, by which of these are set: "smtp", "resend"; NULL: not at all */
	const char *mail_from;		/* KITH_MAIL_FROM: "Name <address>", or an address */
	const char *smtp_url;		/* KITH_SMTP_URL */
	const char *smtp_user;		/* KITH_SMTP_USER */
	const char *smtp_password;	/* KITH_SMTP_PASSWORD: path of a file that holds it */
	const char *resend_key;		/* KITH_RESEND_API_KEY: path of a file that holds it */
	const char *resend_base_url;	/* KITH_RESEND_BASE_URL */
	long resend_rate;		/* KITH_RESEND_RATE: mails a second, of all workers together */
	const char *mail_templates;	/* KITH_MAIL_TEMPLATES: directory of templates that come before ours */
	const char *mail_defaults;	/* KITH_MAIL_DEFAULTS: directory of ours */
	const char *stripe_key;		/* KITH_STRIPE_API_KEY: path of a file that holds it */
	const char *stripe_base_url;	/* KITH_STRIPE_BASE_URL */
	const char *lemonsqueezy_key;	/* KITH_LEMONSQUEEZY_API_KEY: path of a file that holds it */
	const char *lemonsqueezy_base_url;	/* KITH_LEMONSQUEEZY_BASE_URL */
	long lemonsqueezy_store;	/* KITH_LEMONSQUEEZY_STORE_ID; 0: none */
	bool lemonsqueezy_allow_test;	/* KITH_LEMONSQUEEZY_ALLOW_TEST: its events in test mode count too */
	const char *stripe_webhook_secret;	/* KITH_STRIPE_WEBHOOK_SECRET: path of a file that holds secrets; NULL: no events */
	const char *lemonsqueezy_webhook_secret;	/* KITH_LEMONSQUEEZY_WEBHOOK_SECRET: likewise */
	const char *resend_webhook_secret;	/* KITH_RESEND_WEBHOOK_SECRET */
	const char *telegram_webhook_secret;	/* KITH_TELEGRAM_WEBHOOK_SECRET */
	const char *elevenlabs_webhook_secret;	/* KITH_ELEVENLABS_WEBHOOK_SECRET */
	const char *ca_certificates;	/* KITH_CA_CERTIFICATES: file of those whom calls trust; NULL: the system's */
	bool allow_http_providers;	/* KITH_ALLOW_HTTP_PROVIDERS: calls without TLS beyond loopback */
	const char *ffmpeg;		/* KITH_FFMPEG: path of the program that decodes recordings */
	long file_grace;		/* KITH_FILE_GRACE: seconds that a released file stays */
	long orphan_age;		/* KITH_ORPHAN_AGE: seconds that a file without a row stays */
	const char *storage;		/* KITH_STORAGE: directory of the files: see store.h */
	const char *storage_secret;	/* KITH_STORAGE_SECRET: path of the secret that signs URLs of files; only the storage program's */
	long file_limit;		/* KITH_FILE_LIMIT: bytes of a file */
	long signed_upload_expiry;	/* KITH_SIGNED_UPLOAD_EXPIRY: seconds that a signed URL takes an upload */
	long worker_processes;		/* KITH_WORKER_PROCESSES */
	const char **schemas;		/* KITH_SCHEMAS: exposed ones, the first is the default; ends with NULL */
	long max_rows;			/* KITH_MAX_ROWS: cap on rows of one read; 0 for none */
	long body_limit;		/* KITH_BODY_LIMIT: bytes */
	long statement_timeout_anon;	/* KITH_STATEMENT_TIMEOUT_ANON: milliseconds */
	long statement_timeout;		/* KITH_STATEMENT_TIMEOUT: milliseconds */
	const char *jwt_audience;	/* KITH_JWT_AUDIENCE */
	long jwt_leeway;		/* KITH_JWT_LEEWAY: seconds, 0..60 */
	bool anon_without_key;		/* KITH_ANON_WITHOUT_KEY */
	bool prepared_statements;	/* KITH_PREPARED_STATEMENTS */
	long idle_disconnect;		/* KITH_IDLE_DISCONNECT: seconds, 0 for never */
	long idle_stop;			/* KITH_IDLE_STOP: seconds, 0 for never */
	long processes;			/* KITH_PROCESSES: of each program; 0, the default: what the program finds right */
	int log_level;			/* KITH_LOG_LEVEL: debug, info, warning, error (0..3) */
};

/* In force; valid after kith_settings_load. */
extern struct kith_settings kith_settings;

/*
 * Reads the environment.  0, or -1 after one line on stderr that names the
 * variable and what it may be: unknown KITH_* names and bad values are refused.
 * KITH_HOME, KITH_PORT and other names of the scripts are known and ignored.
 */
int kith_settings_load(void);

/*
 * Parses a decimal integer of min..max: no blanks, no sign but a leading '-',
 * nothing behind it.  False, *value untouched, for anything else.
 */
bool kith_parse_long(const char *s, long min, long max, long *value);

#endif
