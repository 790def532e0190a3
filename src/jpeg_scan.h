/* The entropy-coded data of a JPEG's scan: into coefficients, or stepped over. */
#ifndef BGD_JPEG_SCAN_H
#define BGD_JPEG_SCAN_H

#include "bytes.h"
#include "jpeg_huffman.h"
#include "jpeg_mean.h"

enum jpeg_scan_kind { JPEG_BASELINE, JPEG_DC_FIRST, JPEG_DC_REFINE, JPEG_AC_FIRST, JPEG_AC_REFINE };

/* What a component keeps of its blocks: arrays of one entry a block, `columns` in a row. */
struct jpeg_scan_target {
    uint32_t columns;
    int16_t *dc;            /* coefficients as coded; zeros at first */
    uint8_t (*quarters)[4]; /* of components that show more than DC coefficients: see jpeg_mean_quarters */
    /* Of such components of progressive files. */
    uint64_t *present;                   /* a bit for each AC coefficient (zigzag order) that is not zero; none at first */
    int16_t (*values)[JPEG_MEAN_PLACES]; /* those of them that count; an AC scan sets what is there, and no more */
    uint16_t steps[JPEG_MEAN_PLACES];    /* that coefficients were divided by */
};

/* A component's part in a scan. */
struct jpeg_scan_part {
    const struct jpeg_scan_target *target;
    const struct jpeg_huffman *dc, *ac; /* those that the kind needs */
    const struct jpeg_skips *skips;     /* of `ac`: step over AC coefficients; NULL: fill target->quarters */
    uint32_t across, down;              /* blocks in a unit */
    /* The reader's own, 0 at first: the last DC coefficient; blocks from here on of which an AC scan has nothing more. */
    uint32_t last, empty;
};

#define JPEG_SCAN_BLOCKS 10 /* the most that a unit may have (T.81, B.2.3) */

struct jpeg_scan {
    enum jpeg_scan_kind kind;
    uint32_t n;
    struct jpeg_scan_part parts[3]; /* of JPEG_SCAN_BLOCKS in all */
    uint32_t columns, rows;         /* of units */
    uint32_t from, to;              /* coefficients of an AC scan, in zigzag order */
    uint32_t low;                   /* the bit that a progressive scan ends with */
    uint32_t restart;               /* units between restart markers; 0: there are none */
};

/*
 * Reads the scan whose data begin at `in`, and leaves `in` at the 0xFF of the marker behind them. False, with `in` anywhere, if
 * the data are not exactly those of its units: a code that is none, coefficients beyond a block's last or 16 bits, data that end
 * early or go on, restart markers elsewhere than they should be.
 */
bool jpeg_scan_read(struct jpeg_scan *scan, struct bytes *in);

/* The same without a look at the data but for restart markers. */
bool jpeg_scan_step_over(const struct jpeg_scan *scan, struct bytes *in);

#endif
