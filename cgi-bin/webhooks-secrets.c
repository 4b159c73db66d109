#include "webhooks-program.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "settings.h"
#include "stamp.h"

#define FILE_MAX (16 << 10)

/* Files are looked at this often at most. */
#define LOOK_US 1000000

/* clang-format off */
static const struct {
	const char *name;
	const char **file;	/* where the setting is */
} settings[] = {
	[WEBHOOKS_STRIPE]       = { "KITH_STRIPE_WEBHOOK_SECRET",       &kith_settings.stripe_webhook_secret },
	[WEBHOOKS_LEMONSQUEEZY] = { "KITH_LEMONSQUEEZY_WEBHOOK_SECRET", &kith_settings.lemonsqueezy_webhook_secret },
	[WEBHOOKS_RESEND]       = { "KITH_RESEND_WEBHOOK_SECRET",       &kith_settings.resend_webhook_secret },
	[WEBHOOKS_TELEGRAM]     = { "KITH_TELEGRAM_WEBHOOK_SECRET",     &kith_settings.telegram_webhook_secret },
	[WEBHOOKS_ELEVENLABS]   = { "KITH_ELEVENLABS_WEBHOOK_SECRET",   &kith_settings.elevenlabs_webhook_secret },
};
/* clang-format on */

/* What was in them; replaced whole. */
static struct {
	struct kith_arena *arena;	/* NULL: not read yet */
	const struct kith_secret *secrets;
	struct kith_stamp stamp;
	int64_t looked_us;
} kept[WEBHOOKS_PROVIDERS];

/* A whole small text file; false when it cannot be read, or holds a NUL. */
static bool
read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, text, room);

	if (fd != -1)
		close(fd);
	if (n == -1 || (size_t)n == room)
		return false;
	text[n] = '\0';
	return strlen(text) == (size_t)n;
}

static void
load(enum webhooks_provider provider, enum kith_signature scheme)
{
	struct kith_arena *arena = kith_arena_new(0);
	const struct kith_secret *secrets = NULL;
	const char *error = "cannot be read";
	char text[FILE_MAX];

	if (read_text(*settings[provider].file, text, sizeof(text)))
		secrets = kith_signature_secrets(arena, scheme, text, &error);
	explicit_bzero(text, sizeof(text));
	/* Better nobody is heard than everybody. */
	if (!secrets)
		kith_log(KITH_LOG_ERROR, "%s: %s: events of this provider are not taken", settings[provider].name, error);
	kith_arena_free(kept[provider].arena);
	kept[provider].arena = arena;
	kept[provider].secrets = secrets;
}

/* Whether the file has another content than when this was last asked, which is not done too often. */
static bool
has_changed(enum webhooks_provider provider)
{
	int64_t now = kith_now_us();

	if (kept[provider].arena && now - kept[provider].looked_us < LOOK_US)
		return false;
	kept[provider].looked_us = now;
	return kith_stamp_changed(*settings[provider].file, &kept[provider].stamp) || !kept[provider].arena;
}

const struct kith_secret *
webhooks_secrets(enum webhooks_provider provider, enum kith_signature scheme)
{
	if (!*settings[provider].file)
		return NULL;
	if (has_changed(provider))
		load(provider, scheme);
	return kept[provider].secrets;
}
