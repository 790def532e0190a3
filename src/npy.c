#include "npy.h"

#include "bytes.h"
#include "err.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "'<f4' is copied as it is: little-endian hosts only");

/* ---------------------------------------------------------------- the header: a Python dict of three keys */

static void skip_spaces(struct bytes *b)
{
    while (bytes_left(b) > 0 && (b->data[b->pos] == ' ' || b->data[b->pos] == '\n'))
        b->pos++;
}

/* Takes `text` if it comes next, after spaces. */
static bool accept(struct bytes *b, const char *text)
{
    size_t length = strlen(text);
    skip_spaces(b);
    if (bytes_left(b) < length || memcmp(b->data + b->pos, text, length) != 0)
        return false;
    b->pos += length;
    return true;
}

static bool accept_number(struct bytes *b, uint64_t *out)
{
    size_t start = b->pos;
    *out = 0;
    for (; bytes_left(b) > 0 && b->data[b->pos] >= '0' && b->data[b->pos] <= '9'; b->pos++)
        if (!checked_mul(*out, 10, out) || !checked_add(*out, (uint64_t)(b->data[b->pos] - '0'), out))
            return false;
    return b->pos > start;
}

/* "(2, 3)", "(2,)" or "()". */
static bool accept_shape(struct bytes *b, struct npy *npy)
{
    if (!accept(b, "("))
        return false;
    npy->ndim = 0;
    while (!accept(b, ")")) {
        if (npy->ndim == NPY_DIMS_MAX || !accept_number(b, &npy->dims[npy->ndim++]))
            return false;
        if (!accept(b, ","))
            return accept(b, ")");
    }
    return true;
}

/* Bytes up to the comma that ends a value, at most 24. */
static int value_length(const struct bytes *b)
{
    int length = 0;
    while (length < 24 && (size_t)length < bytes_left(b) && b->data[b->pos + (size_t)length] != ',')
        length++;
    return length;
}

static int parse_header(struct bytes *b, struct npy *npy, struct bgd_err *err)
{
    bool descr = false, order = false, shape = false;
    if (!accept(b, "{"))
        return err_set(err, BGD_DAMAGED, "the header is not a dict");
    while (!accept(b, "}")) {
        if (!descr && accept(b, "'descr':")) {
            descr = true;
            if (!accept(b, "'<f4'"))
                return err_set(err, BGD_UNSUPPORTED, "dtype %.*s, expected '<f4' (float32)", value_length(b),
                               (const char *)b->data + b->pos);
        } else if (!order && accept(b, "'fortran_order':")) {
            order = true;
            if (!accept(b, "False"))
                return err_set(err, BGD_UNSUPPORTED, "column-major order, expected 'fortran_order': False");
        } else if (!shape && accept(b, "'shape':")) {
            shape = true;
            if (!accept_shape(b, npy))
                return err_set(err, BGD_UNSUPPORTED, "the shape is not a tuple of at most %d sizes", NPY_DIMS_MAX);
        } else {
            return err_set(err, BGD_DAMAGED, "byte %zu of the header is no key that is expected", b->pos);
        }
        if (!accept(b, ",") && (b->pos == b->size || b->data[b->pos] != '}'))
            return err_set(err, BGD_DAMAGED, "byte %zu of the header: expected ',' or '}'", b->pos);
    }
    skip_spaces(b);
    if (!descr || !order || !shape || bytes_left(b) > 0)
        return err_set(err, BGD_DAMAGED, "the header lacks descr, fortran_order or shape, or goes on after its dict");
    return 0;
}

int npy_parse(const void *data, size_t size, struct npy *npy, struct bgd_err *err)
{
    *npy = (struct npy){0};
    struct bytes file = bytes_of(data, size);
    const uint8_t *magic, *header;
    uint8_t major = 0, minor;
    uint16_t short_length = 0;
    uint32_t length = 0;
    if (!bytes_take(&file, 6, &magic) || memcmp(magic, "\x93NUMPY", 6) != 0)
        return err_set(err, BGD_UNKNOWN, "not an .npy file");
    if (!bytes_u8(&file, &major) || !bytes_u8(&file, &minor) || major < 1 || major > 3)
        return err_set(err, BGD_UNSUPPORTED, "version %u of the format, expected 1 to 3", major);
    bool complete = major == 1 ? bytes_u16le(&file, &short_length) : bytes_u32le(&file, &length);
    if (!complete || !bytes_take(&file, major == 1 ? short_length : length, &header))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    struct bytes dict = bytes_of(header, major == 1 ? short_length : length);
    if (parse_header(&dict, npy, err))
        return err->code;
    uint64_t bytes = sizeof(float);
    for (uint32_t i = 0; i < npy->ndim; i++)
        if (!checked_mul(bytes, npy->dims[i], &bytes))
            return err_set(err, BGD_DAMAGED, "the shape has too many values to count");
    if (bytes != bytes_left(&file))
        return err_set(err, BGD_DAMAGED, "%zu bytes of data, the shape needs %llu", bytes_left(&file),
                       (unsigned long long)bytes);
    npy->values = malloc((size_t)bytes + 1); /* not 0 bytes */
    if (!npy->values)
        return err_set(err, BGD_MEMORY, "out of memory for %llu bytes", (unsigned long long)bytes);
    npy->count = bytes / sizeof(float);
    memcpy(npy->values, file.data + file.pos, (size_t)bytes);
    return 0;
}

int npy_read(const char *path, struct npy *npy, struct bgd_err *err)
{
    *npy = (struct npy){0};
    struct file_buffer buffer = {0};
    int code = file_read(path, (size_t)NPY_BYTES_MAX, &buffer, err);
    if (!code)
        code = npy_parse(buffer.data, buffer.size, npy, err);
    if (code)
        err_prefix(err, "%s: ", path);
    free(buffer.data);
    return code;
}

int npy_write(const char *path, uint32_t ndim, const uint64_t *dims, const float *values, struct bgd_err *err)
{
    char header[256];
    uint64_t count = 1;
    int used = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (uint32_t i = 0; i < ndim; i++) {
        used += snprintf(header + used, sizeof header - (size_t)used, "%llu%s", (unsigned long long)dims[i],
                         i + 1 < ndim ? ", "
                         : ndim == 1  ? ","
                                      : "");
        count *= dims[i];
    }
    used += snprintf(header + used, sizeof header - (size_t)used, "), }");
    size_t head = ((size_t)used + 10 + 1 + 63) / 64 * 64; /* magic, version and length before it, '\n' behind it */
    size_t size = head + (size_t)count * sizeof *values;
    uint8_t *file = malloc(size);
    if (!file)
        return err_set(err, BGD_MEMORY, "%s: out of memory for %zu bytes", path, size);
    memset(file, ' ', head);
    memcpy(file, "\x93NUMPY\x01", 8); /* with the NUL as the minor version */
    file[8] = (uint8_t)(head - 10);
    file[9] = (uint8_t)((head - 10) >> 8);
    memcpy(file + 10, header, (size_t)used);
    file[head - 1] = '\n';
    memcpy(file + head, values, (size_t)count * sizeof *values);
    int code = file_write(path, file, size, err);
    free(file);
    return code;
}

void npy_free(struct npy *npy)
{
    free(npy->values);
    *npy = (struct npy){0};
}
