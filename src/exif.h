/* The one thing that is read of EXIF: which way is up. */
#ifndef BGD_EXIF_H
#define BGD_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* The orientation (1..8, TIFF tag 0x0112) of a TIFF structure ("II*\0" or "MM\0*"), with or without "Exif\0\0" before
 * it; 1 where there is none or it makes no sense: a damaged tag does not cost the picture. */
uint32_t exif_orientation(const void *data, size_t size);

#endif
