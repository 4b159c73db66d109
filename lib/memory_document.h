/*
 * The document of a user's memory: the hooks (hook.h) of save_memory and
 * reconstruct_memory, which make and apply its patches.  What they read, and
 * what becomes of what they compute, says sql/080_memory_snapshots.sql.
 */
#ifndef KITH_MEMORY_DOCUMENT_H
#define KITH_MEMORY_DOCUMENT_H

#include <libpq-fe.h>

struct kith_buf;
struct kith_hook_call;
struct kith_sql;

/* Most bytes of a document. */
#define KITH_MEMORY_DOCUMENT_MAX ((size_t)4 << 20)

/*
 * Bytes that the patches since a checkpoint may be longer than the document;
 * then the next checkpoint comes early.  Any version is applied in a few
 * milliseconds then, also when everything is rewritten each time.
 */
#define KITH_MEMORY_PATCHES ((size_t)256 << 10)

/*
 * save_memory(document): locks the user's row and reads what happened since the
 * last checkpoint.  The text is {"after": the newest version, "operations":
 * patch}; null operations ask for a checkpoint.
 */
int kith_memory_document_read_newest(struct kith_hook_call *call, struct kith_sql **sql);
int kith_memory_document_difference(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out);

/*
 * reconstruct_memory(version): reads from the nearest checkpoint to the version.
 * The text is the version found, or 0, and on a second line the document.
 */
int kith_memory_document_read_version(struct kith_hook_call *call, struct kith_sql **sql);
int kith_memory_document_version(struct kith_hook_call *call, const PGresult *const *results, struct kith_buf *out);

#endif
