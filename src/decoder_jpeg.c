/*
 * JPEG by libjpeg-turbo, at the smallest DCT scale that suffices.
 *
 * The library repairs what it can and only warns. We take a picture of which all was there to decode: a warning that the
 * entropy-coded data ended early (JWRN_HIT_MARKER) is damage, and so is a file of several scans that lacks a component, or that
 * ends without its end marker before all bits of all coefficients have come (later scans refine the whole picture). A missing
 * end marker alone is not. Other warnings (bytes between markers, odd versions) are ignored, as Pillow does.
 */
#include "decoder.h"
#include "err.h"
#include "exif.h"
#include "jpeg_dc.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

struct jpeg {
    struct jpeg_decompress_struct info; /* first: the library hands back a pointer to it */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf fail;
    const struct decoder_input *in;
    struct bgd_image *image;
    uint32_t orientation;
    struct bgd_err *err;
    bool cut;      /* the file ended where a marker was looked for */
    uint32_t seen; /* a bit for each component that a scan had */
    uint8_t *row;  /* CMYK only */
};

static struct jpeg *jpeg_of(j_common_ptr info)
{
    return (struct jpeg *)(void *)info;
}

/* The processes of ITU-T T.81, table B.1, that the library does not know. */
static const char *process_name(int sof)
{
    switch (sof) {
    case 0xc3:
    case 0xcb: return "lossless";
    case 0xc5:
    case 0xc6:
    case 0xc7:
    case 0xcd:
    case 0xce:
    case 0xcf: return "hierarchical";
    default: return "unknown";
    }
}

static void on_error(j_common_ptr info)
{
    struct jpeg *jpeg = jpeg_of(info);
    char text[JMSG_LENGTH_MAX];
    int parameter = info->err->msg_parm.i[0];
    info->err->format_message(info, text);
    enum bgd_code code = BGD_DAMAGED;
    switch (info->err->msg_code) {
    case JERR_BAD_PRECISION:
        code = BGD_UNSUPPORTED;
        snprintf(text, sizeof text, "%d bits a sample, expected 8", parameter);
        break;
    case JERR_SOF_UNSUPPORTED:
        code = BGD_UNSUPPORTED;
        snprintf(text, sizeof text, "the %s process (marker 0x%02x), expected baseline or progressive", process_name(parameter),
                 parameter);
        break;
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL: code = BGD_UNSUPPORTED; break;
    case JERR_OUT_OF_MEMORY: code = BGD_MEMORY; break;
    case JERR_IMAGE_TOO_BIG:
        code = BGD_LIMIT;
        snprintf(text, sizeof text, "more than %d pixels a side, at most %u are read", parameter, BGD_IMAGE_SIDE_MAX);
        break;
    default: break;
    }
    err_set(jpeg->err, code, "%s", text);
    longjmp(jpeg->fail, 1);
}

static void on_message(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    struct jpeg *jpeg = jpeg_of(info);
    if (info->err->msg_code == JWRN_JPEG_EOF)
        jpeg->cut = true;
    if (info->err->msg_code == JWRN_HIT_MARKER) {
        err_set(jpeg->err, BGD_DAMAGED, "the data ends before the last row");
        longjmp(jpeg->fail, 1);
    }
}

/* Called for every row of blocks of every scan. A file of a few KB can hold thousands of scans, each a pass over the whole
 * picture. */
static void on_progress(j_common_ptr common)
{
    struct jpeg *jpeg = jpeg_of(common);
    const struct jpeg_decompress_struct *info = &jpeg->info;
    if (info->input_scan_number > (int)BGD_IMAGE_SCANS_MAX) {
        err_set(jpeg->err, BGD_LIMIT, "more than %u scans", BGD_IMAGE_SCANS_MAX);
        longjmp(jpeg->fail, 1);
    }
    for (int i = 0; i < info->comps_in_scan; i++)
        jpeg->seen |= 1u << info->cur_comp_info[i]->component_index;
}

static uint32_t find_orientation(const struct jpeg_decompress_struct *info)
{
    for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0)
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

/* Whether a file of several scans, all of them read by now, held what the picture needs. */
static bool is_complete(const struct jpeg *jpeg)
{
    const struct jpeg_decompress_struct *info = &jpeg->info;
    if (jpeg->seen != (1u << info->num_components) - 1)
        return false;
    for (int c = 0; c < info->num_components && info->progressive_mode; c++)
        for (int k = 0; k < DCTSIZE2; k++) { /* coef_bits: the bits still to come; -1: none came */
            if (k == 0 && info->coef_bits[c][k] < 0)
                return false;
            if (jpeg->cut && info->coef_bits[c][k] != 0)
                return false;
        }
    return true;
}

/* Where 8 does not divide a side, the last reduced pixel stands for less than the others, which feed_extent reckons with. It
 * looks for it at the end: a side that will be mirrored is only reduced by what divides it. */
static uint32_t find_reduction(const struct decoder_input *in, uint32_t width, uint32_t height, uint32_t orientation)
{
    uint32_t by = decoder_reduction(in, width, height, orientation);
    while ((decoder_mirrors_x(orientation) && width % by) || (decoder_mirrors_y(orientation) && height % by))
        by /= 2;
    return by;
}

static void read_rows(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    struct bgd_image *image = jpeg->image;
    while (info->output_scanline < info->output_height) {
        uint8_t *out = image->rgb + (size_t)info->output_scanline * image->width * 3;
        JSAMPROW row = jpeg->row ? jpeg->row : out;
        jpeg_read_scanlines(info, &row, 1);
        if (jpeg->row)
            cmyk_to_rgb(jpeg->row, out, image->width);
    }
}

/* The picture at 1/8, if the reader that is made for it takes the file. */
static bool read_dc(const struct jpeg *jpeg)
{
    struct jpeg_dc dc;
    if (jpeg->info.scale_denom != DCTSIZE || !jpeg_dc_read(&jpeg->info, &dc))
        return false;
    jpeg_dc_picture(&dc, jpeg->image->rgb);
    jpeg_dc_free(&dc);
    return true;
}

static int read_picture(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    struct bgd_image *image = jpeg->image;
    jpeg_mem_src(info, jpeg->in->data, (unsigned long)jpeg->in->size);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
    if (info->arith_code) /* the library could; nobody writes them, and they are slow to decode */
        return err_set(jpeg->err, BGD_UNSUPPORTED, "arithmetic coding, expected Huffman codes");
    /* Within the limits a progressive file's coefficients take at most 50 M x 4 components x 2 bytes = 400 MB. */
    if (decoder_check_size(info->image_width, info->image_height, jpeg->err))
        return jpeg->err->code;
    bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    if (!cmyk && info->num_components != 1 && info->num_components != 3)
        return err_set(jpeg->err, BGD_UNSUPPORTED, "%d components, expected 1, 3 or 4", info->num_components);
    jpeg->orientation = find_orientation(info);
    image->full_width = info->image_width;
    image->full_height = info->image_height;
    info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    info->scale_num = 1;
    info->scale_denom = find_reduction(jpeg->in, info->image_width, info->image_height, jpeg->orientation);
    jpeg_calc_output_dimensions(info);
    if (decoder_reserve(image, info->output_width, info->output_height, jpeg->err))
        return jpeg->err->code;
    if (read_dc(jpeg))
        return 0;
    if (cmyk && !(jpeg->row = malloc((size_t)info->output_width * 4)))
        return err_set(jpeg->err, BGD_MEMORY, "out of memory");
    jpeg_start_decompress(info); /* reads the whole file if it has several scans */
    if (jpeg_has_multiple_scans(info) && !is_complete(jpeg))
        return err_set(jpeg->err, BGD_DAMAGED, "the data ends before the last scan");
    read_rows(jpeg);
    return 0;
}

/* The frame that longjmp returns to: it has no variable of its own that could be lost by it. */
static int run(struct jpeg *jpeg)
{
    if (setjmp(jpeg->fail))
        return jpeg->err->code;
    jpeg_create_decompress(&jpeg->info); /* clears the struct but for err */
    jpeg->info.progress = &jpeg->progress;
    return read_picture(jpeg);
}

int decoder_jpeg(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err)
{
    struct jpeg jpeg = {.in = in, .image = image, .orientation = 1, .err = err};
    jpeg.info.err = jpeg_std_error(&jpeg.errors);
    jpeg.errors.error_exit = on_error;
    jpeg.errors.emit_message = on_message;
    jpeg.progress.progress_monitor = on_progress;
    int code = run(&jpeg);
    *orientation = jpeg.orientation;
    free(jpeg.row);
    jpeg_destroy_decompress(&jpeg.info); /* instead of jpeg_finish_decompress, which would want the end marker */
    return code;
}
