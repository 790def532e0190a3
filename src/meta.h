/* The metadata of a model file: what the engine and people need to know beside the graph. JSON in the file, a struct here. */
#ifndef BGD_META_H
#define BGD_META_H

#include "calibration.h"
#include "feed.h"

#define META_LABELS_MAX 1000

enum meta_kind {
    META_NETWORK,    /* any graph */
    META_CLASSIFIER, /* a picture to P of each label */
    META_SEGMENTER,  /* a picture to P(object) of each pixel */
};

/* "network", "classifier", "segmenter". */
const char *meta_kind_name(enum meta_kind kind);

struct meta {
    char *arch; /* "resnet18" */
    enum meta_kind kind;
    struct feed_spec input; /* of a classifier or segmenter: how a picture becomes value 0 */
    /* What follows is a classifier's. */
    char *head;                       /* "softmax" or "sigmoid" */
    char **labels;                    /* n_labels of them, unique */
    float *thresholds;                /* n_labels, 0..1 */
    struct calibration *calibrations; /* n_labels; NULL: none */
    uint32_t n_labels;
    float review[2];  /* lo, hi: P(defective) between them is for a person to judge; both 0: there is no such band */
    char *provenance; /* of all: JSON object as text, "{}" if absent */
};

/* Parses and checks `size` bytes of JSON, hostile ones too; errors name the key. `meta` is empty after a failure. */
int meta_parse(const char *json, size_t size, struct meta *meta, struct bgd_err *err);

/* The JSON of `meta`, NUL-terminated, to be freed; NULL when memory ran out. meta_parse reads it back, if `meta` keeps its
 * rules. */
char *meta_print(const struct meta *meta);

/* Frees what meta_parse allocated and clears the struct. */
void meta_free(struct meta *meta);

/* The index of a label, or -1. */
int meta_label(const struct meta *meta, const char *label);

/* What the label "defective", of that index, makes of its P. */
enum bgd_verdict meta_verdict(const struct meta *meta, uint32_t defective, float p);

/* True for UTF-8 without control bytes: what may be shown to people and written to rows. */
bool meta_is_text(const char *text);

#endif
