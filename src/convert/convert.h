/* From a checkpoint to a model file: the family is found from the keys, everything else is said here. */
#ifndef BGD_CONVERT_H
#define BGD_CONVERT_H

#include "../meta.h"

struct convert_options {
    const char *source;     /* checkpoint */
    const char *target;     /* model file */
    const char *labels;     /* a classifier's, comma-separated; NULL: "0,1,2,..." for any number, our six for six classes */
    const char *head;       /* a classifier's, "softmax" or "sigmoid" */
    uint32_t width, height; /* 0: 60x80 for a classifier, the size of its paper's table for a segmenter */
    float mean[3], std[3];
    float fill[3]; /* 0..1, a classifier's: what stands where the object was cut out */
    bool lrn;      /* ZFNet's: local response normalisation behind its first two poolings, which the keys do not show */
    bool f16;
};

/*
 * Converts and writes. Tensors of the checkpoint that the network does not read, or that it needs and does not find, fail the
 * conversion by name. On success `summary` (for people) holds one line: "resnet18, 6 labels, ...".
 */
int convert_run(const struct convert_options *options, char summary[256], struct bgd_err *err);

#endif
