#include "stamp.h"

void
kith_stamp_take(const struct stat *st, struct kith_stamp *stamp)
{
	*stamp = (struct kith_stamp){ true, st->st_ino, st->st_size, st->st_mtim };
}

bool
kith_stamp_changed(const char *path, struct kith_stamp *stamp)
{
	struct kith_stamp now = { .there = false };
	struct stat st;

	if (!stat(path, &st))
		kith_stamp_take(&st, &now);
	if (now.there == stamp->there && now.inode == stamp->inode && now.size == stamp->size &&
	    now.modified.tv_sec == stamp->modified.tv_sec && now.modified.tv_nsec == stamp->modified.tv_nsec)
		return false;
	*stamp = now;
	return true;
}
