#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "http.h"
#include "json.h"
#include "settings.h"
#include "smtp.h"

#define DAY_S 86400

static struct worker_provider provider;

static int
refuse(const char *name, const char *why)
{
	fprintf(stderr, "%s: %s\n", name, why);
	return -1;
}

/* A key or password that cannot be read is better known now than with the first mail. */
static int
check_secret(struct kith_arena *a, const char *name, const char *path)
{
	const char *why = NULL;

	return path && !kith_outgoing_secret(a, path, &why) ? refuse(name, why) : 0;
}

static int
check_transport(struct kith_arena *a)
{
	bool smtp = !strcmp(kith_settings.mail, "smtp");
	const char *why = smtp ? kith_outgoing_refuse(kith_settings.smtp_url, "smtp smtps") :
	    kith_outgoing_refuse(kith_settings.resend_base_url, "https http");

	if (why)
		return refuse(smtp ? "KITH_SMTP_URL" : "KITH_RESEND_BASE_URL", why);
	if (!kith_mail_address(a, kith_settings.mail_from))
		return refuse("KITH_MAIL_FROM", "must be an address, or: Name <address>");
	if (smtp)
		return check_secret(a, "KITH_SMTP_PASSWORD", kith_settings.smtp_password);
	return check_secret(a, "KITH_RESEND_API_KEY", kith_settings.resend_key);
}

int
worker_mail_init(void)
{
	struct kith_arena *a;
	int status;

	if (!kith_settings.mail)
		return 0;
	a = kith_arena_new(0);
	status = check_transport(a);
	kith_arena_free(a);
	provider.name = kith_settings.mail;
	/* Resend counts the calls of all processes together; a mail server says itself when it is too much. */
	if (!strcmp(kith_settings.mail, "resend"))
		provider.interval_us = SECOND_US * kith_settings.worker_processes / kith_settings.resend_rate;
	return status;
}

struct worker_provider *
worker_mail_provider(void)
{
	return provider.name ? &provider : NULL;
}

/* --- Resend --- */

static const char *
resend_body(struct kith_arena *a, const struct kith_mail *mail, const char *log_id)
{
	struct kith_buf out;

	kith_buf_init(&out, a, 0);
	kith_buf_putc(&out, '{');
	kith_json_write_member(&out, "from", mail->from);
	kith_buf_lit(&out, ",\"to\":[");
	kith_json_write_string(&out, mail->to, strlen(mail->to));
	kith_buf_putc(&out, ']');
	kith_json_write_member(&out, "subject", mail->subject);
	kith_json_write_member(&out, "text", mail->text);
	kith_json_write_member(&out, "html", mail->html);
	kith_buf_lit(&out, ",\"headers\":{\"Auto-Submitted\":\"auto-generated\"}");
	if (log_id)
		kith_buf_printf(&out, ",\"tags\":[{\"name\":\"kith_log_id\",\"value\":\"%s\"}]", log_id);
	kith_buf_putc(&out, '}');
	return out.s;
}

static bool
is(const char *name, const char *known)
{
	return name && !strcmp(name, known);
}

/* Both quotas are over until a new day begins, whatever the status says. */
static int64_t
tomorrow_ms(void)
{
	int64_t now_s = kith_clock_us() / 1000000;

	return (DAY_S - now_s % DAY_S + random() % 600) * 1000;
}

/* What the name of an error says beyond its status. */
static void
judge_resend(struct kith_arena *a, const struct kith_http *call, const char *name, struct worker_result *result)
{
	if (name && *name && strlen(name) < 64 && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")])
		result->error = kith_format(a, "%s %s", call->error, name);
	if (is(name, "daily_quota_exceeded") || is(name, "monthly_quota_exceeded")) {
		result->outcome = KITH_BUSY;
		result->retry_ms = result->pause_ms = tomorrow_ms();
	} else if (is(name, "invalid_idempotent_request")) {
		result->outcome = KITH_REFUSED;
	} else if (is(name, "concurrent_idempotent_requests")) {
		result->outcome = KITH_FAILED;
		result->retry_ms = 1000;
	} else if (result->outcome == KITH_BUSY) {
		if (result->retry_ms < 0)
			result->retry_ms = 1000;
		result->pause_ms = result->retry_ms;
	}
}

static void
send_by_resend(struct kith_arena *a, const struct kith_mail *mail, const char *log_id, int attempt,
    struct worker_result *result, const char **id)
{
	struct kith_http *call = kith_http_new(a, "resend", "POST", kith_settings.resend_base_url, "/emails");
	const char *why, *key = kith_outgoing_secret(a, kith_settings.resend_key, &why);
	const struct kith_json *answer;

	if (!key) {
		result->outcome = KITH_DENIED;
		result->error = kith_format(a, "resend: KITH_RESEND_API_KEY: %s", why);
		return;
	}
	kith_http_header(call, "Authorization", "Bearer %s", key);
	kith_http_header(call, "Content-Type", "application/json");
	kith_http_header(call, "Idempotency-Key", "%s", mail->key);
	call->body = resend_body(a, mail, log_id);
	call->attempt = attempt;
	result->outcome = kith_http_send(call);
	result->error = call->error;
	result->retry_ms = call->retry_ms;
	result->fault = result->outcome == KITH_UNREACHED || (result->outcome == KITH_FAILED && call->status != 409);
	answer = kith_json_parse(a, call->answer, call->answer_len, NULL);
	if (result->outcome != KITH_DONE) {
		judge_resend(a, call, kith_json_string(answer, "name"), result);
	} else if (!(*id = kith_json_string(answer, "id"))) {
		/* Somebody else answered.  The key makes it harmless to ask again. */
		result->outcome = KITH_FAILED;
		result->error = "resend: the answer holds no id";
		result->fault = true;
	}
}

/* --- SMTP --- */

static void
send_by_smtp(struct kith_arena *a, const struct kith_mail *mail, int attempt, struct worker_result *result)
{
	struct kith_smtp smtp = { .url = kith_settings.smtp_url, .user = kith_settings.smtp_user,
		.from = kith_mail_address(a, mail->from), .to = mail->to, .attempt = attempt };
	struct kith_buf text;
	const char *why;

	if (kith_settings.smtp_password &&
	    !(smtp.password = kith_outgoing_secret(a, kith_settings.smtp_password, &why))) {
		result->outcome = KITH_DENIED;
		result->error = kith_format(a, "smtp: KITH_SMTP_PASSWORD: %s", why);
		return;
	}
	kith_buf_init(&text, a, 4096);
	kith_mail_write(&text, mail);
	smtp.text = text.s;
	smtp.len = text.len;
	result->outcome = kith_smtp_send(a, &smtp);
	result->error = smtp.error;
	result->retry_ms = smtp.retry_ms;
	/* A reply that concerns this mail says nothing about the server. */
	result->fault = result->outcome == KITH_UNREACHED || (result->outcome == KITH_FAILED && smtp.status < 400);
	if (result->outcome == KITH_BUSY)
		result->pause_ms = 60000;
}

void
worker_mail_send(struct kith_arena *a, const struct kith_mail *mail, const char *log_id, int attempt,
    struct worker_result *result, const char **id)
{
	*id = NULL;
	if (!kith_mail_is_address(mail->to) || !kith_mail_address(a, mail->from)) {
		result->outcome = KITH_REFUSED;
		result->error = "mail cannot be sent to that address";
		return;
	}
	worker_provider_begin(&provider);
	if (!strcmp(provider.name, "resend"))
		send_by_resend(a, mail, log_id, attempt, result, id);
	else
		send_by_smtp(a, mail, attempt, result);
	worker_provider_end(&provider, result);
}

/* --- jobs of kind mail --- */

/* The payload that keeps a mail, once it is made. */
static const char *
kept(struct kith_arena *a, const struct worker_job *job, const struct kith_mail *mail)
{
	struct kith_buf out;

	kith_buf_init(&out, a, 0);
	kith_buf_putc(&out, '{');
	kith_json_write_member(&out, "template", kith_json_string(job->payload, "template"));
	kith_buf_lit(&out, ",\"mail\":{");
	kith_json_write_member(&out, "from", mail->from);
	kith_json_write_member(&out, "to", mail->to);
	kith_json_write_member(&out, "subject", mail->subject);
	kith_json_write_member(&out, "text", mail->text);
	kith_json_write_member(&out, "html", mail->html);
	kith_buf_printf(&out, ",\"date\":%lld}}", (long long)mail->date);
	return out.s;
}

/* NULL, or why it is none. */
static const char *
read_kept(const struct kith_json *from, struct kith_mail *mail)
{
	mail->from = kith_json_string(from, "from");
	mail->to = kith_json_string(from, "to");
	mail->subject = kith_json_string(from, "subject");
	mail->text = kith_json_string(from, "text");
	mail->html = kith_json_string(from, "html");
	kith_json_integer(from, "date", &mail->date);
	if (!mail->from || !mail->to || !mail->subject || !(mail->text || mail->html))
		return "the payload holds no whole mail";
	return NULL;
}

/* NULL, or why the job cannot be done. */
static const char *
make(struct kith_arena *a, const struct worker_job *job, struct kith_mail *mail)
{
	const char *template = kith_json_string(job->payload, "template"), *why;

	mail->to = kith_json_string(job->payload, "to");
	if (!template || !mail->to)
		return "the payload names no template, or nobody";
	why = worker_template_fill(a, template, kith_json_get(job->payload, "data"), mail);
	mail->from = kith_settings.mail_from;
	mail->date = kith_clock_us() / 1000000;
	return why;
}

void
worker_do_mail(struct kith_arena *a, const struct worker_job *job, struct worker_result *result)
{
	const struct kith_json *made = kith_json_get(job->payload, "mail");
	struct kith_mail mail = { .key = job->key };
	const PGresult *ours;
	const char *id;

	result->outcome = KITH_REFUSED;
	if (job->age_s > WORKER_MAIL_MAX_S) {
		result->error = "too old: it waited for a day";
		return;
	}
	result->error = made ? read_kept(made, &mail) : make(a, job, &mail);
	if (result->error)
		return;
	ours = worker_db_run(a, "select kith.keep_job($1, $2, $3, $4), kith.refused_address($5, true)",
	    WORKER_PARAMS(job->id, job->attempt_text, kept(a, job, &mail), WORKER_LEASE, mail.to));
	if (!ours || PQgetisnull(ours, 0, 0)) {
		result->outcome = KITH_UNREACHED;
		result->error = ours ? "the job is no longer ours" : "the database is away";
		return;
	}
	if (!PQgetisnull(ours, 0, 1)) {
		result->error = PQgetvalue(ours, 0, 1);
		return;
	}
	worker_mail_send(a, &mail, NULL, job->attempt, result, &id);
}
