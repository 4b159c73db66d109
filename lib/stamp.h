/*
 * Which content a file had: another content has another stamp.
 */
#ifndef KITH_STAMP_H
#define KITH_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct kith_stamp {
	bool there;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

void kith_stamp_take(const struct stat *st, struct kith_stamp *stamp);

/* Compares a file with its stamp, and takes the new stamp: a bad file is read once, not with every request. */
bool kith_stamp_changed(const char *path, struct kith_stamp *stamp);

#endif
