/*
 * A JPEG at 1/8 without libjpeg's work for what 1/8 does not show: the DC coefficient of a block is the mean of its 64 pixels.
 *
 * libjpeg decodes all coefficients and then takes the DC ones. This reader steps over the AC codes of a baseline scan, several
 * at one look into a table, and over whole scans of a progressive file. Only colours that are stored at half the size on both
 * sides (4:2:0) need more: libjpeg shows them at 1/4 of their blocks, the means of 4x4 pixels, for which AC coefficients are
 * decoded here, too. The picture is libjpeg's to the byte.
 *
 * It reads usual files and declines all others, and those that are damaged, so that libjpeg says what they are: frames of 1 or 3
 * components (grey, YCbCr), colours at the full or half size, each component in one scan or, progressive, all bits of all its
 * coefficients in an order that T.81 allows; nothing before the end of the last scan that should not be there. What it cannot
 * see is damage inside scans of a progressive file that it steps over (the AC coefficients of what needs only DC ones): such a
 * file, of which libjpeg would say that its data end early, is read, since nothing that is shown depends on them.
 */
#ifndef BGD_JPEG_DC_H
#define BGD_JPEG_DC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h needs FILE */

#include <jpeglib.h>

struct jpeg_dc_plane {
    uint32_t columns, rows; /* of blocks, with those that only fill the frame's last units */
    uint32_t side;          /* samples a block has on a side at 1/8: 1, or 2 */
    int16_t *dc;            /* (rows, columns): the coefficients as coded */
    uint8_t (*quarters)[4]; /* (rows, columns) where side is 2: the block's samples, in two rows */
    uint32_t across, down;  /* pixels of the picture at 1/8 that a sample stands for: 1, or 2 */
    uint16_t step;          /* that DC coefficients were divided by */
};

struct jpeg_dc {
    uint32_t width, height; /* of the picture at 1/8 */
    uint32_t n_planes;
    struct jpeg_dc_plane planes[3];
    void *memory; /* of all planes */
};

/*
 * Reads the coefficients of the picture of which `info`, with jpeg_mem_src's source, has read the header and nothing more (that
 * is, after jpeg_read_header); its sizes must be within the limits of bgdet.h. Hostile bytes are what it is made for.
 * False if it declines, or memory lacks: `dc` then holds nothing, and `info` is as it was, so that libjpeg can go on.
 */
bool jpeg_dc_read(const struct jpeg_decompress_struct *info, struct jpeg_dc *dc);

/* The picture in RGB: (height, width, 3) bytes at `rgb`. */
void jpeg_dc_picture(const struct jpeg_dc *dc, uint8_t *rgb);

void jpeg_dc_free(struct jpeg_dc *dc);

#endif
