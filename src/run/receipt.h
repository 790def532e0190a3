/* Counts of rows as JSON: the receipt of a shard and the manifest of a run (shards.h). */
#ifndef BGD_RECEIPT_H
#define BGD_RECEIPT_H

#include "results.h"

#include <cjson/cJSON.h>

/* Adds "rows", "broken" (results_counts.sources), "verdicts", "reasons" and "errors" to the object. False without memory. */
bool receipt_put(cJSON *object, const struct results_counts *counts);

/* Adds what receipt_put has written to `counts`. False if a member is missing, no count, or unknown. */
bool receipt_add(const cJSON *object, struct results_counts *counts);

/* Writes the object as one line to the file `path` (output.h). */
int receipt_write(const char *path, const cJSON *object, struct bgd_err *err);

/* Reads a JSON object of at most 64 MB from the file. NULL: BGD_MISSING, BGD_UNREADABLE, BGD_DAMAGED, naming the file. */
cJSON *receipt_read(const char *path, struct bgd_err *err);

#endif
