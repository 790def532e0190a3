/*
 * JPEG by libjpeg-turbo, at the smallest DCT scale that suffices.
 *
 * The library repairs what it can and only warns. We take a picture whose last row was decoded from real data: a warning
 * that the entropy-coded data ended early (JWRN_HIT_MARKER) is damage, as is the end of the file in the middle of a
 * progressive file, whose later scans refine the whole picture. A missing end marker alone is not: every row is there.
 * Other warnings (bytes between markers, odd versions) are ignored, as Pillow does.
 */
#include "decoder.h"
#include "err.h"
#include "exif.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>

struct jpeg {
    struct jpeg_decompress_struct info; /* first: the library hands back a pointer to it */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf fail;
    struct bgd_err *err;
    bool multiple_scans;
    uint8_t *row; /* CMYK only */
};

static struct jpeg *jpeg_of(j_common_ptr info)
{
    return (struct jpeg *)(void *)info;
}

static void on_error(j_common_ptr info)
{
    struct jpeg *jpeg = jpeg_of(info);
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    enum bgd_code code = BGD_DAMAGED;
    switch (info->err->msg_code) {
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
        code = BGD_UNSUPPORTED;
        break;
    case JERR_OUT_OF_MEMORY:
        code = BGD_MEMORY;
        break;
    case JERR_IMAGE_TOO_BIG:
        code = BGD_LIMIT;
        break;
    default:
        break;
    }
    err_set(jpeg->err, code, "%s", text);
    longjmp(jpeg->fail, 1);
}

static void on_message(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    struct jpeg *jpeg = jpeg_of(info);
    int code = info->err->msg_code;
    if (code == JWRN_HIT_MARKER || (code == JWRN_JPEG_EOF && jpeg->multiple_scans)) {
        err_set(jpeg->err, BGD_DAMAGED, "the data ends before the last row");
        longjmp(jpeg->fail, 1);
    }
}

/* A file of a few KB can hold thousands of scans, each a pass over the whole picture. */
static void on_progress(j_common_ptr info)
{
    struct jpeg *jpeg = jpeg_of(info);
    if (jpeg->info.input_scan_number > (int)BGD_IMAGE_SCANS_MAX) {
        err_set(jpeg->err, BGD_LIMIT, "more than %u scans", BGD_IMAGE_SCANS_MAX);
        longjmp(jpeg->fail, 1);
    }
}

static uint32_t find_orientation(const struct jpeg_decompress_struct *info)
{
    for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && m->data[0] == 'E' && m->data[1] == 'x')
            return exif_orientation(m->data, m->data_length);
    return 1;
}

/* CMYK as Adobe's programs write it, and all others have followed: 255 is no ink. RGB as Pillow computes it. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, uint32_t pixels)
{
    for (uint32_t i = 0; i < pixels; i++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            uint32_t light = cmyk[3], ink = (255u - cmyk[c]) * light + 128;
            rgb[c] = (uint8_t)(light - ((ink + (ink >> 8)) >> 8));
        }
}

static void read_rows(struct jpeg *jpeg, struct bgd_image *image)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    while (info->output_scanline < info->output_height) {
        uint8_t *out = image->rgb + (size_t)info->output_scanline * image->width * 3;
        JSAMPROW row = jpeg->row ? jpeg->row : out;
        jpeg_read_scanlines(info, &row, 1);
        if (jpeg->row)
            cmyk_to_rgb(jpeg->row, out, image->width);
    }
}

static int read_picture(struct jpeg *jpeg, const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    jpeg_mem_src(info, in->data, (unsigned long)in->size);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
    jpeg->multiple_scans = jpeg_has_multiple_scans(info);
    /* Within the limits a progressive file's coefficients take at most 50 M x 4 components x 2 bytes = 400 MB. */
    if (decoder_check_size(info->image_width, info->image_height, jpeg->err))
        return jpeg->err->code;
    bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    if (!cmyk && info->num_components != 1 && info->num_components != 3)
        return err_set(jpeg->err, BGD_UNSUPPORTED, "%d components, expected 1, 3 or 4", info->num_components);
    *orientation = find_orientation(info);
    image->full_width = info->image_width;
    image->full_height = info->image_height;
    info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    info->scale_num = 1;
    info->scale_denom = decoder_reduction(in, info->image_width, info->image_height, *orientation);
    jpeg_calc_output_dimensions(info);
    if (decoder_reserve(image, info->output_width, info->output_height, jpeg->err))
        return jpeg->err->code;
    if (cmyk && !(jpeg->row = malloc((size_t)info->output_width * 4)))
        return err_set(jpeg->err, BGD_MEMORY, "out of memory");
    jpeg_start_decompress(info);
    read_rows(jpeg, image);
    return 0;
}

int decoder_jpeg(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err)
{
    struct jpeg jpeg = {.err = err};
    jpeg.info.err = jpeg_std_error(&jpeg.errors);
    jpeg.errors.error_exit = on_error;
    jpeg.errors.emit_message = on_message;
    jpeg.progress.progress_monitor = on_progress;
    int code;
    if (setjmp(jpeg.fail)) {
        code = err->code;
    } else {
        jpeg_create_decompress(&jpeg.info); /* clears the struct but for err */
        jpeg.info.progress = &jpeg.progress;
        code = read_picture(&jpeg, in, image, orientation);
    }
    free(jpeg.row);
    jpeg_destroy_decompress(&jpeg.info); /* instead of jpeg_finish_decompress, which would want the end marker */
    return code;
}
