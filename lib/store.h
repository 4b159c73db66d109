/*
 * The files of storage, on disk: KITH_STORAGE/objects/ab/cd/<version>, where
 * the version is a uuid that begins with abcd.  The name that clients know is
 * in the database only, so no name can lead anywhere, a move is no matter of
 * the disk, a copy is a link, and whoever reads a file that is replaced reads
 * it to its end.
 *
 * A file is made in KITH_STORAGE/tmp and has a row only after it is durable.
 * What a crash leaves behind has no row: files whose ctime is old (linking sets
 * it, mtime is that of the content) may be removed.
 *
 * Functions return -1, or NULL, with errno: ENOSPC and EDQUOT when the disk is
 * full.  A version is always the text of a uuid in lower case; anything else is
 * EINVAL, so that no path can be made of it.
 */
#ifndef KITH_STORE_H
#define KITH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct kith_arena;

/* Characters of a version, and of the hash of a file's content. */
#define KITH_STORE_VERSION 36
#define KITH_STORE_HASH 32

/*
 * A file being written.  Where the arena ends before kith_store_commit() or
 * kith_store_keep() it is removed.
 */
struct kith_store_file {
	int fd;
	char version[KITH_STORE_VERSION + 1];
	char hash[KITH_STORE_HASH + 1];	/* hex of the content's SHA-256, its first half; set by kith_store_commit() */
	int64_t size;			/* bytes written */
	void *digest;			/* of what was written; NULL: to be read again */
	enum { KITH_STORE_NEW, KITH_STORE_KEPT, KITH_STORE_COMMITTED } state;
};

/* A new file under a version of its own. */
struct kith_store_file *kith_store_begin(struct kith_arena *a);

/*
 * One that was kept, for nobody else until the arena ends: EWOULDBLOCK while
 * another request has it.  It stays kept, also when it is committed: then
 * kith_store_remove_kept() takes the name under tmp/ away, after the row is
 * written, so that a crash in between loses nothing.
 */
struct kith_store_file *kith_store_resume(struct kith_arena *a, const char *version);

/*
 * To be called before one that was resumed is written to.  Its first size bytes
 * count, which must be there (EIO); what a crash has left behind them is cut off.
 */
int kith_store_cut(struct kith_store_file *f, int64_t size);

/* Appends all of (p, n). */
int kith_store_write(struct kith_store_file *f, const void *p, size_t n);

/* Makes what was written durable, and leaves the file under tmp/ for another request. */
int kith_store_keep(struct kith_store_file *f);

/* Makes it durable, directory and all, under its version.  Then a row may name it. */
int kith_store_commit(struct kith_store_file *f);

/* Another version with the same content, durable too: a link. */
int kith_store_copy(const char *from, const char *to);

/* Removes a committed version; one that is not there is no error. */
int kith_store_remove(const char *version);

/* Removes one that was kept; one that is not there is no error. */
int kith_store_remove_kept(const char *version);

/* Path of a committed version, in the arena; NULL with EINVAL. */
const char *kith_store_path(struct kith_arena *a, const char *version);

/* The same below objects/: "ab/cd/<version>". */
const char *kith_store_place(struct kith_arena *a, const char *version);

/* What the disk knows of a committed version; ENOENT when it is not there. */
int kith_store_stat(const char *version, struct stat *st);

/* Whether text is a version. */
bool kith_store_is_version(const char *text);

/* A new version: a random uuid (RFC 9562, section 5.4). */
void kith_store_new_version(char version[KITH_STORE_VERSION + 1]);

#endif
