#include "storage-program.h"

#include <magic.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "log.h"

/* As much as browsers look at is a quarter of this. */
#define HEAD 4096

/* Only what the bytes are; neither what is packed into them nor the encoding of a text. */
#define FLAGS \
	(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR | MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_CDF | \
	    MAGIC_NO_CHECK_TOKENS)

/* The kinds that are shown or played, and so must be what they say. */
static bool
is_medium(const char *type)
{
	return !strncasecmp(type, "image/", 6) || !strncasecmp(type, "audio/", 6) || !strncasecmp(type, "video/", 6);
}

static bool
is_svg(const char *type)
{
	return !strncasecmp(type, "image/svg", 9);
}

/* What libmagic calls things that a browser, or a system, would run. */
static bool
is_active(const char *found)
{
	static const char *const active[] = {
		"text/html", "text/xml", "application/xml", "application/xhtml", "image/svg", "text/javascript",
		"application/javascript", "text/x-shellscript", "text/x-php", "text/x-python", "text/x-perl",
		"text/x-script", "text/x-msdos-batch", "application/x-executable", "application/x-pie-executable",
		"application/x-sharedlib", "application/x-dosexec", "application/vnd.microsoft.portable-executable",
		"application/x-mach-binary",
	};

	for (size_t i = 0; i < sizeof(active) / sizeof(active[0]); i++)
		if (!strncmp(found, active[i], strlen(active[i])))
			return true;
	return false;
}

/* The library with its rules, loaded when they are first needed. */
static magic_t
rules(void)
{
	static magic_t loaded;

	if (loaded)
		return loaded;
	loaded = magic_open(FLAGS);
	if (loaded && magic_load(loaded, NULL)) {
		kith_log(KITH_LOG_ERROR, "libmagic has no rules: %s", magic_error(loaded));
		magic_close(loaded);
		loaded = NULL;
	}
	return loaded;
}

bool
storage_is_disguised(int fd, const char *type)
{
	char head[HEAD];
	const char *found;
	ssize_t n;

	/* An honest picture that can be active is served as text. */
	if (!is_medium(type) || is_svg(type))
		return false;
	n = pread(fd, head, sizeof(head), 0);
	if (n <= 0 || !rules())
		return false;
	found = magic_buffer(rules(), head, (size_t)n);
	return found && is_active(found);
}
