/*
 * torchvision's VGG-11, 13, 16 and 19, with and without batch-norm (torchvision/models/vgg.py; Simonyan and Zisserman 2014,
 * arXiv 1409.1556): five blocks of 3x3 convolutions, a pooling behind each.
 *
 * The depth follows from the keys: convolutions that are neighbours stand 2 places apart, or 3 with batch-norm between them,
 * and a pooling takes one place more.
 */
#ifndef BGD_VGG_H
#define BGD_VGG_H

#include "checkpoint.h"
#include "graph.h"

/* Whether the checkpoint has what only this family has; `why` says what it lacks. */
bool vgg_recognises(const struct checkpoint *checkpoint, struct bgd_err *why);

/* As resnet_build; `arch` becomes "vgg16", or "vgg16_bn" with batch-norm. */
uint32_t vgg_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16]);

#endif
