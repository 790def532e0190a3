#include "pngfile.h"

#include "err.h"
#include "file.h"

#include <png.h>
#include <stdlib.h>

static int write_png(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height, png_uint_32 format,
                     struct bgd_err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = format};
    if (width == 0 || height == 0)
        return err_set(err, BGD_ARGUMENT, "%s: a PNG of %ux%u pixels", path, width, height);
    if ((uint64_t)width * height * 3 >= UINT32_MAX / 2) /* PNG_IMAGE_SIZE and what deflate may add, in 32 bits */
        return err_set(err, BGD_LIMIT, "%s: %ux%u pixels are too many for one PNG", path, width, height);
    int code = 0;
    size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *encoded = malloc(size);
    if (!encoded)
        code = err_set(err, BGD_MEMORY, "%s: out of memory for %zu bytes", path, size);
    else if (!png_image_write_to_memory(&image, encoded, &size, 0, pixels, 0, NULL))
        code = err_set(err, BGD_WRITE, "%s: libpng: %s", path, image.message);
    else
        code = file_write(path, encoded, size, err);
    free(encoded);
    return code;
}

int pngfile_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, struct bgd_err *err)
{
    return write_png(path, rgb, width, height, PNG_FORMAT_RGB, err);
}

int pngfile_write_grey(const char *path, const uint8_t *grey, uint32_t width, uint32_t height, struct bgd_err *err)
{
    return write_png(path, grey, width, height, PNG_FORMAT_GRAY, err);
}
