/*
 * One row of results (results.h, JSONL) read back, by those who trust nobody's files.
 *
 * Bytes of a name that were written as lone surrogates (\udc80..\udcff) are the same bytes again. Members that nobody
 * compares are ignored, and so are reasons that are not of this version. Of "carried", an object of what the catalogue had to
 * say of the card, one member is read: the card's group, a text or a number, in it or in its object "json" (WebDataset's).
 */
#ifndef BGD_DIFF_ROW_H
#define BGD_DIFF_ROW_H

#include "../hash.h"
#include "bgdet.h"

#define ROW_BYTES_MAX (32u << 20) /* of a line: what a tar may carry into a row, every byte escaped */
#define ROW_GROUP_BYTES_MAX 200u /* of a group's name */
#define ROW_MILLION 1000000u     /* scores have 6 decimals: they are counted in millionths, exactly */
#define ROW_CODES (1 - BGD_NETWORK)

/* What a row says of its card. Plain data: it may be kept as bytes. */
struct row_facts {
    int code;                   /* 0, or why it could not be judged; the rest is 0 then, but maybe for the hash */
    enum bgd_verdict verdict;   /* clean, review, defective: in the order of the enum */
    uint32_t score;             /* P(defective) in millionths, 0..ROW_MILLION */
    float reasons[BGD_REASONS]; /* P, or NAN for what the model does not know */
    uint8_t hash[HASH_BYTES];   /* of the picture; zeros if it could not be read */
};

struct row {
    struct row_facts facts;
    const char *id;     /* any bytes but NUL, at least one */
    const char *model;  /* 32 hexadecimal digits */
    const char *group;  /* "" if the row names none */
    char number[32];    /* a group that is one */
    struct cJSON *json; /* what the texts are borrowed from */
};

/*
 * Reads the `size` bytes at `line`, without the newline; line[size] must be NUL, and the line is changed. `group`: the member
 * of "carried" to be read. BGD_DAMAGED: not one JSON object in UTF-8 (or no memory for one), or a member is missing or not what
 * results.h says; BGD_LIMIT: a group's name is too long. The text names no file. row_free after a failure, too.
 */
int row_parse(char *line, size_t size, const char *group, struct row *row, struct bgd_err *err);
void row_free(struct row *row);

#endif
