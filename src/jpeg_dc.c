#include "jpeg_dc.h"

#include "bgdet.h"
#include "bytes.h"
#include "jpeg_mean.h"
#include "jpeg_scan.h"

#include <stdlib.h>

#ifndef LIBJPEG_TURBO_VERSION
#error "libjpeg-turbo's pictures are what this reader gives; IJG's own library has others at 1/8"
#endif

enum marker { DHT = 0xc4, EOI = 0xd9, SOS = 0xda, DRI = 0xdd, APP0 = 0xe0, APP15 = 0xef, COM = 0xfe };

struct component {
    uint32_t h, v;          /* its blocks in a unit of several components */
    uint32_t columns, rows; /* of blocks that show something */
    struct jpeg_scan_target target;
    int8_t missing[64]; /* bits of each coefficient (zigzag order) that are still to come; -1: none has come */
};

/* The marker segment of a scan. */
struct selection {
    uint32_t n;
    struct {
        uint32_t index, dc_table, ac_table;
    } components[3];
    uint32_t from, to, high, low; /* T.81's Ss, Se, Ah, Al */
};

struct reader {
    const struct jpeg_decompress_struct *info;
    struct jpeg_dc *dc;
    struct bytes in;
    struct component components[3];
    uint32_t restart; /* units between two restart markers, 0: there are none */
    struct jpeg_codes dc_codes[4], ac_codes[4];
    /* What is made of them when a scan needs it: dc[i] of dc_codes[i]. */
    struct jpeg_huffman dc_tables[4], ac_tables[4];
    struct jpeg_skips skips[4];
    bool dc_built[4], ac_built[4], skips_built[4];
};

/* ---------------------------------------------------------------- the frame */

/* From the tables of the header's markers, or none. */
static struct jpeg_codes codes_of(const JHUFF_TBL *table)
{
    struct jpeg_codes codes = {.present = table != NULL};
    if (table) {
        memcpy(codes.counts + 1, table->bits + 1, 16);
        memcpy(codes.values, table->huffval, sizeof codes.values);
    }
    return codes;
}

static bool open_component(struct reader *r, uint32_t i)
{
    static const uint32_t used[] = {0, 1, 3, 5, 7};
    const struct jpeg_decompress_struct *info = r->info;
    const jpeg_component_info *from = &info->comp_info[i];
    struct component *c = &r->components[i];
    struct jpeg_dc_plane *plane = &r->dc->planes[i];
    const JQUANT_TBL *steps =
        from->quant_tbl_no >= 0 && from->quant_tbl_no < NUM_QUANT_TBLS ? info->quant_tbl_ptrs[from->quant_tbl_no] : NULL;
    if (!steps || info->max_h_samp_factor % from->h_samp_factor || info->max_v_samp_factor % from->v_samp_factor)
        return false;
    uint32_t across = (uint32_t)(info->max_h_samp_factor / from->h_samp_factor);
    uint32_t down = (uint32_t)(info->max_v_samp_factor / from->v_samp_factor);
    if (across > 2 || down > 2)
        return false;
    for (int k = 0; k < DCTSIZE2; k++)
        if (steps->quantval[k] > INT16_MAX)
            return false;
    c->h = (uint32_t)from->h_samp_factor;
    c->v = (uint32_t)from->v_samp_factor;
    c->columns = from->width_in_blocks;
    c->rows = from->height_in_blocks;
    memset(c->missing, -1, sizeof c->missing);
    uint32_t units_across =
        (info->image_width + 8u * (uint32_t)info->max_h_samp_factor - 1) / (8u * (uint32_t)info->max_h_samp_factor);
    uint32_t units_down =
        (info->image_height + 8u * (uint32_t)info->max_v_samp_factor - 1) / (8u * (uint32_t)info->max_v_samp_factor);
    plane->side = across == 2 && down == 2 ? 2 : 1; /* libjpeg enlarges by its transform if it can on both sides */
    plane->across = across / plane->side;
    plane->down = down / plane->side;
    plane->columns = units_across * c->h;
    plane->rows = units_down * c->v;
    plane->step = steps->quantval[0];
    c->target = (struct jpeg_scan_target){.columns = plane->columns};
    for (uint32_t k = 0; k < JPEG_MEAN_UNUSED; k++)
        c->target.steps[k] = steps->quantval[used[k / 5] * 8 + used[k % 5]];
    return true;
}

/* The next `size` bytes of `memory`; NULL if they are only counted. */
static void *carve(uint8_t *memory, size_t *used, size_t size)
{
    void *piece = memory ? memory + *used : NULL;
    *used += size;
    return piece;
}

/*
 * The arrays of all components, those that must be zeros first (*zeros bytes of *total). In one piece, since malloc gives several
 * of this size back to the system after every picture, and to get them again costs more than some of the scans.
 */
static void divide(struct reader *r, uint8_t *memory, size_t *zeros, size_t *total)
{
    *total = 0;
    for (int pass = 0; pass < 4; pass++) { /* from wide entries to narrow ones, but for those that are zeros */
        if (pass == 2)
            *zeros = *total;
        for (uint32_t i = 0; i < r->dc->n_planes; i++) {
            struct jpeg_dc_plane *plane = &r->dc->planes[i];
            struct jpeg_scan_target *t = &r->components[i].target;
            size_t blocks = (size_t)plane->columns * plane->rows;
            bool quarters = plane->side == 2, kept = quarters && r->info->progressive_mode;
            if (pass == 0 && kept)
                t->present = carve(memory, total, blocks * sizeof *t->present);
            if (pass == 1)
                t->dc = plane->dc = carve(memory, total, blocks * sizeof *t->dc);
            if (pass == 2 && kept)
                t->values = carve(memory, total, blocks * sizeof *t->values);
            if (pass == 3 && quarters)
                t->quarters = plane->quarters = carve(memory, total, blocks * sizeof *t->quarters);
        }
    }
}

static bool open_memory(struct reader *r)
{
    size_t zeros, total;
    divide(r, NULL, &zeros, &total);
    if (!(r->dc->memory = malloc(total)))
        return false;
    divide(r, r->dc->memory, &zeros, &total);
    memset(r->dc->memory, 0, zeros);
    return true;
}

static bool open_frame(struct reader *r)
{
    const struct jpeg_decompress_struct *info = r->info;
    bool grey = info->jpeg_color_space == JCS_GRAYSCALE && info->num_components == 1;
    bool colours = info->jpeg_color_space == JCS_YCbCr && info->num_components == 3;
    if (info->arith_code || info->data_precision != 8 || (!grey && !colours) || info->CCIR601_sampling)
        return false;
    r->dc->width = (info->image_width + 7) / 8;
    r->dc->height = (info->image_height + 7) / 8;
    r->dc->n_planes = (uint32_t)info->num_components;
    r->restart = info->restart_interval;
    for (uint32_t i = 0; i < 4; i++) {
        r->dc_codes[i] = codes_of(info->dc_huff_tbl_ptrs[i]);
        r->ac_codes[i] = codes_of(info->ac_huff_tbl_ptrs[i]);
    }
    for (uint32_t i = 0; i < r->dc->n_planes; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (info->comp_info[i].component_id == info->comp_info[k].component_id)
                return false;
        if (!open_component(r, i))
            return false;
    }
    const struct jpeg_dc_plane *light = &r->dc->planes[0];
    return light->across == 1 && light->down == 1 && light->side == 1 && open_memory(r);
}

/* ---------------------------------------------------------------- tables */

static const struct jpeg_huffman *table_of(const struct jpeg_codes *codes, struct jpeg_huffman *table, bool *built, bool dc)
{
    if (!*built) {
        if (!jpeg_codes_valid(codes, dc))
            return NULL;
        jpeg_huffman_build(codes, table);
        *built = true;
    }
    return table;
}

static const struct jpeg_huffman *dc_table(struct reader *r, uint32_t i)
{
    return table_of(&r->dc_codes[i], &r->dc_tables[i], &r->dc_built[i], true);
}

static const struct jpeg_huffman *ac_table(struct reader *r, uint32_t i)
{
    return table_of(&r->ac_codes[i], &r->ac_tables[i], &r->ac_built[i], false);
}

static const struct jpeg_skips *skips_table(struct reader *r, uint32_t i) /* of valid codes */
{
    if (!r->skips_built[i])
        jpeg_skips_build(&r->ac_codes[i], &r->skips[i]);
    r->skips_built[i] = true;
    return &r->skips[i];
}

/* ---------------------------------------------------------------- scans */

/* Whether the scan's bits are the next ones of its coefficients, and what is then still to come. */
static bool follows(struct reader *r, const struct selection *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        int8_t *missing = r->components[s->components[i].index].missing;
        if (s->from > 0 && missing[0] < 0)
            return false;
        for (uint32_t k = s->from; k <= s->to; k++) {
            if (s->high ? missing[k] != (int8_t)s->high : missing[k] != -1)
                return false;
            missing[k] = (int8_t)s->low;
        }
    }
    return true;
}

static bool is_valid(const struct reader *r, const struct selection *s)
{
    if (!r->info->progressive_mode)
        return s->from == 0 && s->to == 63 && s->high == 0 && s->low == 0;
    if (s->low > 13 || (s->high > 0 && s->high != s->low + 1))
        return false;
    return s->from == 0 ? s->to == 0 : s->n == 1 && s->from <= s->to && s->to <= 63;
}

static enum jpeg_scan_kind kind_of(const struct reader *r, const struct selection *s)
{
    if (!r->info->progressive_mode)
        return JPEG_BASELINE;
    if (s->from == 0)
        return s->high ? JPEG_DC_REFINE : JPEG_DC_FIRST;
    return s->high ? JPEG_AC_REFINE : JPEG_AC_FIRST;
}

static bool read_scan(struct reader *r, const struct selection *s)
{
    if (!is_valid(r, s) || !follows(r, s))
        return false;
    struct jpeg_scan scan = {
        .kind = kind_of(r, s), .n = s->n, .from = s->from, .to = s->to, .low = s->low, .restart = r->restart};
    bool baseline = scan.kind == JPEG_BASELINE, alone = s->n == 1;
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t dc = s->components[i].dc_table, ac = s->components[i].ac_table;
        const struct component *c = &r->components[s->components[i].index];
        struct jpeg_scan_part *part = &scan.parts[i];
        *part = (struct jpeg_scan_part){.target = &c->target, .across = alone ? 1 : c->h, .down = alone ? 1 : c->v};
        blocks += part->across * part->down;
        if ((baseline || scan.kind == JPEG_DC_FIRST) && (dc > 3 || !(part->dc = dc_table(r, dc))))
            return false;
        if ((baseline || s->from > 0) && (ac > 3 || !(part->ac = ac_table(r, ac))))
            return false;
        if (baseline && !c->target.quarters)
            part->skips = skips_table(r, ac);
    }
    const struct component *first = &r->components[s->components[0].index];
    scan.columns = alone ? first->columns : first->target.columns / first->h;
    scan.rows = alone ? first->rows : r->dc->planes[s->components[0].index].rows / first->v;
    if (blocks > JPEG_SCAN_BLOCKS)
        return false;
    return s->from > 0 && !first->target.values ? jpeg_scan_step_over(&scan, &r->in) : jpeg_scan_read(&scan, &r->in);
}

/* ---------------------------------------------------------------- markers */

/* The header's scan: libjpeg has read its marker segment. */
static bool first_scan(const struct reader *r, struct selection *scan)
{
    const struct jpeg_decompress_struct *info = r->info;
    *scan = (struct selection){.n = (uint32_t)info->comps_in_scan,
                               .from = (uint32_t)info->Ss,
                               .to = (uint32_t)info->Se,
                               .high = (uint32_t)info->Ah,
                               .low = (uint32_t)info->Al};
    if (scan->n < 1 || scan->n > r->dc->n_planes)
        return false;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < scan->n; i++) {
        const jpeg_component_info *c = info->cur_comp_info[i];
        scan->components[i].index = (uint32_t)c->component_index;
        scan->components[i].dc_table = (uint32_t)c->dc_tbl_no;
        scan->components[i].ac_table = (uint32_t)c->ac_tbl_no;
        if (seen & 1u << c->component_index)
            return false;
        seen |= 1u << c->component_index;
    }
    return true;
}

static bool next_scan(const struct reader *r, struct bytes *segment, struct selection *scan)
{
    uint8_t n, id, tables, from, to, bits;
    if (!bytes_u8(segment, &n) || n < 1 || n > r->dc->n_planes)
        return false;
    scan->n = n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = 0;
        if (!bytes_u8(segment, &id) || !bytes_u8(segment, &tables))
            return false;
        while (index < r->dc->n_planes && r->info->comp_info[index].component_id != id)
            index++;
        if (index == r->dc->n_planes || (i > 0 && index <= scan->components[i - 1].index))
            return false; /* they stand as in the frame: T.81, B.2.3 */
        scan->components[i].index = index;
        scan->components[i].dc_table = tables >> 4;
        scan->components[i].ac_table = tables & 15;
    }
    if (!bytes_u8(segment, &from) || !bytes_u8(segment, &to) || !bytes_u8(segment, &bits) || bytes_left(segment) > 0)
        return false;
    scan->from = from;
    scan->to = to;
    scan->high = bits >> 4;
    scan->low = bits & 15;
    return true;
}

static bool read_tables(struct reader *r, struct bytes *segment)
{
    while (bytes_left(segment) > 0) {
        struct jpeg_codes codes = {.present = true};
        const uint8_t *counts, *values;
        uint32_t n = 0;
        uint8_t place;
        if (!bytes_u8(segment, &place) || (place & ~16) > 3 || !bytes_take(segment, 16, &counts))
            return false;
        memcpy(codes.counts + 1, counts, 16);
        for (uint32_t i = 1; i <= 16; i++)
            n += codes.counts[i];
        if (n > 256 || !bytes_take(segment, n, &values))
            return false;
        memcpy(codes.values, values, n);
        if (place & 16) {
            r->ac_codes[place & 3] = codes;
            r->ac_built[place & 3] = r->skips_built[place & 3] = false;
        } else {
            r->dc_codes[place & 3] = codes;
            r->dc_built[place & 3] = false;
        }
    }
    return true;
}

static bool is_complete(const struct reader *r)
{
    for (uint32_t i = 0; i < r->dc->n_planes; i++)
        for (uint32_t k = 0; k < 64; k++)
            if (r->components[i].missing[k] != 0)
                return false;
    return true;
}

/* From behind a scan to the start of the next one's data (*marker: SOS), or to the end. */
static bool read_markers(struct reader *r, uint8_t *marker, struct selection *scan)
{
    for (;;) {
        uint16_t length, restart;
        uint8_t byte;
        if (!bytes_u8(&r->in, &byte) || byte != 0xff)
            return false;
        do {
            if (!bytes_u8(&r->in, marker))
                return false;
        } while (*marker == 0xff); /* any number may stand before a marker */
        if (*marker == EOI)
            return true;
        const uint8_t *data;
        if (!bytes_u16be(&r->in, &length) || length < 2 || !bytes_take(&r->in, length - 2u, &data))
            return false;
        struct bytes segment = bytes_of(data, length - 2u);
        if (*marker == SOS)
            return next_scan(r, &segment, scan);
        if (*marker == DHT) {
            if (!read_tables(r, &segment))
                return false;
        } else if (*marker == DRI) {
            if (!bytes_u16be(&segment, &restart) || bytes_left(&segment) > 0)
                return false;
            r->restart = restart;
        } else if (*marker != COM && (*marker < APP0 || *marker > APP15)) {
            return false;
        }
    }
}

static bool read_scans(struct reader *r)
{
    struct selection scan;
    uint8_t marker;
    if (!first_scan(r, &scan))
        return false;
    for (uint32_t scans = 1; scans <= BGD_IMAGE_SCANS_MAX; scans++) {
        if (!read_scan(r, &scan))
            return false;
        if (!r->info->progressive_mode && scans == 1 && scan.n == r->dc->n_planes)
            return true; /* libjpeg looks no further, either */
        if (!read_markers(r, &marker, &scan))
            return false;
        if (marker == EOI)
            return is_complete(r);
    }
    return false;
}

/* The quarters of a progressive file's component, when all its coefficients are there. */
static bool finish_component(const struct component *c)
{
    const struct jpeg_scan_target *t = &c->target;
    for (uint32_t y = 0; y < c->rows; y++)
        for (uint32_t x = 0; x < c->columns; x++) {
            size_t at = (size_t)y * t->columns + x;
            struct jpeg_mean_sums sums = {0};
            if (t->present[at] == 0) {
                if (!jpeg_mean_plain(t->dc[at] * t->steps[0], t->quarters[at]))
                    return false;
                continue;
            }
            for (uint64_t left = t->present[at]; left; left &= left - 1) {
                uint32_t place = jpeg_mean_place[__builtin_ctzll(left)];
                if (!jpeg_mean_add(&sums, place, t->values[at][place], t->steps[place]))
                    return false;
            }
            if (!jpeg_mean_add(&sums, 0, t->dc[at], t->steps[0]) || !jpeg_mean_quarters(&sums, t->quarters[at]))
                return false;
        }
    return true;
}

static bool read_all(struct reader *r)
{
    if (!open_frame(r) || !read_scans(r))
        return false;
    for (uint32_t i = 0; i < r->dc->n_planes; i++)
        if (r->components[i].target.values && !finish_component(&r->components[i]))
            return false;
    return true;
}

bool jpeg_dc_read(const struct jpeg_decompress_struct *info, struct jpeg_dc *dc)
{
    *dc = (struct jpeg_dc){0};
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return false;
    r->info = info;
    r->dc = dc;
    r->in = bytes_of(info->src->next_input_byte, info->src->bytes_in_buffer);
    bool read = read_all(r);
    free(r);
    if (!read)
        jpeg_dc_free(dc);
    return read;
}

void jpeg_dc_free(struct jpeg_dc *dc)
{
    free(dc->memory);
    *dc = (struct jpeg_dc){0};
}

/* ---------------------------------------------------------------- the picture */

/* A row of a plane at the picture's width, and perhaps one sample more. */
static void read_row(const struct jpeg_dc_plane *plane, uint32_t y, uint32_t width, uint8_t *out)
{
    if (plane->side == 2) {
        const uint8_t(*quarters)[4] = plane->quarters + (size_t)(y / 2) * plane->columns;
        for (uint32_t x = 0; x < width; x += 2)
            memcpy(out + x, quarters[x / 2] + y % 2 * 2, 2);
        return;
    }
    const int16_t *dc = plane->dc + (size_t)(y / plane->down) * plane->columns;
    if (plane->across == 1)
        for (uint32_t x = 0; x < width; x++)
            out[x] = jpeg_mean(dc[x] * plane->step);
    else
        for (uint32_t x = 0; x < width; x++)
            out[x] = jpeg_mean(dc[x / 2] * plane->step);
}

static uint8_t clamp(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/*
 * YCbCr to RGB (JFIF 1.02) in fixed point of 16 bits, rounded as libjpeg does: red's share 1.402, blue's 1.772, green's two as one,
 * -0.34414 and -0.71414. One by one: split into loops that SSE2 takes as vectors it was slower by half.
 */
static void to_rgb(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint32_t width, uint8_t *rgb)
{
    for (uint32_t x = 0; x < width; x++, rgb += 3) {
        int32_t blue = cb[x] - 128, red = cr[x] - 128, half = 1 << 15;
        rgb[0] = clamp(y[x] + ((91881 * red + half) >> 16));
        rgb[1] = clamp(y[x] + ((half - 22554 * blue - 46802 * red) >> 16));
        rgb[2] = clamp(y[x] + ((116130 * blue + half) >> 16));
    }
}

void jpeg_dc_picture(const struct jpeg_dc *dc, uint8_t *rgb)
{
    uint8_t rows[3][BGD_IMAGE_SIDE_MAX / 8 + 1];
    for (uint32_t y = 0; y < dc->height; y++, rgb += (size_t)dc->width * 3) {
        for (uint32_t i = 0; i < dc->n_planes; i++)
            read_row(&dc->planes[i], y, dc->width, rows[i]);
        if (dc->n_planes == 3)
            to_rgb(rows[0], rows[1], rows[2], dc->width, rgb);
        else
            for (uint32_t x = 0; x < dc->width; x++)
                memset(rgb + (size_t)x * 3, rows[0][x], 3);
    }
}
