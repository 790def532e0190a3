/*
 * Any JPEG at 1/8 by the reader that does without libjpeg's work: what it takes, libjpeg reads to the same picture. Start from the
 * fixtures, small and large:
 *     fuzz_jpeg_dc NEW_FOLDER tests/fixtures/pictures
 */
#include "bgdet.h"
#include "jpeg_dc.h"

#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIXELS_MAX (512u * 512u) /* more would take libjpeg too long */

struct library {
    struct jpeg_error_mgr errors; /* first: the library hands back a pointer to it */
    jmp_buf fail;
};

static void on_error(j_common_ptr info)
{
    longjmp(((struct library *)(void *)info->err)->fail, 1);
}

/* Data that end early are damage to the decoder, but of a progressive file, whose scans may be stepped over. */
static void on_message(j_common_ptr info, int level)
{
    (void)level;
    if (info->err->msg_code == JWRN_HIT_MARKER && !((struct jpeg_decompress_struct *)info)->progressive_mode)
        on_error(info);
}

static void check(bool right)
{
    if (!right)
        abort();
}

static void prepare(struct library *library, struct jpeg_decompress_struct *info)
{
    info->err = jpeg_std_error(&library->errors);
    library->errors.error_exit = on_error;
    library->errors.emit_message = on_message;
    jpeg_create_decompress(info);
}

/* Fills `rgb` as jpeg_dc_picture would. */
static bool library_picture(const uint8_t *data, size_t size, uint8_t *rgb, size_t room)
{
    struct jpeg_decompress_struct info;
    struct library library;
    prepare(&library, &info);
    bool read = setjmp(library.fail) == 0;
    if (read) {
        jpeg_mem_src(&info, data, size);
        jpeg_read_header(&info, TRUE);
        info.scale_num = 1;
        info.scale_denom = 8;
        info.out_color_space = JCS_RGB;
        jpeg_start_decompress(&info);
        check((size_t)info.output_width * info.output_height * 3 == room);
        while (info.output_scanline < info.output_height) {
            JSAMPROW row = rgb + (size_t)info.output_scanline * info.output_width * 3;
            jpeg_read_scanlines(&info, &row, 1);
        }
    }
    jpeg_destroy_decompress(&info);
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jpeg_decompress_struct info;
    struct library library;
    struct jpeg_dc dc;
    if (size < 4 || data[0] != 0xff || data[1] != 0xd8)
        return 0;
    prepare(&library, &info);
    if (setjmp(library.fail)) {
        jpeg_destroy_decompress(&info);
        return 0;
    }
    jpeg_mem_src(&info, data, size);
    jpeg_read_header(&info, TRUE);
    if (info.image_width <= BGD_IMAGE_SIDE_MAX && info.image_height <= BGD_IMAGE_SIDE_MAX &&
        (uint64_t)info.image_width * info.image_height <= PIXELS_MAX && jpeg_dc_read(&info, &dc)) {
        size_t room = (size_t)dc.width * dc.height * 3;
        uint8_t *ours = malloc(room), *theirs = malloc(room);
        check(ours && theirs && dc.width == (info.image_width + 7) / 8 && dc.height == (info.image_height + 7) / 8);
        jpeg_dc_picture(&dc, ours);
        check(library_picture(data, size, theirs, room) && memcmp(ours, theirs, room) == 0);
        jpeg_dc_free(&dc);
        free(ours);
        free(theirs);
    }
    jpeg_destroy_decompress(&info);
    return 0;
}
