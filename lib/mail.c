#include "mail.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "arena.h"
#include "buf.h"
#include "utf8.h"

#define ADDRESS_MAX 254		/* RFC 5321, section 4.5.3.1.3, less the brackets */
#define LINE_MAX_QP 76		/* RFC 2045, section 6.7 */
#define PLAIN_MAX 200		/* of a subject that is sent as it is: far below the 998 of RFC 5322 */
#define WORD_BYTES 42		/* of text in one encoded word: 75 with all around it */
#define ID_BYTES 16

bool
kith_mail_is_address(const char *s)
{
	const char *at = strchr(s, '@');
	size_t n = strlen(s);

	if (!at || at == s || !at[1] || strchr(at + 1, '@') || n > ADDRESS_MAX || !kith_utf8_valid(s, n))
		return false;
	/* What RFC 5322 gives a meaning of its own in a list of addresses. */
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("()<>[]:;,\\\"", *p))
			return false;
	/* A program that hands it on must not take it for an option. */
	return *s != '-' && at[1] != '-' && at[1] != '.' && s[n - 1] != '.';
}

const char *
kith_mail_address(struct kith_arena *a, const char *from)
{
	const char *open = strrchr(from, '<'), *address = from;
	size_t n = strlen(from);

	if (open) {
		if (from[n - 1] != '>')
			return NULL;
		address = kith_strndup(a, open + 1, n - (size_t)(open - from) - 2);
	}
	return kith_mail_is_address(address) ? address : NULL;
}

static void
put_base64(struct kith_buf *out, const unsigned char *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; n; p += n < 3 ? n : 3, n -= n < 3 ? n : 3) {
		unsigned bits = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

		kith_buf_putc(out, digits[bits >> 18]);
		kith_buf_putc(out, digits[bits >> 12 & 63]);
		kith_buf_putc(out, n > 1 ? digits[bits >> 6 & 63] : '=');
		kith_buf_putc(out, n > 2 ? digits[bits & 63] : '=');
	}
}

/* RFC 2047: one word after the other, none of which cuts a character. */
static void
put_encoded(struct kith_buf *out, const char *s, size_t n)
{
	while (n) {
		size_t some = n;

		if (some > WORD_BYTES)
			for (some = WORD_BYTES; ((unsigned char)s[some] & 0xc0) == 0x80; some--)
				;
		kith_buf_lit(out, "=?UTF-8?B?");
		put_base64(out, (const unsigned char *)s, some);
		kith_buf_lit(out, "?=");
		s += some;
		n -= some;
		if (n)
			kith_buf_lit(out, "\r\n ");
	}
}

const char *
kith_mail_line(struct kith_arena *a, const char *s)
{
	char *copy = kith_strdup(a, s), *end;

	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	copy += strspn(copy, " ");
	for (end = copy + strlen(copy); end > copy && end[-1] == ' '; end--)
		end[-1] = '\0';
	if (!kith_utf8_valid(copy, strlen(copy)))
		for (char *p = copy; *p; p++)
			if (*p & 0x80)
				*p = '?';
	return copy;
}

static bool
is_plain(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p & 0x80)
			return false;
	return !strstr(s, "=?") && strlen(s) <= PLAIN_MAX;
}

/* Name <address>: the name as a quoted string, or encoded. */
static void
put_from(struct kith_buf *out, const char *from)
{
	const char *address = kith_mail_address(out->arena, from);
	const char *name = kith_mail_line(out->arena, kith_strndup(out->arena, from, strcspn(from, "<")));

	if (address == from || !*name) {
		kith_buf_puts(out, address);
		return;
	}
	if (is_plain(name)) {
		kith_buf_putc(out, '"');
		for (const char *p = name; *p; p++) {
			/* Somebody who quotes it already means the same. */
			if (*p != '"' && *p != '\\')
				kith_buf_putc(out, *p);
		}
		kith_buf_putc(out, '"');
	} else {
		put_encoded(out, name, strlen(name));
	}
	kith_buf_printf(out, " <%s>", address);
}

/* RFC 2045, section 6.7.  Lines end in CR LF, whatever they ended with. */
static void
put_quoted_printable(struct kith_buf *out, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t column = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		bool last = !s[1] || s[1] == '\n' || s[1] == '\r';
		/* A dot alone on its line would end the mail. */
		bool plain = (c > ' ' && c < 0x7f && c != '=' && !(c == '.' && !column)) || (c == ' ' && !last);

		if (c == '\n' || c == '\r') {
			s += c == '\r' && s[1] == '\n';
			kith_buf_lit(out, "\r\n");
			column = 0;
			continue;
		}
		if (column + (plain ? 1 : 3) >= LINE_MAX_QP) {
			kith_buf_lit(out, "=\r\n");
			column = 0;
			plain &= c != '.';
		}
		if (plain) {
			kith_buf_putc(out, (char)c);
			column++;
		} else {
			kith_buf_putc(out, '=');
			kith_buf_putc(out, hex[c >> 4]);
			kith_buf_putc(out, hex[c & 15]);
			column += 3;
		}
	}
	if (column)
		kith_buf_lit(out, "\r\n");
}

static void
put_part(struct kith_buf *out, const char *type, const char *body)
{
	kith_buf_printf(out, "Content-Type: text/%s; charset=utf-8\r\n", type);
	kith_buf_lit(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	put_quoted_printable(out, body);
}

void
kith_mail_write(struct kith_buf *out, const struct kith_mail *mail)
{
	const char *domain = strchr(kith_mail_address(out->arena, mail->from), '@') + 1;
	const char *subject = kith_mail_line(out->arena, mail->subject);
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char id[2 * ID_BYTES + 1], date[40];
	time_t at = (time_t)mail->date;
	struct tm tm;

	SHA256((const unsigned char *)mail->key, strlen(mail->key), digest);
	for (int i = 0; i < ID_BYTES; i++)
		snprintf(id + 2 * i, 3, "%02x", digest[i]);
	gmtime_r(&at, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	kith_buf_lit(out, "From: ");
	put_from(out, mail->from);
	kith_buf_printf(out, "\r\nTo: %s\r\nSubject: ", mail->to);
	if (is_plain(subject))
		kith_buf_puts(out, subject);
	else
		put_encoded(out, subject, strlen(subject));
	kith_buf_printf(out, "\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", date, id, domain);
	/* RFC 3834: who is away need not tell us. */
	kith_buf_lit(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	if (!mail->text || !mail->html) {
		put_part(out, mail->text ? "plain" : "html", mail->text ? mail->text : mail->html);
		return;
	}
	/* "=_" cannot occur in what is encoded. */
	kith_buf_printf(out, "Content-Type: multipart/alternative;\r\n boundary=\"=_%s\"\r\n\r\n--=_%s\r\n", id, id);
	put_part(out, "plain", mail->text);
	kith_buf_printf(out, "--=_%s\r\n", id);
	put_part(out, "html", mail->html);
	kith_buf_printf(out, "--=_%s--\r\n", id);
}
