#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "settings.h"
#include "store.h"

#define BATCH 1000

/* All files are looked at once an hour, those of one directory after the other, between two jobs. */
#define ROUND_US (3600 * SECOND_US)
#define AGAIN_US (60 * SECOND_US)
#define DIRECTORIES 256

/* What was uploaded in part may be continued for an hour. */
#define UNFINISHED_S 86400

static struct worker_provider provider = { .name = "storage" };
static int64_t next_round_us;
static int directory = DIRECTORIES;	/* where the round is; DIRECTORIES: between two rounds */

struct worker_provider *
worker_files_provider(void)
{
	return kith_settings.storage ? &provider : NULL;
}

/* --- jobs of kind delete_files --- */

void
worker_do_delete_files(struct kith_arena *a, const struct worker_job *job, struct worker_result *result)
{
	const struct kith_json *paths = kith_json_get(job->payload, "paths");
	const char *before = kith_json_string(job->payload, "before");
	struct kith_buf list;

	if (!paths || paths->type != KITH_JSON_ARRAY || !before) {
		result->error = "the payload names no files";
		return;
	}
	kith_buf_init(&list, a, 0);
	for (const struct kith_json *path = paths->first; path; path = path->next) {
		if (path->type != KITH_JSON_STRING) {
			result->error = "the payload names no files";
			return;
		}
		kith_buf_putc(&list, path == paths->first ? '[' : ',');
		kith_json_write_string(&list, path->text, strlen(path->text));
	}
	if (!paths->first)
		kith_buf_putc(&list, '[');
	kith_buf_putc(&list, ']');
	/* A path may have been used again since it was given up. */
	if (worker_db_run(a,
		"select kith.delete_stored_files(kith.unused_files(array(select jsonb_array_elements_text($1))), $2)",
		WORKER_PARAMS(list.s, before))) {
		result->outcome = KITH_DONE;
		return;
	}
	result->outcome = KITH_UNREACHED;
	result->error = "the database is away";
}

/* --- sweeping --- */

/* Versions, as PostgreSQL's array: a uuid needs no quotes. */
struct versions {
	struct kith_buf list;
	int n;
};

static void
begin(struct kith_arena *a, struct versions *v)
{
	kith_buf_init(&v->list, a, 0);
	kith_buf_putc(&v->list, '{');
	v->n = 0;
}

static void
add(struct versions *v, const char *version)
{
	kith_buf_printf(&v->list, "%s%s", v->n++ ? "," : "", version);
}

/* Removes the files of these rows. */
static void
remove_files(const PGresult *versions)
{
	for (int i = 0; i < PQntuples(versions); i++) {
		const char *version = PQgetvalue(versions, i, 0);

		if (kith_store_remove(version))
			kith_log(KITH_LOG_ERROR, "file %s: cannot be removed: %s", version, strerror(errno));
	}
}

static const char *
grace(struct kith_arena *a)
{
	return kith_format(a, "%ld seconds", kith_settings.file_grace);
}

/*
 * What was replaced or deleted, once nobody reads it any more.  The files go
 * first: whoever dies in between leaves rows of files that are gone, which the
 * next one forgets.  True when there may be more.
 */
static bool
sweep_released(struct kith_arena *a)
{
	const PGresult *due = worker_db_run(a, "select v from kith.expired_files($1, $2) v",
	    WORKER_PARAMS(grace(a), kith_format(a, "%d", BATCH)));
	struct versions v;

	if (!due || !PQntuples(due))
		return false;
	remove_files(due);
	kith_log(KITH_LOG_INFO, "files: %d that were replaced or deleted are gone", PQntuples(due));
	begin(a, &v);
	for (int i = 0; i < PQntuples(due); i++)
		add(&v, PQgetvalue(due, i, 0));
	kith_buf_putc(&v.list, '}');
	return worker_db_run(a, "select kith.forget_files($1)", WORKER_PARAMS(v.list.s)) && PQntuples(due) == BATCH;
}

/* Removes those of the files that no row names.  False when the database does not say. */
static bool
remove_unknown(struct kith_arena *a, struct versions *v)
{
	const PGresult *unknown;

	kith_buf_putc(&v->list, '}');
	unknown = worker_db_run(a, "select u from kith.unknown_files($1) u", WORKER_PARAMS(v->list.s));
	if (unknown && PQntuples(unknown)) {
		remove_files(unknown);
		kith_log(KITH_LOG_WARNING, "files: %d that no row named are gone", PQntuples(unknown));
	}
	begin(a, v);
	return unknown != NULL;
}

static void
close_directory(void *dir)
{
	closedir(dir);
}

static DIR *
open_directory(struct kith_arena *a, const char *path)
{
	DIR *dir = opendir(path);

	if (dir)
		kith_arena_later(a, close_directory, dir);
	else if (errno != ENOENT && errno != ENOTDIR)
		kith_log(KITH_LOG_ERROR, "files: a directory cannot be read: %s", strerror(errno));
	return dir;
}

/*
 * The files below objects/ab.  What counts is when an inode last changed: the
 * bytes of a copy are older than its name, which comes before its row.
 */
static bool
look_into(struct kith_arena *a, const char *path)
{
	time_t old = (time_t)(kith_clock_us() / SECOND_US) - kith_settings.orphan_age;
	DIR *outer = open_directory(a, path), *inner;
	const struct dirent *sub, *entry;
	struct versions v;
	struct stat file;

	begin(a, &v);
	while (outer && (sub = readdir(outer))) {
		if (sub->d_name[0] == '.' || !(inner = open_directory(a, kith_format(a, "%s/%s", path, sub->d_name))))
			continue;
		while ((entry = readdir(inner))) {
			if (!kith_store_is_version(entry->d_name) ||
			    fstatat(dirfd(inner), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) || file.st_ctime >= old)
				continue;
			add(&v, entry->d_name);
			if (v.n == BATCH && !remove_unknown(a, &v))
				return false;
		}
	}
	return !v.n || remove_unknown(a, &v);
}

/* Uploads that were begun and never ended. */
static void
sweep_unfinished(struct kith_arena *a)
{
	time_t old = (time_t)(kith_clock_us() / SECOND_US) - UNFINISHED_S;
	DIR *dir = open_directory(a, kith_format(a, "%s/tmp", kith_settings.storage));
	const struct dirent *entry;
	struct stat file;

	while (dir && (entry = readdir(dir)))
		if (!fstatat(dirfd(dir), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) && S_ISREG(file.st_mode) &&
		    file.st_mtime < old && !unlinkat(dirfd(dir), entry->d_name, 0))
			kith_log(KITH_LOG_WARNING, "files: an upload that never ended is gone");
}

static const char *
path_of(struct kith_arena *a, int n)
{
	return kith_format(a, "%s/objects/%02x", kith_settings.storage, (unsigned)n);
}

/* One step of the round, when it is time. */
static bool
sweep_unknown(struct kith_arena *a)
{
	if (directory == DIRECTORIES) {
		if (kith_now_us() < next_round_us)
			return false;
		next_round_us = kith_now_us() + ROUND_US;
		directory = 0;
		sweep_unfinished(a);
	}
	while (directory < DIRECTORIES && access(path_of(a, directory), F_OK))
		directory++;
	if (directory == DIRECTORIES)
		return false;
	if (look_into(a, path_of(a, directory))) {
		directory++;
		return true;
	}
	/* The database is away. */
	next_round_us = kith_now_us() + AGAIN_US;
	directory = DIRECTORIES;
	return false;
}

bool
worker_files_sweep(void)
{
	struct kith_arena *a;
	bool more;

	if (!kith_settings.storage)
		return false;
	a = kith_arena_new(0);
	more = sweep_released(a) || sweep_unknown(a);
	kith_arena_free(a);
	return more;
}

int64_t
worker_files_next_us(void)
{
	struct kith_arena *a;
	const PGresult *row;
	int64_t next_us = next_round_us;

	if (!kith_settings.storage)
		return INT64_MAX;
	a = kith_arena_new(0);
	row = worker_db_run(a, "select kith.next_expired_file($1)", WORKER_PARAMS(grace(a)));
	if (row && !PQgetisnull(row, 0, 0) && worker_db_due_us(PQgetvalue(row, 0, 0)) < next_us)
		next_us = worker_db_due_us(PQgetvalue(row, 0, 0));
	kith_arena_free(a);
	return next_us;
}
