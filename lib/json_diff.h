/*
 * The difference of two JSON documents, as a JSON Patch.
 */
#ifndef KITH_JSON_DIFF_H
#define KITH_JSON_DIFF_H

#include <stddef.h>

struct kith_buf;
struct kith_json_value;

/*
 * Appends the operations (add, remove and replace) that make a document equal
 * to from equal to to: [] when it is.  Members are compared by name; elements
 * by what is the same in both arrays, in order.  A value is set whole where
 * that saves more than it hides, so the patch is never much longer than to.
 *
 * The cost grows with the size of the documents, whatever is in them.  Both get
 * their digests (kith_json_value_digest) and stay as they are otherwise.
 * Returns the number of operations.
 */
size_t kith_json_diff(struct kith_buf *out, struct kith_json_value *from, struct kith_json_value *to);

#endif
