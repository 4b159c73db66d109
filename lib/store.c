#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "arena.h"
#include "settings.h"

#define FILE_MODE 0640
#define DIRECTORY_MODE 0750

/* A path of ours is the directory of KITH_STORAGE and this much. */
#define PATH_MAX_LEN 1024

/* What is read at once to digest a file that was written in several requests. */
#define PIECE 65536

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

bool
kith_store_is_version(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < LENGTH(form) - 1; i++)
		if (form[i] == '-' ? text[i] != '-' : !text[i] || !strchr("0123456789abcdef", text[i]))
			return false;
	return !text[LENGTH(form) - 1];
}

void
kith_store_new_version(char version[KITH_STORE_VERSION + 1])
{
	unsigned char b[16];

	/* The kernel has bytes from the first second on; without them there would be no TLS either. */
	while (getrandom(b, sizeof(b), 0) != sizeof(b))
		;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(version, KITH_STORE_VERSION + 1,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
	    b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* KITH_STORAGE/objects/ab/cd/<version>, cut off behind the directories that are wanted. */
static int
object_path(char *path, const char *version, int levels)
{
	const char *root = kith_settings.storage;
	int n;

	if (!root || !kith_store_is_version(version)) {
		errno = EINVAL;
		return -1;
	}
	if (levels == 1)
		n = snprintf(path, PATH_MAX_LEN, "%s/objects/%.2s", root, version);
	else if (levels == 2)
		n = snprintf(path, PATH_MAX_LEN, "%s/objects/%.2s/%.2s", root, version, version + 2);
	else
		n = snprintf(path, PATH_MAX_LEN, "%s/objects/%.2s/%.2s/%s", root, version, version + 2, version);
	if (n < PATH_MAX_LEN)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

static int
tmp_path(char *path, const char *version)
{
	if (!kith_settings.storage || !kith_store_is_version(version)) {
		errno = EINVAL;
		return -1;
	}
	if (snprintf(path, PATH_MAX_LEN, "%s/tmp/%s", kith_settings.storage, version) < PATH_MAX_LEN)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

static int
remove_file(const char *path)
{
	return unlink(path) && errno != ENOENT ? -1 : 0;
}

/* The arena's end: nothing stays of a file that nobody wanted. */
static void
finish(void *p)
{
	struct kith_store_file *f = p;
	char path[PATH_MAX_LEN];

	EVP_MD_CTX_free(f->digest);
	close(f->fd);
	if (f->state == KITH_STORE_NEW && !tmp_path(path, f->version))
		remove_file(path);
}

static struct kith_store_file *
open_file(struct kith_arena *a, struct kith_store_file *f, int flags)
{
	char path[PATH_MAX_LEN];

	if (tmp_path(path, f->version))
		return NULL;
	f->fd = open(path, flags | O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (f->fd == -1)
		return NULL;
	kith_arena_later(a, finish, f);
	return f;
}

struct kith_store_file *
kith_store_begin(struct kith_arena *a)
{
	struct kith_store_file *f = kith_new(a, struct kith_store_file);

	kith_store_new_version(f->version);
	if (!open_file(a, f, O_CREAT | O_EXCL))
		return NULL;
	f->digest = EVP_MD_CTX_new();
	if (!f->digest || !EVP_DigestInit_ex(f->digest, EVP_sha256(), NULL)) {
		errno = ENOMEM;
		return NULL;
	}
	return f;
}

struct kith_store_file *
kith_store_resume(struct kith_arena *a, const char *version)
{
	struct kith_store_file *f = kith_new(a, struct kith_store_file);

	if (!kith_store_is_version(version)) {
		errno = EINVAL;
		return NULL;
	}
	memcpy(f->version, version, sizeof(f->version));
	f->state = KITH_STORE_KEPT;
	/* The lock ends with the descriptor, however the process ends. */
	return open_file(a, f, 0) && !flock(f->fd, LOCK_EX | LOCK_NB) ? f : NULL;
}

int
kith_store_cut(struct kith_store_file *f, int64_t size)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return -1;
	if (st.st_size < size) {
		errno = EIO;
		return -1;
	}
	f->size = size;
	return st.st_size > size ? ftruncate(f->fd, size) : 0;
}

int
kith_store_write(struct kith_store_file *f, const void *p, size_t n)
{
	const char *bytes = p;

	if (f->digest)
		EVP_DigestUpdate(f->digest, p, n);
	while (n) {
		ssize_t done = write(f->fd, bytes, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done == -1)
			return -1;
		bytes += done;
		n -= (size_t)done;
		f->size += done;
	}
	return 0;
}

/* Makes what a directory lists durable. */
static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd == -1 ? -1 : fsync(fd);

	if (fd != -1)
		close(fd);
	return rc;
}

static int
sync_tmp(void)
{
	char path[PATH_MAX_LEN];

	snprintf(path, sizeof(path), "%s/tmp", kith_settings.storage);
	return sync_directory(path);
}

int
kith_store_keep(struct kith_store_file *f)
{
	if (fsync(f->fd) || (f->state == KITH_STORE_NEW && sync_tmp()))
		return -1;
	f->state = KITH_STORE_KEPT;
	return 0;
}

/* Digests what was written in other requests. */
static int
digest_file(struct kith_store_file *f)
{
	char piece[PIECE];
	off_t at = 0;
	ssize_t n;

	f->digest = EVP_MD_CTX_new();
	if (!f->digest || !EVP_DigestInit_ex(f->digest, EVP_sha256(), NULL)) {
		errno = ENOMEM;
		return -1;
	}
	while ((n = pread(f->fd, piece, sizeof(piece), at)) > 0) {
		EVP_DigestUpdate(f->digest, piece, (size_t)n);
		at += n;
	}
	return n ? -1 : 0;
}

static void
finish_digest(struct kith_store_file *f)
{
	unsigned char sum[EVP_MAX_MD_SIZE];

	EVP_DigestFinal_ex(f->digest, sum, NULL);
	for (size_t i = 0; i < KITH_STORE_HASH / 2; i++)
		snprintf(f->hash + 2 * i, 3, "%02x", sum[i]);
}

/* Directories of a version; *made tells how many are new, whose own names have to become durable. */
static int
make_directories(const char *version, int *made)
{
	char path[PATH_MAX_LEN];

	*made = 0;
	for (int level = 1; level <= 2; level++) {
		if (object_path(path, version, level))
			return -1;
		if (!mkdir(path, DIRECTORY_MODE))
			++*made;
		else if (errno != EEXIST)
			return -1;
	}
	return 0;
}

static int
sync_directories(const char *version, int made)
{
	char path[PATH_MAX_LEN];

	for (int level = 2; level >= 2 - made && level; level--)
		if (object_path(path, version, level) || sync_directory(path))
			return -1;
	if (made < 2)
		return 0;
	snprintf(path, sizeof(path), "%s/objects", kith_settings.storage);
	return sync_directory(path);
}

/*
 * A new file moves.  One that was kept gets a second name: a try that failed
 * behind this may have left it there already.
 */
static int
give_name(const struct kith_store_file *f, const char *from, const char *to)
{
	if (f->state == KITH_STORE_NEW)
		return rename(from, to);
	return link(from, to) && errno != EEXIST ? -1 : 0;
}

/*
 * Under its final name before it is synchronised: then one commit of the
 * filesystem's journal makes all of it durable, and the rest finds nothing to
 * do.  Nobody knows the name yet.
 */
int
kith_store_commit(struct kith_store_file *f)
{
	char from[PATH_MAX_LEN], to[PATH_MAX_LEN];
	int made, error;

	if (!f->digest && digest_file(f))
		return -1;
	finish_digest(f);
	if (tmp_path(from, f->version) || object_path(to, f->version, 3) || make_directories(f->version, &made) ||
	    give_name(f, from, to))
		return -1;
	if (!fsync(f->fd) && !sync_directories(f->version, made)) {
		f->state = KITH_STORE_COMMITTED;
		return 0;
	}
	error = errno;
	remove_file(to);
	errno = error;
	return -1;
}

int
kith_store_copy(const char *from, const char *to)
{
	char source[PATH_MAX_LEN], target[PATH_MAX_LEN];
	int made, error;

	if (object_path(source, from, 3) || object_path(target, to, 3) || make_directories(to, &made) ||
	    link(source, target))
		return -1;
	if (!sync_directories(to, made))
		return 0;
	error = errno;
	remove_file(target);
	errno = error;
	return -1;
}

int
kith_store_remove(const char *version)
{
	char path[PATH_MAX_LEN];

	return object_path(path, version, 3) ? -1 : remove_file(path);
}

int
kith_store_remove_kept(const char *version)
{
	char path[PATH_MAX_LEN];

	return tmp_path(path, version) ? -1 : remove_file(path);
}

const char *
kith_store_path(struct kith_arena *a, const char *version)
{
	char path[PATH_MAX_LEN];

	return object_path(path, version, 3) ? NULL : kith_strdup(a, path);
}

const char *
kith_store_place(struct kith_arena *a, const char *version)
{
	if (kith_store_is_version(version))
		return kith_format(a, "%.2s/%.2s/%s", version, version + 2, version);
	errno = EINVAL;
	return NULL;
}

int
kith_store_stat(const char *version, struct stat *st)
{
	char path[PATH_MAX_LEN];

	return object_path(path, version, 3) ? -1 : stat(path, st);
}
