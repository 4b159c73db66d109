#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "json.h"
#include "recording.h"
#include "settings.h"
#include "store.h"

/* Nobody reads a prompt, or speaks a message, for as long; such a file is left alone. */
#define LONGEST_S 3600

/* An hour of sound is decoded in less; mails wait meanwhile. */
#define CPU_S 20
#define PATIENCE_US (60 * SECOND_US)
#define MEMORY ((rlim_t)1 << 30)

#define TEXT(name) NUMBER(name)
#define NUMBER(digits) #digits

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SAMPLES "s16le"
#else
#define SAMPLES "s16be"
#endif

static struct worker_provider provider = { .name = "ffmpeg" };

struct worker_provider *
worker_media_provider(void)
{
	return worker_files_provider() && !access(kith_settings.ffmpeg, X_OK) ? &provider : NULL;
}

/*
 * The child.  What it reads was made by anybody: it may read that file and
 * write to us, in the formats that recorders write, and has its limits.  No
 * playlist leads to other files.
 */
static void
become_decoder(const char *path, int out)
{
	static const struct {
		unsigned what;
		rlim_t most;
	} limits[] = {
		{ RLIMIT_CPU, CPU_S },
		{ RLIMIT_AS, MEMORY },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_NOFILE, 16 },
		{ RLIMIT_CORE, 0 },
	};
	/* clang-format off */
	const char *arguments[] = { kith_settings.ffmpeg, "-nostdin", "-v", "quiet", "-threads", "1",
		"-protocol_whitelist", "file",
		"-format_whitelist", "matroska,webm,mov,mp4,mp3,wav,ogg,aac,flac",
		"-codec_whitelist", "aac,alac,flac,mp3,mp3float,opus,vorbis,"
		    "pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s32le,pcm_f32le,pcm_f64le,pcm_alaw,pcm_mulaw",
		"-i", path, "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1",
		"-ac", "1", "-ar", TEXT(KITH_RECORDING_RATE), "-t", TEXT(LONGEST_S), "-f", SAMPLES, "pipe:1", NULL };
	/* clang-format on */
	char *const environment[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (null == -1 || dup2(null, 0) == -1 || dup2(out, 1) == -1 || dup2(null, 2) == -1 || close_range(3, ~0U, 0))
		_exit(127);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (setrlimit(limits[i].what, &(struct rlimit){ limits[i].most, limits[i].most }))
			_exit(127);
	setpriority(PRIO_PROCESS, 0, 5);
	execve(kith_settings.ffmpeg, (char *const *)arguments, environment);
	_exit(127);
}

/* Takes samples until there are no more.  False when that takes too long. */
static bool
listen_to(int from, struct kith_recording *r)
{
	int64_t end_us = kith_now_us() + PATIENCE_US, left_us;
	static union {
		char bytes[65536];
		int16_t samples[65536 / sizeof(int16_t)];
	} piece;
	size_t held = 0;
	ssize_t n;

	while ((left_us = end_us - kith_now_us()) > 0) {
		struct pollfd p = { .fd = from, .events = POLLIN };

		if (poll(&p, 1, (int)(left_us / 1000) + 1) <= 0)
			continue;
		n = read(from, piece.bytes + held, sizeof(piece) - held);
		if (n <= 0)
			return true;
		held += (size_t)n;
		kith_recording_add(r, piece.samples, held / sizeof(int16_t));
		/* Half a sample waits for its other half. */
		if (held % sizeof(int16_t))
			piece.bytes[0] = piece.bytes[held - 1];
		held %= sizeof(int16_t);
	}
	return false;
}

enum decoded {
	HEARD,		/* as far as there was anything */
	TOO_LONG,	/* nobody knows how long */
	SLOW,		/* the machine is busy */
	BROKEN,		/* there is no ffmpeg, or no process */
};

static enum decoded
decode(const char *path, struct kith_recording *r)
{
	int ends[2], status;
	bool heard;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return BROKEN;
	child = fork();
	if (!child)
		become_decoder(path, ends[1]);
	close(ends[1]);
	heard = child != -1 && listen_to(ends[0], r);
	close(ends[0]);
	if (child == -1)
		return BROKEN;
	if (!heard)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	if (!heard)
		return SLOW;
	if (WIFSIGNALED(status) || kith_recording_ms(r) >= LONGEST_S * 1000)
		return TOO_LONG;
	/* Other exit statuses are about the file: cut off, or no recording at all. */
	return WEXITSTATUS(status) == 127 ? BROKEN : HEARD;
}

static void
probe(struct kith_arena *a, const char *table, const char *id, const char *version, struct worker_result *result)
{
	const char *size, *duration = NULL, *quality = "unknown";
	struct kith_recording r = { 0 };
	struct stat file;

	result->outcome = KITH_FAILED;
	if (kith_store_stat(version, &file)) {
		result->error = "the file is not there: kith doctor --files";
		return;
	}
	switch (decode(kith_format(a, "file:%s", kith_store_path(a, version)), &r)) {
	case HEARD:
		duration = kith_format(a, "%lld", (long long)kith_recording_ms(&r));
		quality = kith_recording_quality(&r);
		break;
	case TOO_LONG:
		break;
	case SLOW:
		result->outcome = KITH_BUSY;
		result->error = "ffmpeg: no answer in time";
		return;
	case BROKEN:
		result->error = "ffmpeg: could not be started";
		return;
	}
	size = kith_format(a, "%lld", (long long)file.st_size);
	if (worker_db_insist(a, "select kith.note_recording($1, $2, $3, $4, $5, $6)",
		WORKER_PARAMS(table, id, version, size, duration, quality))) {
		result->outcome = KITH_DONE;
		return;
	}
	result->outcome = KITH_UNREACHED;
	result->error = "the database is away";
}

void
worker_do_probe_recording(struct kith_arena *a, const struct worker_job *job, struct worker_result *result)
{
	const char *table = kith_json_string(job->payload, "table"), *id = kith_json_string(job->payload, "id");
	const PGresult *row;

	if (!table || !id) {
		result->error = "the payload names no recording";
		return;
	}
	row = worker_db_run(a, "select kith.recording_version($1, $2)", WORKER_PARAMS(table, id));
	if (!row) {
		result->outcome = KITH_UNREACHED;
		result->error = "the database is away";
		return;
	}
	/* The row or its file has gone: nothing is left to do. */
	result->outcome = KITH_DONE;
	if (!PQgetisnull(row, 0, 0))
		probe(a, table, id, PQgetvalue(row, 0, 0), result);
}
