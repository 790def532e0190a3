/* A libcudnn_graph.so.9 without cuDNN: descriptors are counted, and any call can be made to fail. */
#ifndef BGD_TESTS_FAKE_CUDNN_H
#define BGD_TESTS_FAKE_CUDNN_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * For every convolution, the heuristics name engine 41, which cannot be built, engine 13, which is not deterministic, and
 * engine 7, which uses tensor cores; their fallback list engine 5, which sums in lower precision, engine 0, and engines
 * 21 to 28.
 */
struct fake_cudnn {
    size_t version;
    unsigned calls;   /* that return a status, so far */
    unsigned fail_at; /* the call that fails, counted from 1; 0: none */
    unsigned lists;   /* of the heuristics that were asked for */
    unsigned runs;
    /* Puts what a run of an engine does into the stream; NULL: nothing. False: it does not run. */
    bool (*run)(cudaStream_t stream, int64_t engine);
    int live; /* handles and descriptors made and not destroyed */
};

extern struct fake_cudnn fake_cudnn;

#endif
