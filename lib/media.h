/*
 * Media types: which form of answer the caller takes, and what it sends.
 */
#ifndef KITH_MEDIA_H
#define KITH_MEDIA_H

#include <stdbool.h>

struct kith_request;

struct kith_media {
	enum { KITH_MEDIA_ARRAY, KITH_MEDIA_OBJECT, KITH_MEDIA_CSV, KITH_MEDIA_OPENAPI } form;
	bool strip_nulls;
	const char *content_type;	/* of the answer */
};

/* The first acceptable entry of Accept wins; -1 with 406 PGRST107 when there is none. */
int kith_media_accept(struct kith_request *req, struct kith_media *media);

/* The same for the description of the API, which comes in one form only. */
int kith_media_accept_openapi(struct kith_request *req, struct kith_media *media);

/* -1 with 415 unless the request's body is declared as JSON, or not declared at all. */
int kith_media_json_body(struct kith_request *req);

#endif
