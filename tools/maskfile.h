/* Masks as PNG files, one for each card. */
#ifndef BGD_MASKFILE_H
#define BGD_MASKFILE_H

#include "run/flow.h"

/* Writes the row's mask, at the card's own size, as FOLDER/ID.png. A name that would be too long is said on stderr and passed
 * over; BGD_ARGUMENT: it would lie beside its card, and so be a card of the next run; BGD_WRITE, BGD_MEMORY. */
int maskfile_write(const char *folder, const struct bgd_engine *engine, const struct flow_row *row, struct bgd_err *err);

#endif
