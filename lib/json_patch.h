/*
 * JSON Patch (RFC 6902) and the pointers in it (RFC 6901).
 */
#ifndef KITH_JSON_PATCH_H
#define KITH_JSON_PATCH_H

struct kith_arena;
struct kith_json_value;

/*
 * Applies the operations of patch to *document, which may be NULL: there is
 * none yet, and the first operation sets it whole.  Values move out of the
 * patch into the document, so each is of use once.
 *
 * 0; or -1 with *error set, and then the document is in pieces: whoever needs
 * it whole parses it again.  No operation makes a document deeper than
 * KITH_JSON_DEPTH, and copies end when they have made KITH_JSON_VALUES.
 */
int kith_json_patch_apply(struct kith_arena *a, struct kith_json_value **document, struct kith_json_value *patch,
    const char **error);

#endif
