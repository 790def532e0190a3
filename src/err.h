/* Fills the caller's error, once, where the failure happened. */
#ifndef BGD_ERR_H
#define BGD_ERR_H

#include "bgdet.h"

/* Writes the printf-formatted line to `err` and returns `code`, so that `return err_set(...)` reads as one step.
 * Control bytes (names come from hostile files) become '?'; a line too long is cut. */
__attribute__((format(printf, 3, 4))) int err_set(struct bgd_err *err, enum bgd_code code, const char *format, ...);

/* Prefixes the text of an error that is set already: "photo.jpg: " + text. Returns err->code. */
__attribute__((format(printf, 2, 3))) int err_prefix(struct bgd_err *err, const char *format, ...);

#endif
