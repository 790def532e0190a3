#include "decoder.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

const char *bgd_format_name(enum bgd_format format)
{
    static const char *const names[] = {"none", "jpeg", "png", "webp", "gif", "bmp", "tga"};
    return (size_t)format < sizeof names / sizeof names[0] ? names[format] : "none";
}

static bool starts_with(const struct decoder_input *in, size_t at, const char *magic, size_t size)
{
    return in->size >= at + size && memcmp(in->data + at, magic, size) == 0;
}

static enum bgd_format tell_format(const struct decoder_input *in)
{
    if (starts_with(in, 0, "\xff\xd8\xff", 3))
        return BGD_JPEG;
    if (starts_with(in, 0, "\x89PNG\r\n\x1a\n", 8))
        return BGD_PNG;
    if (starts_with(in, 0, "RIFF", 4) && starts_with(in, 8, "WEBP", 4))
        return BGD_WEBP;
    if (starts_with(in, 0, "GIF87a", 6) || starts_with(in, 0, "GIF89a", 6))
        return BGD_GIF;
    if (starts_with(in, 0, "BM", 2))
        return BGD_BMP;
    return decoder_is_tga(in->data, in->size) ? BGD_TGA : BGD_FORMAT_NONE;
}

int decoder_check_size(uint64_t width, uint64_t height, struct bgd_err *err)
{
    if (width == 0 || height == 0)
        return err_set(err, BGD_DAMAGED, "%llux%llu pixels, expected at least 1x1", (unsigned long long)width,
                       (unsigned long long)height);
    if (width > BGD_IMAGE_SIDE_MAX || height > BGD_IMAGE_SIDE_MAX || width * height > BGD_IMAGE_PIXELS_MAX)
        return err_set(err, BGD_LIMIT, "%llux%llu pixels, at most %u a side and %u in all are read", (unsigned long long)width,
                       (unsigned long long)height, BGD_IMAGE_SIDE_MAX, BGD_IMAGE_PIXELS_MAX);
    return 0;
}

int decoder_reserve(struct bgd_image *image, uint32_t width, uint32_t height, struct bgd_err *err)
{
    size_t needed = (size_t)width * height * 3;
    if (needed > image->capacity) {
        if (!image->borrowed)
            free(image->rgb); /* nothing in it is worth copying */
        image->borrowed = false;
        image->capacity = 0;
        image->rgb = malloc(needed);
        if (!image->rgb)
            return err_set(err, BGD_MEMORY, "out of memory for %ux%u pixels", width, height);
        image->capacity = needed;
    }
    image->width = width;
    image->height = height;
    return 0;
}

uint32_t decoder_reduction(const struct decoder_input *in, uint32_t width, uint32_t height, uint32_t orientation)
{
    uint32_t min_width = orientation >= 5 ? in->min_height : in->min_width;
    uint32_t min_height = orientation >= 5 ? in->min_width : in->min_height;
    if (min_width == 0 || min_height == 0)
        return 1;
    for (uint32_t by = 8; by > 1; by /= 2) /* the reduced size rounds up, as libjpeg's does */
        if ((width + by - 1) / by >= min_width && (height + by - 1) / by >= min_height)
            return by;
    return 1;
}

void decoder_over_white(const uint8_t *rgba, uint8_t *rgb, uint32_t pixels)
{
    for (uint32_t i = 0; i < pixels; i++, rgba += 4, rgb += 3) {
        memcpy(rgb, rgba, 3);
        for (int c = 0; c < 3 && rgba[3] != 255; c++) {
            uint32_t sum = (uint32_t)rgba[c] * rgba[3] + 255u * (255u - rgba[3]) + 128;
            rgb[c] = (uint8_t)((sum + (sum >> 8)) >> 8); /* sum / 255, rounded */
        }
    }
}

int decoder_reserve_full(struct bgd_image *image, uint32_t width, uint32_t height, struct bgd_err *err)
{
    image->full_width = width;
    image->full_height = height;
    return decoder_reserve(image, width, height, err);
}

void decoder_put(struct bgd_image *image, uint32_t x, uint32_t y, const uint8_t rgba[4])
{
    decoder_over_white(rgba, image->rgb + ((size_t)y * image->width + x) * 3, 1);
}

int decoder_too_few(uint64_t found, uint32_t width, uint32_t height, struct bgd_err *err)
{
    return err_set(err, BGD_DAMAGED, "the data ends after %llu of %llu pixels", (unsigned long long)found,
                   (unsigned long long)width * height);
}

bool decoder_mirrors_x(uint32_t orientation)
{
    return orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
}

bool decoder_mirrors_y(uint32_t orientation)
{
    return orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
}

/*
 * Turns the stored picture upright. EXIF's orientation says where the stored row 0 and column 0 belong: 2, 3, 4 mirror the
 * columns, both, the rows; 5, 6, 7, 8 exchange rows and columns after mirroring nothing, the rows, both, the columns.
 */
static int turn_upright(struct bgd_image *image, uint32_t orientation, struct bgd_err *err)
{
    if (orientation <= 1)
        return 0;
    bool exchanged = orientation >= 5;
    bool flip_x = decoder_mirrors_x(orientation), flip_y = decoder_mirrors_y(orientation);
    uint32_t width = exchanged ? image->height : image->width, height = exchanged ? image->width : image->height;
    uint8_t *turned = malloc((size_t)width * height * 3), *out = turned;
    if (!turned)
        return err_set(err, BGD_MEMORY, "out of memory for %ux%u pixels", width, height);
    for (uint32_t i = 0; i < height; i++)
        for (uint32_t j = 0; j < width; j++, out += 3) {
            uint32_t x = exchanged ? i : j, y = exchanged ? j : i;
            x = flip_x ? image->width - 1 - x : x;
            y = flip_y ? image->height - 1 - y : y;
            memcpy(out, image->rgb + ((size_t)y * image->width + x) * 3, 3);
        }
    memcpy(image->rgb, turned, (size_t)width * height * 3);
    free(turned);
    image->width = width;
    image->height = height;
    if (exchanged) {
        uint32_t full = image->full_width;
        image->full_width = image->full_height;
        image->full_height = full;
    }
    return 0;
}

static int decode(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err)
{
    uint32_t orientation = 1;
    int code;
    if (in->size == 0)
        return err_set(err, BGD_DAMAGED, "the file is empty");
    if (in->size > BGD_IMAGE_BYTES_MAX)
        return err_set(err, BGD_LIMIT, "%zu bytes, at most %u are read", in->size, BGD_IMAGE_BYTES_MAX);
    switch (image->format = tell_format(in)) {
    case BGD_JPEG: code = decoder_jpeg(in, image, &orientation, err); break;
    case BGD_WEBP: code = decoder_webp(in, image, &orientation, err); break;
    case BGD_PNG: code = decoder_png(in, image, &orientation, err); break;
    case BGD_GIF: code = decoder_gif(in, image, err); break;
    case BGD_BMP: code = decoder_bmp(in, image, err); break;
    case BGD_TGA: code = decoder_tga(in, image, err); break;
    case BGD_FORMAT_NONE:
    default: return err_set(err, BGD_UNKNOWN, "not a JPEG, PNG, WebP, GIF, BMP or TGA picture (%zu bytes)", in->size);
    }
    return code ? err_prefix(err, "%s: ", bgd_format_name(image->format)) : turn_upright(image, orientation, err);
}

int bgd_image_decode(const void *data, size_t size, uint32_t min_width, uint32_t min_height, struct bgd_image *image,
                     struct bgd_err *err)
{
    const struct decoder_input in = {data, size, min_width, min_height};
    int code = decode(&in, image, err);
    if (code) {
        image->width = image->height = image->full_width = image->full_height = 0;
        image->format = BGD_FORMAT_NONE;
    }
    return code;
}

void bgd_image_free(struct bgd_image *image)
{
    if (!image->borrowed)
        free(image->rgb);
    *image = (struct bgd_image){0};
}
