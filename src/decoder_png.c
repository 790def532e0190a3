/*
 * PNG by libpng: it checks every CRC, inflates into rows of the right size only, and knows interlacing and tRNS.
 * 16 bits become 8 by dropping the lower byte. Gamma and colour profiles are ignored, as Pillow does.
 */
#include "bytes.h"
#include "decoder.h"
#include "err.h"
#include "exif.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS_MAX 1000u /* ancillary chunks kept */
#define CHUNK_BYTES_MAX 8000000u

struct reader {
    png_structp png;
    png_infop info;
    const struct decoder_input *in;
    size_t pos;
    struct bgd_image *image;
    uint32_t orientation;
    struct bgd_err *err;
    uint8_t *rgba; /* the whole picture for an interlaced file, a row for others */
    png_bytep *rows;
};

static void on_error(png_structp png, png_const_charp text)
{
    struct reader *reader = png_get_error_ptr(png);
    err_set(reader->err, strstr(text, "memory") ? BGD_MEMORY : BGD_DAMAGED, "%s", text);
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

/* Looks at the size before libpng does, which would read all chunks up to the data first. */
static int check_header(const struct decoder_input *in, struct bgd_err *err)
{
    struct bytes bytes = bytes_of(in->data, in->size);
    const uint8_t *name;
    uint32_t length, width, height;
    if (!bytes_skip(&bytes, 8) || !bytes_u32be(&bytes, &length) || !bytes_take(&bytes, 4, &name) ||
        !bytes_u32be(&bytes, &width) || !bytes_u32be(&bytes, &height))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (memcmp(name, "CgBI", 4) == 0)
        return err_set(err, BGD_UNSUPPORTED, "the CgBI variant, which only Apple's devices read");
    if (memcmp(name, "IHDR", 4) != 0)
        return err_set(err, BGD_DAMAGED, "the first chunk is '%.4s', expected IHDR", (const char *)name);
    return decoder_check_size(width, height, err);
}

/* Everything becomes 8-bit RGBA, or RGB if nothing in it says how opaque it is. */
static void set_transforms(png_structp png, png_infop info, bool opaque)
{
    png_set_strip_16(png);
    png_set_expand(png); /* palette, grey of 1, 2, 4 bits, tRNS */
    png_set_gray_to_rgb(png);
    if (!opaque)
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

/* Rows, or all of an interlaced picture, whose passes each add pixels all over it. Without `rgba` they are the picture's own. */
static void read_rows(struct reader *reader, uint32_t width, uint32_t height, bool interlaced)
{
    uint8_t *rgb = reader->image->rgb, *rgba = reader->rgba;
    size_t stride = (size_t)width * (rgba ? 4 : 3), step = rgba && !interlaced ? 0 : stride;
    uint8_t *row = rgba ? rgba : rgb;
    for (uint32_t i = 0; i < height && interlaced; i++)
        reader->rows[i] = row + i * step;
    if (interlaced)
        png_read_image(reader->png, reader->rows);
    for (uint32_t i = 0; i < height; i++, row += step, rgb += (size_t)width * 3) {
        if (!interlaced)
            png_read_row(reader->png, row, NULL);
        if (rgba)
            decoder_over_white(row, rgb, width);
    }
}

static int read_picture(struct reader *reader)
{
    png_structp png = reader->png;
    png_infop info = reader->info;
    png_read_info(png, info);
    uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    bool interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    bool opaque = !(png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) && !png_get_valid(png, info, PNG_INFO_tRNS);
    set_transforms(png, info, opaque);
    size_t stride = (size_t)width * (opaque ? 3 : 4);
    if (png_get_rowbytes(png, info) != stride)
        return err_set(reader->err, BGD_DEVICE, "libpng makes rows of %zu bytes, expected %zu", png_get_rowbytes(png, info),
                       stride);
    reader->rgba = opaque ? NULL : malloc(interlaced ? stride * height : stride);
    reader->rows = interlaced ? malloc(height * sizeof *reader->rows) : NULL;
    if ((!opaque && !reader->rgba) || (interlaced && !reader->rows))
        return err_set(reader->err, BGD_MEMORY, "out of memory for %ux%u pixels", width, height);
    if (decoder_reserve(reader->image, width, height, reader->err))
        return reader->err->code;
    read_rows(reader, width, height, interlaced);
    png_read_end(png, info); /* the checksum of the last data, the end chunk, and an eXIf behind the data */
    reader->orientation = find_orientation(png, info);
    reader->image->full_width = width;
    reader->image->full_height = height;
    return 0;
}

static void set_limits(struct reader *reader)
{
    png_set_read_fn(reader->png, reader, on_read);
    png_set_user_limits(reader->png, BGD_IMAGE_SIDE_MAX, BGD_IMAGE_SIDE_MAX);
    png_set_chunk_cache_max(reader->png, CHUNKS_MAX);
    png_set_chunk_malloc_max(reader->png, CHUNK_BYTES_MAX);
    /* Text and profiles are not even inflated. */
    static const png_byte skipped[] = "iCCP\0iTXt\0tEXt\0zTXt";
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, skipped, 4);
}

/* The frame that longjmp returns to: it has no variable of its own that could be lost by it. */
static int run(struct reader *reader)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return reader->err->code;
    set_limits(reader);
    return read_picture(reader);
}

int decoder_png(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err)
{
    struct reader reader = {.in = in, .image = image, .orientation = 1, .err = err};
    if (check_header(in, err))
        return err->code;
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    if (reader.png)
        reader.info = png_create_info_struct(reader.png);
    if (!reader.info) {
        png_destroy_read_struct(&reader.png, NULL, NULL);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    int code = run(&reader);
    *orientation = reader.orientation;
    free(reader.rgba);
    free(reader.rows);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return code;
}
