/*
 * ZFNet (Zeiler and Fergus 2013, arXiv 1311.2901, figure 3), in the one layout that tools/train/networks.py has: AlexNet's with
 * a 7x7 and a 5x5 convolution of stride 2 in front, and poolings that round up (ceil_mode).
 *
 * Where the paper normalises contrast, behind the first two poolings, stands local response normalisation (Krizhevsky et al.
 * 2012, section 3.3) or nothing. It has no weights, so the keys do not show it: the caller must know.
 */
#ifndef BGD_ZFNET_H
#define BGD_ZFNET_H

#include "checkpoint.h"
#include "graph.h"

/* Whether the checkpoint has what only this network has; `why` says what it lacks. */
bool zfnet_recognises(const struct checkpoint *checkpoint, struct bgd_err *why);

/* As resnet_build; `arch` becomes "zfnet", or "zfnet_lrn" with local response normalisation. */
uint32_t zfnet_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16]);
uint32_t zfnet_lrn_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph,
                         char arch[16]);

#endif
