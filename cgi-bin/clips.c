/*
 * clips - the recordings that a voice is trained from: sql/180_clips.sql.
 */
#include "kith.h"

const struct kith_resource kith_clips = {
	.name = "clips",
	.tables = { "clips", "training_clips" },
};
