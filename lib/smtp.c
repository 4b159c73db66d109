#include "smtp.h"

#include <string.h>

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "settings.h"

/* A server may look at a mail for long before it takes it over; who gives up sooner sends it twice. */
#define TIMEOUT_MS 60000

/* Who greylists a sender wants to see a pause of minutes. */
#define LATER_MS INT64_C(300000)

struct upload {
	const char *p;
	size_t left;
};

static size_t
give(char *out, size_t size, size_t n, void *arg)
{
	struct upload *upload = arg;
	size_t most = size * n < upload->left ? size * n : upload->left;

	memcpy(out, upload->p, most);
	upload->p += most;
	upload->left -= most;
	return most;
}

static long
security(const char *url)
{
	if (kith_outgoing_loopback(url))
		return CURLUSESSL_NONE;
	return kith_outgoing_plain(url) ? CURLUSESSL_TRY : CURLUSESSL_ALL;
}

enum kith_outcome
kith_smtp_outcome(long status)
{
	switch (status) {
	case 421:
		return KITH_BUSY;	/* the whole service */
	case 454:
	case 530:
	case 534:
	case 535:
	case 538:
		return KITH_DENIED;
	default:
		return status >= 500 && status < 600 ? KITH_REFUSED : KITH_FAILED;
	}
}

static enum kith_outcome
judge(struct kith_arena *a, struct kith_smtp *mail, CURL *handle, CURLcode code)
{
	enum kith_outcome outcome;

	mail->error = NULL;
	mail->retry_ms = -1;
	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &mail->status);
	if (!code)
		return KITH_DONE;
	outcome = kith_outgoing_outcome(handle, code);
	/* Replies below 400 were good ones: the connection ended after them. */
	if (mail->status < 400 || outcome == KITH_UNREACHED) {
		mail->error = kith_format(a, "smtp: %s", curl_easy_strerror(code));
		return code == CURLE_LOGIN_DENIED ? KITH_DENIED : outcome;
	}
	mail->error = kith_format(a, "smtp %ld", mail->status);
	outcome = code == CURLE_LOGIN_DENIED ? KITH_DENIED : kith_smtp_outcome(mail->status);
	if (outcome == KITH_FAILED)
		mail->retry_ms = LATER_MS;
	return outcome;
}

enum kith_outcome
kith_smtp_send(struct kith_arena *a, struct kith_smtp *mail)
{
	struct upload upload = { .p = mail->text, .left = mail->len };
	int64_t begun_us = kith_now_us();
	struct curl_slist *to = curl_slist_append(NULL, kith_format(a, "<%s>", mail->to));
	CURL *handle = kith_outgoing_handle();
	enum kith_outcome outcome;
	CURLcode code;

	curl_easy_setopt(handle, CURLOPT_URL, mail->url);
	curl_easy_setopt(handle, CURLOPT_USE_SSL, security(mail->url));
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	if (mail->user) {
		curl_easy_setopt(handle, CURLOPT_USERNAME, mail->user);
		curl_easy_setopt(handle, CURLOPT_PASSWORD, mail->password ? mail->password : "");
	}
	curl_easy_setopt(handle, CURLOPT_MAIL_FROM, kith_format(a, "<%s>", mail->from));
	curl_easy_setopt(handle, CURLOPT_MAIL_RCPT, to);
	curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(handle, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(handle, CURLOPT_READDATA, &upload);
	curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->len);
	code = curl_easy_perform(handle);
	outcome = judge(a, mail, handle, code);
	curl_slist_free_all(to);
	kith_log(mail->error ? KITH_LOG_WARNING : KITH_LOG_INFO, "smtp: %ld%s%s in %d ms, attempt %d", mail->status,
	    code ? " " : "", code ? curl_easy_strerror(code) : "", (int)((kith_now_us() - begun_us) / 1000),
	    mail->attempt);
	return outcome;
}
