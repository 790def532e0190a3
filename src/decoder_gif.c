/*
 * GIF, its first frame (GIF89a specification, CompuServe 1990), written straight into image->rgb. What the frame leaves of
 * its canvas, and its transparent pixels, are white: no browser shows the background colour that the file may name.
 */
#include "bytes.h"
#include "decoder.h"
#include "err.h"

#include <string.h>

struct gif {
    struct bytes bytes;
    uint16_t width, height;                      /* the canvas */
    uint16_t frame_x, frame_y, frame_w, frame_h; /* the first frame on it */
    bool interlaced;
    const uint8_t *colours; /* RGB */
    uint32_t colour_count;
    int transparent; /* an index, or -1 */
};

static bool gif_colours(struct gif *g, uint8_t flags)
{
    if (!(flags & 0x80))
        return true;
    g->colour_count = 2u << (flags & 7);
    return bytes_take(&g->bytes, (uint64_t)g->colour_count * 3, &g->colours);
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

/* Of the extensions only the transparent colour matters: label 0xf9, then a block of flags, delay (2 bytes), index. */
static bool gif_extension(struct gif *g)
{
    uint8_t label;
    if (!bytes_u8(&g->bytes, &label))
        return false;
    struct bytes block = g->bytes;
    uint8_t size, flags, index;
    if (label == 0xf9 && bytes_u8(&block, &size) && size >= 4 && bytes_u8(&block, &flags) && bytes_skip(&block, 2) &&
        bytes_u8(&block, &index))
        g->transparent = flags & 1 ? index : -1;
    return gif_skip_blocks(&g->bytes);
}

/* Reads up to the LZW data of the first frame. */
static int gif_header(struct gif *g, struct bgd_err *err)
{
    struct bytes *bytes = &g->bytes;
    uint8_t flags, kind;
    if (!bytes_skip(bytes, 6) || !bytes_u16le(bytes, &g->width) || !bytes_u16le(bytes, &g->height) ||
        !bytes_u8(bytes, &flags) || !bytes_skip(bytes, 2) || !gif_colours(g, flags))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (decoder_check_size(g->width, g->height, err))
        return err->code;
    while (bytes_u8(bytes, &kind)) {
        if (kind == 0x21 && gif_extension(g))
            continue;
        if (kind == 0x21)
            break;
        if (kind != 0x2c)
            return err_set(err, BGD_DAMAGED, "block 0x%02x, expected the first frame", kind);
        if (!bytes_u16le(bytes, &g->frame_x) || !bytes_u16le(bytes, &g->frame_y) || !bytes_u16le(bytes, &g->frame_w) ||
            !bytes_u16le(bytes, &g->frame_h) || !bytes_u8(bytes, &flags) || !gif_colours(g, flags))
            break;
        g->interlaced = flags & 0x40;
        if (g->frame_w == 0 || g->frame_h == 0 || g->frame_x + g->frame_w > g->width || g->frame_y + g->frame_h > g->height)
            return err_set(err, BGD_DAMAGED, "a frame of %ux%u at %u, %u does not fit the canvas of %ux%u", g->frame_w,
                           g->frame_h, g->frame_x, g->frame_y, g->width, g->height);
        return g->colours ? 0 : err_set(err, BGD_DAMAGED, "there is no colour table");
    }
    return err_set(err, BGD_DAMAGED, "the data ends before the first frame");
}

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
        if (b->block_left == 0) {
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

/* Where the next index goes: rows 0, 8, 16, ..., then 4, 12, ..., then 2, 6, ..., then the odd ones, if interlaced. */
struct gif_cursor {
    uint32_t x, y, pass;
    uint64_t done; /* pixels */
};

static void gif_put(const struct gif *g, struct gif_cursor *at, uint8_t index, struct bgd_image *image)
{
    static const uint8_t first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    uint8_t rgba[4] = {0, 0, 0, index == g->transparent ? 0 : 255};
    if (index < g->colour_count)
        memcpy(rgba, g->colours + (size_t)index * 3, 3);
    decoder_put(image, g->frame_x + at->x, g->frame_y + at->y, rgba);
    at->done++;
    if (++at->x < g->frame_w)
        return;
    at->x = 0;
    at->y += g->interlaced ? step[at->pass] : 1;
    while (g->interlaced && at->y >= g->frame_h && at->pass < 3)
        at->y = first[++at->pass];
}

/* The string of each code, as the code that it extends and its last index. */
struct gif_table {
    uint16_t prefix[4096], length[4096];
    uint8_t first[4096], last[4096];
};

/* Writes the string of `code` until the frame is full. */
static void gif_put_string(const struct gif *g, const struct gif_table *t, uint32_t code, uint64_t pixels,
                           struct gif_cursor *at, struct bgd_image *image)
{
    uint8_t string[4096];
    uint32_t length = t->length[code];
    for (uint32_t i = length; i-- > 0; code = t->prefix[code])
        string[i] = t->last[code];
    for (uint32_t i = 0; i < length && at->done < pixels; i++)
        gif_put(g, at, string[i], image);
}

/* Returns the number of pixels that the data yields, at most the frame's. */
static uint64_t gif_pixels(struct gif *g, struct bgd_image *image)
{
    uint8_t root;
    if (!bytes_u8(&g->bytes, &root) || root < 1 || root > 8)
        return 0;
    struct gif_table t;
    const uint32_t clear = 1u << root, none = UINT32_MAX;
    uint32_t next = clear + 2, width = root + 1u, code, previous = none;
    const uint64_t pixels = (uint64_t)g->frame_w * g->frame_h;
    struct gif_bits bits = {.bytes = &g->bytes};
    struct gif_cursor at = {0};
    for (uint32_t i = 0; i < clear; i++) {
        t.length[i] = 1;
        t.first[i] = t.last[i] = (uint8_t)i;
        t.prefix[i] = 0;
    }
    while (at.done < pixels && gif_bits_read(&bits, width, &code)) {
        if (code == clear) {
            next = clear + 2;
            width = root + 1u;
            previous = none;
            continue;
        }
        if (code == clear + 1 || code > next || (code == next && previous == none))
            break;
        if (previous != none && next < 4096) { /* a full table stays as it is until the next clear */
            t.prefix[next] = (uint16_t)previous;
            t.length[next] = (uint16_t)(t.length[previous] + 1);
            t.first[next] = t.first[previous];
            t.last[next] = t.first[code == next ? previous : code];
            next++;
        }
        gif_put_string(g, &t, code, pixels, &at, image);
        previous = code;
        if (next == 1u << width && width < 12)
            width++;
    }
    return at.done;
}

int decoder_gif(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err)
{
    struct gif g = {.bytes = bytes_of(in->data, in->size), .transparent = -1};
    if (gif_header(&g, err) || decoder_reserve_full(image, g.width, g.height, err))
        return err->code;
    if (g.frame_w != g.width || g.frame_h != g.height)
        memset(image->rgb, 255, (size_t)g.width * g.height * 3);
    uint64_t found = gif_pixels(&g, image);
    return found < (uint64_t)g.frame_w * g.frame_h ? decoder_too_few(found, g.frame_w, g.frame_h, err) : 0;
}
