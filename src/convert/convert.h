/* From a checkpoint to a model file: the family is found from the keys, everything else is said here. */
#ifndef BGD_CONVERT_H
#define BGD_CONVERT_H

#include "../meta.h"

struct convert_options {
    const char *source; /* checkpoint */
    const char *target; /* model file */
    const char *labels; /* comma-separated; NULL: "0,1,2,..." for any number, our six for six classes */
    const char *head;   /* "softmax" or "sigmoid" */
    uint32_t width, height;
    float mean[3], std[3];
    bool f16;
};

/*
 * Converts and writes. Tensors of the checkpoint that the network does not read, or that it needs and does not find, fail the
 * conversion by name. On success `summary` (for people) holds one line: "resnet18, 6 labels, ...".
 */
int convert_run(const struct convert_options *options, char summary[256], struct bgd_err *err);

#endif
