#include "jpeg_scan.h"

/* ---------------------------------------------------------------- a block's data: false if they are none */

/* part->last: the component's last DC coefficient, which the code is a difference from; right modulo 2^32. */
static inline bool read_dc(struct jpeg_bits *bits, struct jpeg_scan_part *part)
{
    jpeg_bits_fill(bits);
    uint32_t size = jpeg_huffman_take(bits, part->dc);
    if (size > 15)
        return false;
    part->last += (uint32_t)jpeg_bits_take_signed(bits, size);
    return true;
}

/* One look: `left` is 256 times the coefficients that are left in the block, and the bits that are loaded, so that one
 * subtraction of an entry keeps account of both. At least JPEG_SKIPS_BITS must be loaded. */
static inline int32_t look(struct jpeg_bits *bits, const struct jpeg_skips *skips, int32_t left)
{
    uint32_t entry = skips->entry[bits->bits >> (64 - JPEG_SKIPS_WIDTH)];
    bits->bits <<= entry & 63;
    return left - (int32_t)entry;
}

/*
 * 25 bits are loaded at first (of the 56 a DC coefficient takes 31 at most), which is enough for a look, and 56 are enough for
 * three. An entry does not know where a block ends that has no end code, since its 63rd coefficient is there, and may hold codes
 * of what follows: then, and where it has no symbol, the looks are undone, and the next symbol is taken by itself.
 */
static inline bool skip_ac(struct jpeg_bits *bits, const struct jpeg_skips *skips, const struct jpeg_huffman *huffman)
{
    uint64_t before = bits->bits;
    int32_t left = 63 * 256 + (int32_t)bits->n, left_before = left;
    left = look(bits, skips, left);
    for (;;) {
        while (left >= 256) {
            bits->n = left & 63;
            jpeg_bits_fill(bits);
            left = (left & ~255) | (int32_t)bits->n;
            before = bits->bits;
            left_before = left;
            if ((left = look(bits, skips, left)) < 256 || (left = look(bits, skips, left)) < 256)
                break;
            left = look(bits, skips, left);
        }
        bits->n = left & 63;
        left >>= 8;
        if (left == 0 || (left > -JPEG_SKIPS_END && left <= 63 - JPEG_SKIPS_END))
            return true;
        bits->bits = before;
        bits->n = left_before & 63;
        jpeg_bits_fill(bits);
        uint32_t symbol = jpeg_huffman_take(bits, huffman), run = symbol >> 4, size = symbol & 15;
        if (symbol == 0)
            return true;
        left = (left_before >> 8) - (int32_t)run - 1;
        if (left < 0 || (size == 0 && run != 15)) /* of JPEG_NO_CODE the run is 16 */
            return false;
        jpeg_bits_skip(bits, size);
        if (left == 0)
            return true;
        left = left * 256 + (int32_t)bits->n;
    }
}

/* The coefficients of a block that shows its quarters. */
static inline bool read_quarters(struct jpeg_bits *bits, const struct jpeg_scan_part *part, size_t at)
{
    const struct jpeg_scan_target *target = part->target;
    struct jpeg_mean_sums sums = {0};
    int32_t dc = target->dc[at];
    for (uint32_t k = 1; k < 64; k++) {
        if (bits->n < 31)
            jpeg_bits_fill(bits);
        uint32_t symbol = jpeg_huffman_take(bits, part->ac), size = symbol & 15;
        if (symbol == 0) {
            if (k == 1)
                return jpeg_mean_plain(dc * target->steps[0], target->quarters[at]);
            break;
        }
        k += symbol >> 4;
        if (k > 63 || (size == 0 && symbol >> 4 != 15)) /* of JPEG_NO_CODE the run is 16 */
            return false;
        uint32_t place = jpeg_mean_place[k];
        if (!jpeg_mean_add(&sums, place, jpeg_bits_take_signed(bits, size), target->steps[place]))
            return false;
    }
    return jpeg_mean_add(&sums, 0, dc, target->steps[0]) && jpeg_mean_quarters(&sums, target->quarters[at]);
}

/* T.81, G.1.2.2. */
static inline bool read_first(struct jpeg_bits *bits, const struct jpeg_scan *scan, struct jpeg_scan_part *part, size_t at)
{
    if (part->empty > 0) {
        part->empty--;
        return true;
    }
    for (uint32_t k = scan->from; k <= scan->to; k++) {
        if (bits->n < 31)
            jpeg_bits_fill(bits);
        uint32_t symbol = jpeg_huffman_take(bits, part->ac), run = symbol >> 4, size = symbol & 15;
        if (size == 0 && run < 15) {
            part->empty = (1u << run) - 1 + jpeg_bits_take(bits, run);
            return true;
        }
        k += run;
        if (k > scan->to || symbol == JPEG_NO_CODE)
            return false;
        if (size > 0) {
            int32_t value = jpeg_bits_take_signed(bits, size) * (1 << scan->low);
            if (value != (int16_t)value)
                return false;
            part->target->values[at][jpeg_mean_place[k]] = (int16_t)value;
            part->target->present[at] |= UINT64_C(1) << k;
        }
    }
    return true;
}

/* One more bit of each of the coefficients in `which`, none of which is zero: away from zero, if it is set. */
static inline void refine(struct jpeg_bits *bits, uint32_t low, int16_t *values, uint64_t which)
{
    for (; which; which &= which - 1) {
        if (bits->n == 0)
            jpeg_bits_fill(bits);
        if (jpeg_bits_take(bits, 1)) {
            int16_t *value = &values[jpeg_mean_place[__builtin_ctzll(which)]];
            *value = (int16_t)(*value + (*value < 0 ? -(1 << low) : 1 << low));
        }
    }
}

/* The coefficients first..last. */
static inline uint64_t band(uint32_t first, uint32_t last)
{
    return first > last ? 0 : (~UINT64_C(0) >> (63 - last)) & (~UINT64_C(0) << first);
}

/* T.81, G.1.2.3: between the coefficients that become nonzero lie bits for those that are already. */
static inline bool read_refinement(struct jpeg_bits *bits, const struct jpeg_scan *scan, struct jpeg_scan_part *part, size_t at)
{
    uint64_t *present = &part->target->present[at];
    int16_t *values = part->target->values[at];
    uint32_t k = scan->from;
    while (part->empty == 0 && k <= scan->to) {
        jpeg_bits_fill(bits);
        uint32_t symbol = jpeg_huffman_take(bits, part->ac), run = symbol >> 4, size = symbol & 15;
        int32_t value = 0;
        if (symbol == JPEG_NO_CODE || size > 1)
            return false;
        if (size == 0 && run < 15) {
            part->empty = (1u << run) + jpeg_bits_take(bits, run);
            break;
        }
        if (size == 1)
            value = jpeg_bits_take(bits, 1) ? 1 << scan->low : -(1 << scan->low);
        uint64_t zeros = ~*present & band(k, scan->to);
        for (; run > 0 && zeros; run--)
            zeros &= zeros - 1;
        if (!zeros) { /* a run of zeros may end with the band, a coefficient may not lie behind it */
            refine(bits, scan->low, values, *present & band(k, scan->to));
            return value == 0;
        }
        uint32_t place = (uint32_t)__builtin_ctzll(zeros);
        refine(bits, scan->low, values, *present & band(k, place));
        if (value) {
            values[jpeg_mean_place[place]] = (int16_t)value;
            *present |= UINT64_C(1) << place;
        }
        k = place + 1;
    }
    if (part->empty > 0) {
        refine(bits, scan->low, values, *present & band(k, scan->to));
        part->empty--;
    }
    return true;
}

/* ---------------------------------------------------------------- a scan's blocks */

static inline bool read_block(struct jpeg_bits *bits, enum jpeg_scan_kind kind, const struct jpeg_scan *scan,
                              struct jpeg_scan_part *part, size_t at, uint32_t *beyond)
{
    int16_t *dc = &part->target->dc[at];
    switch (kind) {
    case JPEG_BASELINE:
        if (!read_dc(bits, part))
            return false;
        *dc = (int16_t)part->last;
        *beyond |= part->last + 32768u;
        return part->skips ? skip_ac(bits, part->skips, part->ac) : read_quarters(bits, part, at);
    case JPEG_DC_FIRST:
        if (!read_dc(bits, part))
            return false;
        *dc = (int16_t)(part->last << scan->low);
        *beyond |= (part->last + (32768u >> scan->low)) << scan->low;
        return true;
    case JPEG_DC_REFINE:
        if (bits->n == 0)
            jpeg_bits_fill(bits);
        *dc = (int16_t)(*dc | (int)jpeg_bits_take(bits, 1) << scan->low);
        return true;
    case JPEG_AC_FIRST: return read_first(bits, scan, part, at);
    case JPEG_AC_REFINE: return read_refinement(bits, scan, part, at);
    default: return false;
    }
}

static bool restart(struct jpeg_scan *scan, struct jpeg_bits *bits, uint32_t number)
{
    if (!jpeg_bits_done(bits) || bits->at[1] != 0xd0 + (number & 7))
        return false;
    *bits = jpeg_bits_of(bits->at + 2, bits->end);
    for (uint32_t i = 0; i < scan->n; i++)
        scan->parts[i].last = scan->parts[i].empty = 0;
    return true;
}

/* A block of each unit: its part, and where the next unit's lies in the part's arrays. */
struct place {
    struct jpeg_scan_part *part;
    size_t at;
};

/* The places of the first unit of row `y`; how many they are. */
static uint32_t begin_row(struct jpeg_scan *scan, uint32_t y, struct place places[JPEG_SCAN_BLOCKS])
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < scan->n; k++) {
        struct jpeg_scan_part *part = &scan->parts[k];
        for (uint32_t j = 0; j < part->down; j++)
            for (uint32_t i = 0; i < part->across; i++)
                places[n++] = (struct place){part, ((size_t)y * part->down + j) * part->target->columns + i};
    }
    return n;
}

/* Compiled for each kind, so that the loop has no question but the data's and `bits` stays in registers. */
__attribute__((always_inline)) static inline bool read_units(struct jpeg_scan *scan, enum jpeg_scan_kind kind, struct bytes *in)
{
    struct jpeg_bits bits = jpeg_bits_of(in->data + in->pos, in->data + in->size);
    struct place places[JPEG_SCAN_BLOCKS];
    uint32_t left = scan->restart, restarts = 0, beyond = 0;
    for (uint32_t y = 0; y < scan->rows; y++) {
        const struct place *end = places + begin_row(scan, y, places);
        for (uint32_t x = 0; x < scan->columns; x++) {
            if (scan->restart > 0 && left-- == 0) {
                struct jpeg_bits next = bits;
                if (!restart(scan, &next, restarts++))
                    return false;
                bits = next;
                left = scan->restart - 1;
            }
            for (struct place *p = places; p < end; p++) {
                size_t at = p->at;
                p->at += p->part->across;
                if (!read_block(&bits, kind, scan, p->part, at, &beyond))
                    return false;
            }
        }
        if (beyond > 65535 || jpeg_bits_overrun(&bits)) /* so that a cut file costs no more than a row of units */
            return false;
    }
    if (!jpeg_bits_done(&bits))
        return false;
    in->pos = (size_t)(bits.at - in->data);
    return true;
}

bool jpeg_scan_read(struct jpeg_scan *scan, struct bytes *in)
{
    switch (scan->kind) {
    case JPEG_BASELINE: return read_units(scan, JPEG_BASELINE, in);
    case JPEG_DC_FIRST: return read_units(scan, JPEG_DC_FIRST, in);
    case JPEG_DC_REFINE: return read_units(scan, JPEG_DC_REFINE, in);
    case JPEG_AC_FIRST: return read_units(scan, JPEG_AC_FIRST, in);
    case JPEG_AC_REFINE: return read_units(scan, JPEG_AC_REFINE, in);
    default: return false;
    }
}

bool jpeg_scan_step_over(const struct jpeg_scan *scan, struct bytes *in)
{
    uint32_t expected = scan->restart ? (scan->columns * scan->rows - 1) / scan->restart : 0, restarts = 0;
    const uint8_t *at = in->data + in->pos, *end = in->data + in->size;
    while ((at = memchr(at, 0xff, (size_t)(end - at))) && end - at >= 2) {
        if (at[1] >= 0xd0 && at[1] <= 0xd7) {
            if (at[1] != 0xd0 + (restarts++ & 7))
                return false;
        } else if (at[1] != 0) {
            in->pos = (size_t)(at - in->data);
            return restarts == expected;
        }
        at += 2;
    }
    return false;
}
