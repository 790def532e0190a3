#include "pngfile.h"

#include "err.h"
#include "file.h"

#include <png.h>
#include <stdlib.h>

static int encode(const uint8_t *pixels, png_uint_32 format, uint32_t width, uint32_t height, uint8_t **png, size_t *size,
                  struct bgd_err *err)
{
    *png = NULL;
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = format};
    if (width == 0 || height == 0)
        return err_set(err, BGD_ARGUMENT, "a PNG of %ux%u pixels", width, height);
    if ((uint64_t)width * height * 3 >= UINT32_MAX / 2) /* PNG_IMAGE_SIZE and what deflate may add, in 32 bits */
        return err_set(err, BGD_LIMIT, "%ux%u pixels are too many for one PNG", width, height);
    *size = PNG_IMAGE_PNG_SIZE_MAX(image);
    *png = malloc(*size);
    if (!*png)
        return err_set(err, BGD_MEMORY, "out of memory for %zu bytes", *size);
    if (png_image_write_to_memory(&image, *png, size, 0, pixels, 0, NULL))
        return 0;
    free(*png);
    *png = NULL;
    return err_set(err, BGD_WRITE, "libpng: %s", image.message);
}

static int write_png(const char *path, const uint8_t *pixels, png_uint_32 format, uint32_t width, uint32_t height,
                     struct bgd_err *err)
{
    uint8_t *png;
    size_t size;
    if (encode(pixels, format, width, height, &png, &size, err))
        return err_prefix(err, "%s: ", path);
    int code = file_write(path, png, size, err);
    free(png);
    return code;
}

int pngfile_encode(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **png, size_t *size, struct bgd_err *err)
{
    return encode(rgb, PNG_FORMAT_RGB, width, height, png, size, err);
}

int pngfile_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, struct bgd_err *err)
{
    return write_png(path, rgb, PNG_FORMAT_RGB, width, height, err);
}

int pngfile_write_grey(const char *path, const uint8_t *grey, uint32_t width, uint32_t height, struct bgd_err *err)
{
    return write_png(path, grey, PNG_FORMAT_GRAY, width, height, err);
}
