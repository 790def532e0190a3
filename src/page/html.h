/* What goes into an HTML page and was not written by us: text of any bytes, and pictures. The page stays well-formed XML. */
#ifndef BGD_HTML_H
#define BGD_HTML_H

#include "bgdet.h"

#include <stdio.h>

/* `text` as text or as the value of an attribute: & < > " ' escaped; U+FFFD for control characters and for every byte that is
 * not part of valid UTF-8. */
void html_text(FILE *page, const char *text);

#define HTML_NAME_BYTES 120

/* A name from outside: html_text, with the middle left out where it is longer than HTML_NAME_BYTES, and in an element of its
 * own, so that its right-to-left marks end with it. */
void html_name(FILE *page, const char *name);

/* The address of a picture that lies inside the page: "data:image/png;base64,...". BGD_MEMORY; the text names no file. */
int html_picture(FILE *page, const struct bgd_image *image, struct bgd_err *err);

#endif
