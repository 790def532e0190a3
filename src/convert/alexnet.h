/*
 * torchvision's AlexNet (torchvision/models/alexnet.py; Krizhevsky 2014, arXiv 1404.5997: one column of the network of 2012,
 * without local response normalisation).
 */
#ifndef BGD_ALEXNET_H
#define BGD_ALEXNET_H

#include "checkpoint.h"
#include "graph.h"

/* Whether the checkpoint has what only this network has; `why` says what it lacks. */
bool alexnet_recognises(const struct checkpoint *checkpoint, struct bgd_err *why);

/* As resnet_build; `arch` becomes "alexnet". */
uint32_t alexnet_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph,
                       char arch[16]);

#endif
