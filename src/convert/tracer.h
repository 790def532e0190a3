/*
 * TRACER-Efficient 0 to 7 (Lee, Shin and Han, AAAI 2022, arXiv 2112.07380), from the official checkpoints' keys
 * (github.com/Karel911/TRACER: "model." for the EfficientNet encoder, "rfb2" to "rfb4", "agg", "ObjectAttention1" and 2)
 * or those of carvekit's tracer_b7 ("encoder." for "model.", no edge module).
 *
 * The arch follows from the shapes. What a port gets wrong in silence:
 *   padding      the encoder's "same" pads are frozen for the backbone's nominal size (B0 224, ... B7 600), whatever
 *                size it is run at
 *   batch-norm   eps is 1e-3 in the encoder, 1e-5 elsewhere
 *   resizing     align_corners inside the aggregation, not in the final maps
 * The edge output, the side outputs and the norm that training alone uses are dropped.
 */
#ifndef BGD_TRACER_H
#define BGD_TRACER_H

#include "checkpoint.h"
#include "graph.h"

/* Whether the checkpoint has the keys that only this family has; `why` names the first that it lacks. */
bool tracer_recognises(const struct checkpoint *checkpoint, struct bgd_err *why);

/* Which of TE0 to TE7 the shapes say, or -1. */
int tracer_arch(const struct checkpoint *checkpoint);

/* The side of the square that the paper's table runs an arch at: 320 for TE0 ... 640 for TE7. */
uint32_t tracer_side(int arch);

/*
 * Adds the whole network, input included, to `graph`, with the one output "mask" (1, height, width), P(object). `height`
 * and `width` are multiples of 32. Names it in `arch` ("tracer-te0"). Marks what it reads as used. Errors stick to the graph.
 */
void tracer_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16]);

#endif
