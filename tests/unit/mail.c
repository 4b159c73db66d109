/* Goal: a mail is what RFC 5322 and MIME say, and nobody can add to it.  C13 */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "mail.h"

static struct kith_arena *arena;	/* of all that is written here */

static const struct kith_mail plain = { .key = "mail 1", .from = "Kith <hi@example.org>", .to = "ana@example.net",
	.subject = "Hello", .text = "one\ntwo\n", .date = 1000000000 };

static const char *
mail_text(const struct kith_mail *mail)
{
	struct kith_buf out;

	kith_buf_init(&out, arena, 0);
	kith_mail_write(&out, mail);
	return out.s;
}

/* The value of a header, folded lines and all. */
static const char *
header(const char *mail, const char *name)
{
	const char *at = strstr(kith_format(arena, "\r\n%s", mail), kith_format(arena, "\r\n%s: ", name)), *end;

	assert_non_null(at);
	at += strlen(name) + 4;
	for (end = strstr(at, "\r\n"); end[2] == ' '; end = strstr(end + 2, "\r\n"))
		;
	return kith_strndup(arena, at, (size_t)(end - at));
}

static const char *
body(const char *text)
{
	struct kith_mail mail = plain;

	mail.text = text;
	return strstr(mail_text(&mail), "\r\n\r\n") + 4;
}

static void
addresses(void **state)
{
	static const char *const good[] = { "a@b", "ana.o'neil+tag@example.net", "\xc3\xa9@\xc3\xa9.example",
		"a@b-c.d" };
	static const char *const bad[] = { "", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "a@b\n", "<a@b>",
		"a,b@c", "a@b;", "a:b@c", "\"a\"@b", "a\\@b", "(x)a@b", "a@[127.0.0.1]", "-oX@b", "a@-b", "a@.b",
		"a@b.", "a\x7f@b", "\xff@b", "a\t@b" };
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(kith_mail_is_address(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (kith_mail_is_address(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	snprintf(longest, sizeof(longest), "%0252d@b", 0);
	assert_true(kith_mail_is_address(longest));
	snprintf(longest, sizeof(longest), "%0253d@b", 0);
	assert_false(kith_mail_is_address(longest));
	assert_string_equal(kith_mail_address(arena, "a@b"), "a@b");
	assert_string_equal(kith_mail_address(arena, "Kith <a@b>"), "a@b");
	assert_string_equal(kith_mail_address(arena, "<a@b>"), "a@b");
	assert_null(kith_mail_address(arena, "Kith <a@b> x"));
	assert_null(kith_mail_address(arena, "Kith <a>"));
	assert_null(kith_mail_address(arena, "Kith <a@b"));
}

static void
whole(void **state)
{
	(void)state;
	assert_string_equal(mail_text(&plain),
	    "From: \"Kith\" <hi@example.org>\r\n"
	    "To: ana@example.net\r\n"
	    "Subject: Hello\r\n"
	    "Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n"
	    /* The first 16 bytes of SHA-256("mail 1"). */
	    "Message-ID: <db74afb309a67a16a1eecf808d90c897@example.org>\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\n"
	    "one\r\ntwo\r\n");
}

static void
parts(void **state)
{
	struct kith_mail mail = plain;
	const char *text;

	(void)state;
	mail.html = "<p>one";
	text = mail_text(&mail);
	assert_string_equal(strstr(text, "Content-Type: multipart"),
	    "Content-Type: multipart/alternative;\r\n boundary=\"=_db74afb309a67a16a1eecf808d90c897\"\r\n"
	    "\r\n"
	    "--=_db74afb309a67a16a1eecf808d90c897\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\n"
	    "one\r\ntwo\r\n"
	    "--=_db74afb309a67a16a1eecf808d90c897\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n"
	    "\r\n"
	    "<p>one\r\n"
	    "--=_db74afb309a67a16a1eecf808d90c897--\r\n");
	mail.text = NULL;
	assert_non_null(strstr(mail_text(&mail), "Content-Type: text/html; charset=utf-8\r\n"));
	assert_null(strstr(mail_text(&mail), "multipart"));
}

/* The same mail twice is the same text; another key is another Message-ID. */
static void
identity(void **state)
{
	struct kith_mail other = plain;
	const char *id = header(mail_text(&plain), "Message-ID");

	(void)state;
	assert_string_equal(mail_text(&plain), mail_text(&plain));
	other.key = "mail 2";
	assert_string_not_equal(id, header(mail_text(&other), "Message-ID"));
}

static void
subjects(void **state)
{
	static const char *const table[][2] = {
		{ "Hello", "Hello" },
		{ "  Hello ", "Hello" },
		{ "a\r\nBcc: x@y", "a  Bcc: x@y" },
		{ "a\rb\tc\x7f" "d", "a b c d" },
		{ "Gr\xc3\xbc\xc3\x9f", "=?UTF-8?B?R3LDvMOf?=" },
		/* What looks like an encoded word is none of ours. */
		{ "=?UTF-8?B?R3I=?=", "=?UTF-8?B?PT9VVEYtOD9CP1IzST0/PQ==?=" },
		{ "bad \xff byte", "bad ? byte" },
		/* 60 bytes of 2 each are cut between two letters. */
		{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
		    "=?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOp?=\r\n =?UTF-8?B?w6k=?=" },
	};
	struct kith_mail mail = plain;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		mail.subject = table[i][0];
		assert_string_equal(header(mail_text(&mail), "Subject"), table[i][1]);
	}
}

static void
senders(void **state)
{
	static const char *const table[][2] = {
		{ "hi@example.org", "hi@example.org" },
		{ "<hi@example.org>", "hi@example.org" },
		{ "Kith, Inc. <hi@example.org>", "\"Kith, Inc.\" <hi@example.org>" },
		{ "\"Kith\" <hi@example.org>", "\"Kith\" <hi@example.org>" },
		{ "Gr\xc3\xbc\xc3\x9f <hi@example.org>", "=?UTF-8?B?R3LDvMOf?= <hi@example.org>" },
		{ "a\r\nBcc: x@y <hi@example.org>", "\"a  Bcc: x@y\" <hi@example.org>" },
	};
	struct kith_mail mail = plain;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		mail.from = table[i][0];
		assert_string_equal(header(mail_text(&mail), "From"), table[i][1]);
	}
}

static void
bodies(void **state)
{
	static const char *const table[][2] = {
		{ "", "" },
		{ "a", "a\r\n" },
		{ "a\n", "a\r\n" },
		{ "a\r\nb\rc\n\nd", "a\r\nb\r\nc\r\n\r\nd\r\n" },
		{ "1=2 \xc3\xa9\t.", "1=3D2 =C3=A9=09.\r\n" },
		{ "blank at the end \nnext", "blank at the end=20\r\nnext\r\n" },
		/* Neither a dot nor a boundary can stand alone on a line. */
		{ ".\n..\n--=_db74", "=2E\r\n=2E.\r\n--=3D_db74\r\n" },
		{ "123456789 123456789 123456789 123456789 123456789 123456789 123456789 12345.",
		    "123456789 123456789 123456789 123456789 123456789 123456789 123456789 12345=\r\n=2E\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_string_equal(body(table[i][0]), table[i][1]);
}

/* RFC 2045, section 6.7; RFC 5321, section 4.5.3.1.6. */
static void
long_lines(void **state)
{
	struct kith_mail mail = plain;
	char text[2001];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = "a=. \xc3"[i % 5];
	text[sizeof(text) - 1] = '\0';
	mail.subject = mail.text = text;
	for (const char *line = mail_text(&mail); *line; line = strstr(line, "\r\n") + 2)
		assert_in_range(strstr(line, "\r\n") - line, 0, 78);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("an address is one address and nothing else", addresses),
		unit_that("a mail has the headers that it needs", whole),
		unit_that("text and html are alternatives", parts),
		unit_that("the same mail has the same Message-ID", identity),
		unit_that("a subject stays one line of text", subjects),
		unit_that("so does the name of who sends", senders),
		unit_that("a body cannot end the mail, nor its part", bodies),
		unit_that("no line is too long", long_lines),
	};

	int status;

	arena = kith_arena_new(0);
	status = unit_run(tests);
	kith_arena_free(arena);
	return status;
}
