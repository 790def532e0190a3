/* What a run is, as JSON: what its rows follow from. The same text, the same rows. */
#ifndef BGD_IDENTITY_H
#define BGD_IDENTITY_H

#include "session.h"

#include <cjson/cJSON.h>

/* {"version", "pipeline": {"name", "hash"}, "device", "precision", "decode"}: what a result follows from beside the picture's
 * bytes. NULL without memory. */
cJSON *identity_of_session(const struct session *session);

/* Adds "sources": the paths as they were named (and the working directory, if they are relative), hashes of the lists and of the names that a walk finds, how they are cut into
 * shards, which of them are taken. BGD_ARGUMENT: a list that can be read once only; BGD_MISSING, BGD_UNREADABLE, BGD_MEMORY;
 * BGD_NETWORK: a signal has ended the walk. */
int identity_add_sources(cJSON *identity, const struct catalogue_options *sources, struct bgd_err *err);

#endif
