/* A libcudnn_graph.so.9 without cuDNN: descriptors are counted, and any call can be made to fail. */
#ifndef BGD_TESTS_FAKE_CUDNN_H
#define BGD_TESTS_FAKE_CUDNN_H

#include <stddef.h>

/*
 * For every convolution, the heuristics name engine 41, which cannot be built, engine 13, which is not deterministic, and
 * engine 7, which uses tensor cores; their fallback list engine 5, which sums in lower precision, and engine 0.
 */
struct fake_cudnn {
    size_t version;
    unsigned calls;   /* that return a status, so far */
    unsigned fail_at; /* the call that fails, counted from 1; 0: none */
    unsigned lists;   /* of the heuristics that were asked for */
    unsigned runs;
    int live; /* handles and descriptors made and not destroyed */
};

extern struct fake_cudnn fake_cudnn;

#endif
