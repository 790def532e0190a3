/*
 * GIF (first frame), BMP and TGA by stb_image.
 *
 * stb_image reads zeros past the end of its input and shows what it has, so a cut file would pass as a picture. What each
 * format's header promises is therefore checked against the bytes that are there before stb_image sees them.
 */
#include "bytes.h"
#include "decoder.h"
#include "err.h"

#include <stdlib.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_MAX_DIMENSIONS 16384
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

/* ------------------------------------------------------------ GIF */

/* Gathers bits, lowest first, from a chain of sub-blocks. */
struct gif_bits {
    struct bytes *bytes;
    uint32_t block_left;
    uint32_t bits, count;
};

/* False at the chain's end or the file's. */
static bool gif_bits_read(struct gif_bits *b, uint32_t width, uint32_t *code)
{
    while (b->count < width) {
        uint8_t byte;
        while (b->block_left == 0) {
            if (!bytes_u8(b->bytes, &byte) || byte == 0)
                return false;
            b->block_left = byte;
        }
        if (!bytes_u8(b->bytes, &byte))
            return false;
        b->block_left--;
        b->bits |= (uint32_t)byte << b->count;
        b->count += 8;
    }
    *code = b->bits & ((1u << width) - 1);
    b->bits >>= width;
    b->count -= width;
    return true;
}

/* The number of pixels that a frame's LZW data yields, up to `most`: lengths only, no pixel is written. */
static uint64_t gif_count_pixels(struct bytes *bytes, uint64_t most)
{
    uint8_t root;
    if (!bytes_u8(bytes, &root) || root < 1 || root > 8)
        return 0;
    uint16_t length[4096];
    const uint32_t clear = 1u << root;
    uint32_t next = clear + 2, width = root + 1u, code, previous = UINT32_MAX;
    uint64_t pixels = 0;
    struct gif_bits bits = {.bytes = bytes};
    for (uint32_t i = 0; i < clear; i++)
        length[i] = 1;
    while (pixels < most && gif_bits_read(&bits, width, &code)) {
        if (code == clear) {
            next = clear + 2;
            width = root + 1u;
            previous = UINT32_MAX;
            continue;
        }
        if (code == clear + 1 || code > next || (code == next && previous == UINT32_MAX))
            break;
        if (previous != UINT32_MAX && next < 4096)
            length[next++] = (uint16_t)(length[previous] + 1);
        else if (code == next)
            break;
        pixels += length[code];
        previous = code;
        if (next == 1u << width && width < 12)
            width++;
    }
    return pixels;
}

static bool gif_skip_blocks(struct bytes *bytes)
{
    uint8_t size;
    while (bytes_u8(bytes, &size)) {
        if (size == 0)
            return true;
        if (!bytes_skip(bytes, size))
            return false;
    }
    return false;
}

static bool gif_skip_table(struct bytes *bytes, uint8_t flags)
{
    return !(flags & 0x80) || bytes_skip(bytes, 3ull << ((flags & 7) + 1));
}

static int gif_check(const struct decoder_input *in, struct bgd_err *err)
{
    struct bytes bytes = bytes_of(in->data, in->size);
    uint16_t width, height, x, y, w, h;
    uint8_t flags, kind;
    if (!bytes_skip(&bytes, 6) || !bytes_u16le(&bytes, &width) || !bytes_u16le(&bytes, &height) ||
        !bytes_u8(&bytes, &flags) || !bytes_skip(&bytes, 2) || !gif_skip_table(&bytes, flags))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (decoder_check_size(width, height, err))
        return err->code;
    bool table = flags & 0x80;
    while (bytes_u8(&bytes, &kind)) {
        if (kind == 0x21) { /* an extension: a label, then sub-blocks */
            if (!bytes_skip(&bytes, 1) || !gif_skip_blocks(&bytes))
                break;
            continue;
        }
        if (kind != 0x2c)
            return err_set(err, BGD_DAMAGED, "block 0x%02x, expected the first frame", kind);
        if (!bytes_u16le(&bytes, &x) || !bytes_u16le(&bytes, &y) || !bytes_u16le(&bytes, &w) || !bytes_u16le(&bytes, &h) ||
            !bytes_u8(&bytes, &flags) || !gif_skip_table(&bytes, flags))
            break;
        if (w == 0 || h == 0 || x + w > width || y + h > height)
            return err_set(err, BGD_DAMAGED, "a frame of %ux%u at %u, %u does not fit the canvas of %ux%u", w, h, x, y, width,
                           height);
        if (!table && !(flags & 0x80))
            return err_set(err, BGD_DAMAGED, "there is no colour table");
        uint64_t expected = (uint64_t)w * h, found = gif_count_pixels(&bytes, expected);
        if (found < expected)
            return err_set(err, BGD_DAMAGED, "the data ends after %llu of %llu pixels", (unsigned long long)found,
                           (unsigned long long)expected);
        return 0;
    }
    return err_set(err, BGD_DAMAGED, "the data ends before the first frame");
}

/* ------------------------------------------------------------ BMP */

static int bmp_check(const struct decoder_input *in, struct bgd_err *err)
{
    struct bytes bytes = bytes_of(in->data, in->size);
    uint32_t offset, header, width, height, compression = 0;
    uint16_t planes, bits;
    if (!bytes_seek(&bytes, 10) || !bytes_u32le(&bytes, &offset) || !bytes_u32le(&bytes, &header))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (header == 12) {
        uint16_t w = 0, h = 0;
        if (!bytes_u16le(&bytes, &w) || !bytes_u16le(&bytes, &h))
            return err_set(err, BGD_DAMAGED, "the header is cut short");
        width = w;
        height = h;
    } else if (header == 40 || header == 56 || header == 108 || header == 124) {
        if (!bytes_u32le(&bytes, &width) || !bytes_u32le(&bytes, &height))
            return err_set(err, BGD_DAMAGED, "the header is cut short");
    } else {
        return err_set(err, BGD_UNSUPPORTED, "a header of %u bytes, expected 12, 40, 56, 108 or 124", header);
    }
    if (!bytes_u16le(&bytes, &planes) || !bytes_u16le(&bytes, &bits) || (header != 12 && !bytes_u32le(&bytes, &compression)))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (height > INT32_MAX) /* negative: rows from the top */
        height = 0u - height;
    if (decoder_check_size(width, height, err))
        return err->code;
    if (compression != 0 && compression != 3)
        return err_set(err, BGD_UNSUPPORTED, "compression %u, expected 0 (none) or 3 (bit fields)", compression);
    if (planes != 1 || (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32))
        return err_set(err, BGD_DAMAGED, "%u planes of %u bits, expected 1 of 1, 4, 8, 16, 24 or 32", planes, bits);
    uint64_t row = ((uint64_t)width * bits + 31) / 32 * 4, needed = row * height;
    if (offset < 14 + header || offset > in->size || needed > in->size - offset)
        return err_set(err, BGD_DAMAGED, "%zu bytes, its header needs %llu from byte %u on", in->size,
                       (unsigned long long)needed, offset);
    return 0;
}

/* ------------------------------------------------------------ TGA */

struct tga {
    uint8_t id_size, map_type, type, map_bits, bits, flags;
    uint16_t map_first, map_count, width, height;
};

static bool tga_header(struct bytes *bytes, struct tga *t)
{
    uint16_t x, y;
    return bytes_u8(bytes, &t->id_size) && bytes_u8(bytes, &t->map_type) && bytes_u8(bytes, &t->type) &&
           bytes_u16le(bytes, &t->map_first) && bytes_u16le(bytes, &t->map_count) && bytes_u8(bytes, &t->map_bits) &&
           bytes_u16le(bytes, &x) && bytes_u16le(bytes, &y) && bytes_u16le(bytes, &t->width) &&
           bytes_u16le(bytes, &t->height) && bytes_u8(bytes, &t->bits) && bytes_u8(bytes, &t->flags);
}

bool decoder_is_tga(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    struct tga t;
    if (!tga_header(&bytes, &t) || t.width == 0 || t.height == 0 || (t.flags & 0xc0))
        return false;
    bool mapped = t.type == 1 || t.type == 9;
    if (mapped)
        return t.map_type == 1 && t.bits == 8 && t.map_first == 0 && t.map_count > 0 && t.map_count <= 256 &&
               (t.map_bits == 15 || t.map_bits == 16 || t.map_bits == 24 || t.map_bits == 32);
    if (t.map_type != 0 || t.map_count != 0)
        return false;
    if (t.type == 2 || t.type == 10)
        return t.bits == 15 || t.bits == 16 || t.bits == 24 || t.bits == 32;
    return (t.type == 3 || t.type == 11) && (t.bits == 8 || t.bits == 16);
}

/* The pixels of run-length packets, up to `most`. */
static uint64_t tga_count_pixels(struct bytes *bytes, uint32_t pixel_bytes, uint64_t most)
{
    uint64_t pixels = 0;
    uint8_t head;
    while (pixels < most && bytes_u8(bytes, &head)) {
        uint32_t count = (head & 0x7fu) + 1;
        if (!bytes_skip(bytes, head & 0x80 ? pixel_bytes : (uint64_t)count * pixel_bytes))
            break;
        pixels += count;
    }
    return pixels;
}

static int tga_check(const struct decoder_input *in, struct bgd_err *err)
{
    struct bytes bytes = bytes_of(in->data, in->size);
    struct tga t;
    if (!tga_header(&bytes, &t))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (decoder_check_size(t.width, t.height, err))
        return err->code;
    uint32_t pixel_bytes = (t.bits + 7u) / 8;
    uint64_t expected = (uint64_t)t.width * t.height, found = 0;
    if (bytes_skip(&bytes, t.id_size) && bytes_skip(&bytes, (uint64_t)t.map_count * ((t.map_bits + 7u) / 8)))
        found = t.type >= 9 ? tga_count_pixels(&bytes, pixel_bytes, expected) : bytes_left(&bytes) / pixel_bytes;
    if (found < expected)
        return err_set(err, BGD_DAMAGED, "the data ends after %llu of %llu pixels", (unsigned long long)found,
                       (unsigned long long)expected);
    return 0;
}

/* ------------------------------------------------------------ all three */

int decoder_stb(const struct decoder_input *in, enum bgd_format format, struct bgd_image *image, struct bgd_err *err)
{
    int code = format == BGD_GIF ? gif_check(in, err) : format == BGD_BMP ? bmp_check(in, err) : tga_check(in, err);
    if (code)
        return code;
    int width, height, channels;
    uint8_t *rgba = stbi_load_from_memory(in->data, (int)in->size, &width, &height, &channels, 4);
    if (!rgba)
        return err_set(err, BGD_DAMAGED, "%s", stbi_failure_reason());
    image->full_width = (uint32_t)width;
    image->full_height = (uint32_t)height;
    code = decoder_reserve(image, (uint32_t)width, (uint32_t)height, err);
    for (uint32_t i = 0; i < (uint32_t)height && !code; i++)
        decoder_over_white(rgba + (size_t)i * (size_t)width * 4, image->rgb + (size_t)i * (size_t)width * 3, (uint32_t)width);
    stbi_image_free(rgba);
    return code;
}
