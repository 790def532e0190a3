/*
 * torchvision's ResNet-18, 34, 50, 101 and 152 (torchvision/models/resnet.py; He et al. 2015, arXiv 1512.03385).
 *
 * The depth follows from the keys: conv3 in layer1.0 means bottlenecks, and the number of blocks per layer tells which net.
 * Channels, classes and input channels follow from the shapes, so thin and wide networks of the same layout convert, too;
 * kernels of other sizes (a 3x3 first convolution, as for CIFAR) do not. The stride of a bottleneck stands on its 3x3
 * convolution, as in torchvision. Batch-norm's eps is 1e-5.
 */
#ifndef BGD_RESNET_H
#define BGD_RESNET_H

#include "checkpoint.h"
#include "graph.h"

/* Whether the checkpoint has the keys that only this family has; `why` names the first that it lacks. */
bool resnet_recognises(const struct checkpoint *checkpoint, struct bgd_err *why);

/* Adds the whole network, input included, to `graph`, with the one output "logits"; names it in `arch` ("resnet18"). Marks what
 * it reads as used. Returns the logits' value; errors stick to the graph. */
uint32_t resnet_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16]);

#endif
