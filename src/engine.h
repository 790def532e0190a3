/* What an engine is made of, for whoever measures its parts one by one. */
#ifndef BGD_ENGINE_H
#define BGD_ENGINE_H

#include "backend.h"
#include "engine_evidence.h"

/* All borrowed from the engine. */
struct engine_lane {
    const struct backend *backend;
    struct device *device;
    uint32_t gpu;                     /* of the device: as prepare takes it */
    struct exec *segmenter; /* NULL without one */
    struct exec *classifier;
    struct engine_evidence *evidence; /* NULL without options.evidence */
};

/* Nothing else may use the lane (0-based) meanwhile. */
struct engine_lane engine_lane(struct bgd_engine *engine, uint32_t lane);

#endif
