/* The activations that a loop of ours can do in passing. */
#ifndef BGD_ONEDNN_ACTIVATION_H
#define BGD_ONEDNN_ACTIVATION_H

#include "lanes.h"

#define SELU_ALPHA 1.67326324235437728481f
#define SELU_SCALE 1.05070098735548049342f

enum onednn_activation { ONEDNN_NONE, ONEDNN_RELU, ONEDNN_SELU };

LANES_INLINE lanes onednn_activate(enum onednn_activation activation, lanes x)
{
    const lanes zero = {0};
    switch (activation) {
    case ONEDNN_RELU: return lanes_choose(x > zero, x, zero);
    case ONEDNN_SELU: return SELU_SCALE * lanes_choose(x > zero, x, SELU_ALPHA * (lanes_exp(x) - 1));
    case ONEDNN_NONE: break;
    }
    return x;
}

#endif
