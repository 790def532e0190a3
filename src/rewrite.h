/* A model file with other metadata: the same graph and weights, byte for byte. */
#ifndef BGD_REWRITE_H
#define BGD_REWRITE_H

#include "model.h"

/* The new file in memory, its hash in place; *bytes is to be freed. Of the old metadata only what struct meta holds is there to be
 * kept. BGD_ARGUMENT: `meta` breaks a rule of the format, which the
 * text names; BGD_MEMORY. */
int rewrite_meta(const struct bgd_model *model, const struct meta *meta, uint8_t **bytes, size_t *size, struct bgd_err *err);

#endif
