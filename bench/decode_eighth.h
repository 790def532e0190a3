/* What a JPEG costs at 1/8, by libjpeg and by our reader (src/jpeg_dc.h), side by side. */
#ifndef DECODE_EIGHTH_H
#define DECODE_EIGHTH_H

#include <stdio.h>

/* Times the JPEGs whose names are the lines of `list`, and prints a table. An exit code: 65 if a picture was another one. */
int decode_eighth(FILE *list);

#endif
