/*
 * PNG by libpng: it checks every CRC, inflates into rows of the right size only, and knows interlacing and tRNS.
 * 16 bits become 8 by dropping the lower byte. Gamma and colour profiles are ignored, as Pillow does.
 */
#include "decoder.h"
#include "err.h"
#include "exif.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS_MAX 1000u       /* ancillary chunks kept */
#define CHUNK_BYTES_MAX 8000000u

struct reader {
    const struct decoder_input *in;
    size_t pos;
    struct bgd_err *err;
    uint8_t *rgba; /* the whole picture for an interlaced file, a row for others */
    png_bytep *rows;
};

static void on_error(png_structp png, png_const_charp text)
{
    struct reader *reader = png_get_error_ptr(png);
    err_set(reader->err, BGD_DAMAGED, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep out, size_t size)
{
    struct reader *reader = png_get_io_ptr(png);
    if (size > reader->in->size - reader->pos)
        png_error(png, "the data ends before the last row");
    memcpy(out, reader->in->data + reader->pos, size);
    reader->pos += size;
}

/* Everything becomes 8-bit RGBA. */
static void set_transforms(png_structp png, png_infop info)
{
    png_set_strip_16(png);
    png_set_expand(png); /* palette, grey of 1, 2, 4 bits, tRNS */
    png_set_gray_to_rgb(png);
    png_set_filler(png, 0xff, PNG_FILLER_AFTER);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

static uint32_t find_orientation(png_structp png, png_infop info)
{
    png_uint_32 size = 0;
    png_bytep data = NULL;
    return png_get_eXIf_1(png, info, &size, &data) ? exif_orientation(data, size) : 1;
}

static int read_picture(png_structp png, png_infop info, struct reader *reader, struct bgd_image *image,
                        uint32_t *orientation)
{
    png_read_info(png, info);
    uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if (decoder_check_size(width, height, reader->err))
        return reader->err->code;
    bool interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    set_transforms(png, info);
    size_t stride = (size_t)width * 4;
    reader->rgba = malloc(interlaced ? stride * height : stride);
    reader->rows = interlaced ? malloc(height * sizeof *reader->rows) : NULL;
    if (!reader->rgba || (interlaced && !reader->rows))
        return err_set(reader->err, BGD_MEMORY, "out of memory for %ux%u pixels", width, height);
    if (decoder_reserve(image, width, height, reader->err))
        return reader->err->code;
    if (interlaced) {
        for (uint32_t i = 0; i < height; i++)
            reader->rows[i] = reader->rgba + i * stride;
        png_read_image(png, reader->rows);
    }
    for (uint32_t i = 0; i < height; i++) {
        if (!interlaced)
            png_read_row(png, reader->rgba, NULL);
        decoder_over_white(reader->rgba + (interlaced ? i * stride : 0), image->rgb + (size_t)i * width * 3, width);
    }
    png_read_end(png, info); /* the checksum of the last data, the end chunk, and an eXIf behind the data */
    *orientation = find_orientation(png, info);
    image->full_width = width;
    image->full_height = height;
    return 0;
}

int decoder_png(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err)
{
    struct reader reader = {.in = in, .err = err};
    int code = BGD_MEMORY;
    png_infop info = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    if (png)
        info = png_create_info_struct(png);
    if (!png || !info) {
        err_set(err, BGD_MEMORY, "out of memory");
        goto done;
    }
    if (setjmp(png_jmpbuf(png))) {
        code = err->code;
        goto done;
    }
    png_set_read_fn(png, &reader, on_read);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* ours, which name the size, come with the header */
    png_set_chunk_cache_max(png, CHUNKS_MAX);
    png_set_chunk_malloc_max(png, CHUNK_BYTES_MAX);
    /* Text and profiles are not even inflated. */
    static const png_byte skipped[] = "iCCP\0iTXt\0tEXt\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, 4);
    code = read_picture(png, info, &reader, image, orientation);
done:
    free(reader.rgba);
    free(reader.rows);
    png_destroy_read_struct(&png, &info, NULL);
    return code;
}
