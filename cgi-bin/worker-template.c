#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "json.h"
#include "settings.h"
#include "template.h"

#define FILE_MAX ((size_t)256 << 10)
#define SUBJECT "Subject:"

/* The text of a file; false, *why set (NULL: there is none of that name). */
static bool
read_file(struct kith_arena *a, const char *path, struct kith_buf *text, const char **why)
{
	FILE *f = fopen(path, "re");
	size_t n = 1;

	*why = NULL;
	if (!f) {
		if (errno != ENOENT)
			*why = strerror(errno);
		return false;
	}
	kith_buf_init(text, a, 0);
	while (n && text->len < FILE_MAX) {
		kith_buf_reserve(text, 4096);
		n = fread(text->s + text->len, 1, 4096, f);
		text->len += n;
		text->s[text->len] = '\0';
	}
	if (ferror(f) || text->len >= FILE_MAX)
		*why = ferror(f) ? "could not be read" : "is too large";
	fclose(f);
	return !*why;
}

/* The directory whose file counts: a person's own, else ours.  Both files of a template are one's. */
static const char *
directory(struct kith_arena *a, const char *name, struct kith_buf *text, const char **why)
{
	const char *const places[] = { kith_settings.mail_templates, kith_settings.mail_defaults };

	*why = NULL;
	for (int i = 0; i < 2 && !*why; i++)
		if (places[i] && read_file(a, kith_format(a, "%s/%s.txt", places[i], name), text, why))
			return places[i];
	return NULL;
}

static const char *
fill(struct kith_arena *a, const char *file, const char *p, size_t n, const struct kith_json *data, bool html,
    const char **filled)
{
	struct kith_buf out;
	const char *wrong;

	kith_buf_init(&out, a, n);
	wrong = kith_template_fill(&out, p, n, data, html);
	*filled = out.s;
	return wrong ? kith_format(a, "template %s: %s", file, wrong) : NULL;
}

const char *
worker_template_fill(struct kith_arena *a, const char *name, const struct kith_json *data, struct kith_mail *mail)
{
	const char *place, *why, *file = kith_format(a, "%s.txt", name);
	struct kith_buf text, html;
	size_t subject, body;

	/* It becomes a part of a path. */
	if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")])
		return "the template's name is no word";
	place = directory(a, name, &text, &why);
	if (!place)
		return kith_format(a, "template %s: %s", file, why ? why : "there is none");
	/* Its first line is the subject, a blank one follows. */
	subject = strcspn(text.s, "\n");
	body = subject + strspn(text.s + subject, "\r\n");
	if (strncmp(text.s, SUBJECT, strlen(SUBJECT)))
		return kith_format(a, "template %s: its first line must be \"" SUBJECT " ...\"", file);
	why = fill(a, file, text.s + strlen(SUBJECT), subject - strlen(SUBJECT), data, false, &mail->subject);
	if (!why)
		why = fill(a, file, text.s + body, text.len - body, data, false, &mail->text);
	if (why)
		return why;
	mail->subject = kith_mail_line(a, mail->subject);
	file = kith_format(a, "%s.html", name);
	if (read_file(a, kith_format(a, "%s/%s", place, file), &html, &why))
		return fill(a, file, html.s, html.len, data, true, &mail->html);
	return why ? kith_format(a, "template %s: %s", file, why) : NULL;
}
