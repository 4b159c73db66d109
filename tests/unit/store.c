/* Goal: a file is there whole under its version or not at all, and no version is a path. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "settings.h"
#include "store.h"

static char root[] = "/tmp/kith-store-XXXXXX";

/* Files below a directory of the store. */
static int
count(const char *below)
{
	char command[200], answer[32] = "";
	FILE *f;

	snprintf(command, sizeof(command), "find %s/%s -type f | wc -l", root, below);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(answer, sizeof(answer), f));
	pclose(f);
	return atoi(answer);
}

static void
content_is(const char *version, const char *expected)
{
	char got[100];
	int fd = open(kith_store_path(unit_request()->arena, version), O_RDONLY);
	ssize_t n = read(fd, got, sizeof(got));

	assert_int_equal(n, strlen(expected));
	assert_memory_equal(got, expected, strlen(expected));
	close(fd);
}

static void
whole(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_store_file *f = kith_store_begin(a);
	char version[KITH_STORE_VERSION + 1];
	struct stat st;

	(void)state;
	assert_non_null(f);
	assert_int_equal(kith_store_write(f, "hello ", 6), 0);
	assert_int_equal(kith_store_write(f, "world", 5), 0);
	assert_int_equal(f->size, 11);
	assert_int_equal(kith_store_stat(f->version, &st), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(count("tmp"), 1);
	assert_int_equal(kith_store_commit(f), 0);
	/* sha256sum, first half */
	assert_string_equal(f->hash, "b94d27b9934d3e08a52e52d7da7dabfa");
	memcpy(version, f->version, sizeof(version));
	kith_arena_free(a);
	assert_int_equal(kith_store_stat(version, &st), 0);
	assert_int_equal(st.st_size, 11);
	assert_int_equal(st.st_mode & 07777, 0640);
	content_is(version, "hello world");
	assert_int_equal(count("tmp"), 0);
	assert_int_equal(kith_store_remove(version), 0);
	assert_int_equal(kith_store_remove(version), 0);
	assert_int_equal(count("objects"), 0);
}

static void
unwanted(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_store_file *f = kith_store_begin(a);

	(void)state;
	assert_int_equal(kith_store_write(f, "x", 1), 0);
	kith_arena_free(a);
	assert_int_equal(count("tmp"), 0);
	assert_int_equal(count("objects"), 0);
}

static void
kept(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_store_file *f = kith_store_begin(a);
	char version[KITH_STORE_VERSION + 1];

	(void)state;
	memcpy(version, f->version, sizeof(version));
	assert_int_equal(kith_store_write(f, "hello", 5), 0);
	assert_int_equal(kith_store_keep(f), 0);
	/* As a crash leaves it: more on the disk than anybody was told. */
	assert_int_equal(kith_store_write(f, "lost", 4), 0);
	kith_arena_reset(a);
	assert_int_equal(count("tmp"), 1);

	f = kith_store_resume(a, version);
	assert_non_null(f);
	assert_null(kith_store_resume(a, version));
	assert_int_equal(errno, EWOULDBLOCK);
	assert_int_equal(kith_store_cut(f, 10), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(kith_store_cut(f, 5), 0);
	assert_int_equal(kith_store_write(f, " world", 6), 0);
	assert_int_equal(f->size, 11);
	assert_int_equal(kith_store_commit(f), 0);
	assert_string_equal(f->hash, "b94d27b9934d3e08a52e52d7da7dabfa");
	kith_arena_reset(a);
	content_is(version, "hello world");
	assert_int_equal(count("tmp"), 1);
	assert_int_equal(kith_store_remove_kept(version), 0);
	content_is(version, "hello world");
	kith_store_remove(version);

	f = kith_store_begin(a);
	memcpy(version, f->version, sizeof(version));
	assert_int_equal(kith_store_keep(f), 0);
	kith_arena_free(a);
	assert_int_equal(kith_store_remove_kept(version), 0);
	assert_int_equal(kith_store_remove_kept(version), 0);
	assert_int_equal(count("tmp"), 0);
}

static void
copies(void **state)
{
	struct kith_arena *a = kith_arena_new(0);
	struct kith_store_file *f = kith_store_begin(a);
	char copy[KITH_STORE_VERSION + 1];

	(void)state;
	assert_int_equal(kith_store_write(f, "same", 4), 0);
	assert_int_equal(kith_store_commit(f), 0);
	kith_store_new_version(copy);
	assert_int_equal(kith_store_copy(f->version, copy), 0);
	assert_int_equal(kith_store_copy(f->version, copy), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(kith_store_remove(f->version), 0);
	content_is(copy, "same");
	assert_int_equal(kith_store_copy(f->version, copy), -1);
	kith_store_remove(copy);
	kith_arena_free(a);
}

static void
names(void **state)
{
	static const char *const bad[] = { "", "..", "../../../../etc/passwd", "b94d27b9-934d-4e08-a52e-52d7da7dabf",
		"b94d27b9-934d-4e08-a52e-52d7da7dabfaa", "B94D27B9-934d-4e08-a52e-52d7da7dabfa", "b94d27b9-934d-4e08-a52e-52d7da7dabf/",
		"../d27b9-934d-4e08-a52e-52d7da7dabfa", "b94d27b9x934d-4e08-a52e-52d7da7dabfa", NULL };
	struct kith_arena *a = kith_arena_new(0);
	struct stat st;

	(void)state;
	for (const char *const *name = bad; *name; name++) {
		assert_false(kith_store_is_version(*name));
		errno = 0;
		assert_null(kith_store_path(a, *name));
		assert_int_equal(errno, EINVAL);
		assert_null(kith_store_place(a, *name));
		assert_null(kith_store_resume(a, *name));
		assert_int_equal(kith_store_remove(*name), -1);
		assert_int_equal(kith_store_remove_kept(*name), -1);
		assert_int_equal(kith_store_stat(*name, &st), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_string_equal(kith_store_place(a, "b94d27b9-934d-4e08-a52e-52d7da7dabfa"), "b9/4d/b94d27b9-934d-4e08-a52e-52d7da7dabfa");
	for (int i = 0; i < 100; i++) {
		char version[KITH_STORE_VERSION + 1];

		kith_store_new_version(version);
		assert_true(kith_store_is_version(version));
		assert_int_equal(version[14], '4');
	}
	kith_arena_free(a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		unit_that("a committed file is whole, durable and readable by nginx's group", whole),
		unit_that("nothing is left of a file that nobody committed", unwanted),
		unit_that("a kept file goes on where the caller was told it ended", kept),
		unit_that("a copy outlives what it was made of", copies),
		unit_that("a version is a uuid and leads nowhere else", names),
	};
	char path[100];
	int rc;

	if (!mkdtemp(root))
		return 1;
	snprintf(path, sizeof(path), "%s/tmp", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/objects", root);
	mkdir(path, 0700);
	kith_settings.storage = root;
	rc = unit_run(tests);
	snprintf(path, sizeof(path), "rm -rf %s", root);
	return system(path) ? 1 : rc;
}
