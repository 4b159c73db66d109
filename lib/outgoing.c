#include "outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "arena.h"
#include "log.h"
#include "settings.h"

#define SECRET_MAX 1024

#define PROTOCOLS "https,http,smtps,smtp"
#define USER_AGENT "kith/1"

CURL *
kith_outgoing_handle(void)
{
	static CURL *handle;

	if (!handle && (curl_global_init(CURL_GLOBAL_DEFAULT) || !(handle = curl_easy_init()))) {
		kith_log(KITH_LOG_ERROR, "could not set up libcurl");
		exit(EX_OSERR);
	}
	curl_easy_reset(handle);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, PROTOCOLS);
	/* A redirect would carry the key elsewhere; libcurl follows none by itself. */
	curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_USERAGENT, USER_AGENT);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)KITH_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	if (kith_settings.ca_certificates)
		curl_easy_setopt(handle, CURLOPT_CAINFO, kith_settings.ca_certificates);
	return handle;
}

/* A part of a URL, to be given back to curl_free(); NULL when there is none. */
static char *
part(const char *url, CURLUPart which)
{
	CURLU *parsed = curl_url();
	char *text = NULL;

	if (parsed && !curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME))
		curl_url_get(parsed, which, &text, 0);
	curl_url_cleanup(parsed);
	return text;
}

bool
kith_outgoing_loopback(const char *url)
{
	char *host = part(url, CURLUPART_HOST);
	bool is = host && (!strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
	    (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host)));

	curl_free(host);
	return is;
}

bool
kith_outgoing_plain(const char *url)
{
	return kith_settings.allow_http_providers || kith_outgoing_loopback(url);
}

static bool
among(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (; *words; words += strcspn(words, " "), words += *words == ' ')
		if (strcspn(words, " ") == n && !strncmp(words, word, n))
			return true;
	return false;
}

const char *
kith_outgoing_refuse(const char *url, const char *schemes)
{
	char *scheme = part(url, CURLUPART_SCHEME), *host = part(url, CURLUPART_HOST);
	char *user = part(url, CURLUPART_USER);
	const char *why = NULL;

	if (!scheme || !host || !strstr(url, "://") || !among(schemes, scheme))
		why = "is no URL of the right kind";
	else if (user)
		why = "holds a user name: names and passwords have settings of their own";
	else if (!strcmp(scheme, "http") && !kith_outgoing_plain(url))
		why = "must be https, except on loopback (KITH_ALLOW_HTTP_PROVIDERS=1 allows it)";
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	return why;
}

enum kith_outcome
kith_outgoing_outcome(CURL *handle, CURLcode code)
{
	curl_off_t ready_us = 0;

	switch (code) {
	case CURLE_OK:
		return KITH_DONE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_USE_SSL_FAILED:
		return KITH_UNREACHED;
	case CURLE_OPERATION_TIMEDOUT:
		/* Before the connection was ready nothing of ours can have gone out. */
		curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
		return ready_us > 0 ? KITH_FAILED : KITH_UNREACHED;
	default:
		return KITH_FAILED;
	}
}

const char *
kith_outgoing_secret(struct kith_arena *a, const char *path, const char **why)
{
	FILE *f = fopen(path, "re");
	const char *secret = NULL;
	char text[SECRET_MAX];
	struct stat st;
	bool got;

	*why = NULL;
	if (!f || fstat(fileno(f), &st))
		*why = strerror(errno);
	else if (st.st_mode & 07)
		*why = "others may read it: chmod o= takes that away";
	if (*why) {
		if (f)
			fclose(f);
		return NULL;
	}
	/* Not buffered: what stdio keeps, nobody wipes. */
	setvbuf(f, NULL, _IONBF, 0);
	got = fgets(text, sizeof(text), f);
	fclose(f);
	text[got ? strcspn(text, "\r\n") : 0] = '\0';
	if (*text)
		secret = kith_strdup(a, text);
	else
		*why = "it is empty";
	explicit_bzero(text, sizeof(text));
	return secret;
}
