/*
 * A backend runs whole graphs on one kind of device. It is one table of functions; every backend fills every slot.
 *
 *     open -> prepare (once per lane) -> [ feed or load -> run -> fetch ]* -> release -> close
 *
 * An *exec* is one lane: a model made ready for batches of up to `batch` pictures, with an arena of its own, used by
 * one thread at a time. Execs of one model that run side by side share weights and compiled code: the later ones name
 * the first as `sibling`. Fusing, layouts and precision are the backend's private business inside prepare.
 *
 * On every backend a picture's outputs depend on that picture alone, to the last bit: not on n, its place in the
 * batch, the other pictures, or the number of lanes. (On CUDA `batch` itself may choose other sums, and so other last bits.)
 *
 * Errors are BGD_DEVICE, BGD_MEMORY or BGD_ARGUMENT; of a mask that is not finite, BGD_DAMAGED, from feed or, where the device
 * is ahead of its host, from fetch. After a failed call the exec may be released, and nothing else.
 */
#ifndef BGD_BACKEND_H
#define BGD_BACKEND_H

#include "model.h"

struct device; /* defined by each backend */
struct exec;

/* The masks of the pictures of a batch: output 0 of a segmenter's exec of the same device, where its run has left them. It must
 * not run again before the exec that is fed with them has been fetched from. */
struct backend_mask {
    const struct exec *exec;
    float threshold; /* as in struct feed_mask */
};

struct backend {
    const char *name; /* "ref", "onednn", "cuda" */
    uint32_t lanes;   /* execs side by side that help at the most: more would take memory, and no less time */
    bool own_memory;  /* not the host's, and less: a batch that does not fit is worth halving */

    /* BGD_DEVICE when there is no such device, BGD_ARGUMENT when it does not compute in that precision. */
    int (*open)(enum bgd_precision precision, struct device **device, struct bgd_err *err);
    void (*close)(struct device *device);

    /* From here on prepare times what it can choose among (bgd_engine_options.autotune). BGD_ARGUMENT where that is nothing. */
    int (*autotune)(struct device *device, struct bgd_err *err);

    /* Memory from which feed takes pixels the fastest, valid until close; NULL where the heap is as good, or there is none. */
    void *(*memory)(struct device *device, size_t bytes);

    /* `batch` 0 lets the backend choose. `model` is borrowed until release; `sibling` (or NULL) must stay until then, too. */
    int (*prepare)(struct device *device, const struct bgd_model *model, uint32_t batch, struct exec *sibling,
                   struct exec **exec, struct bgd_err *err);
    void (*release)(struct exec *exec);

    /* The largest n of the calls below. */
    uint32_t (*batch)(const struct exec *exec);

    /* Fills graph input `input` from raw values (n, c, h, w). */
    int (*load)(struct exec *exec, uint32_t input, uint32_t n, const float *values, struct bgd_err *err);

    /* Fills graph input 0 from n pictures of any size: resize + normalise, by the model's input spec, and alpha inversion
     * by a mask of each picture unless `mask` is NULL (feed.h). */
    int (*feed)(struct exec *exec, uint32_t n, const struct bgd_image *const *images, const struct backend_mask *mask,
                struct bgd_err *err);

    int (*run)(struct exec *exec, uint32_t n, struct bgd_err *err);

    /* Copies graph output `output` (0-based among the outputs) as (n, c, h, w); waits for run. */
    int (*fetch)(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err);
};

extern const struct backend backend_ref;    /* plain loops in f32, sums in double: what "correct" means */
extern const struct backend backend_onednn; /* the CPU default */
extern const struct backend backend_cuda;   /* an NVIDIA GPU */

/* The backends of this build, in the order in which "auto" tries them; NULL-terminated. "ref" is last. */
extern const struct backend *const backends[];

/* "cuda, onednn, ref" */
#define BACKEND_NAMES 64u
void backend_names(char names[BACKEND_NAMES]);

/* Opens the device named `name`, or for NULL or "auto" the first that answers (never "ref" unless it is alone); `passed_over`
 * is the error of the first before it that did not, code 0 if there is none; of none that answers, it is the error. */
int backend_open(const char *name, enum bgd_precision precision, const struct backend **backend, struct device **device,
                 struct bgd_err *passed_over, struct bgd_err *err);

/* What the backends of a CPU have in common: BGD_ARGUMENT unless the precision is f32, nothing to time, and no memory of their
 * own. */
int backend_only_f32(const char *name, enum bgd_precision precision, struct bgd_err *err);
int backend_no_autotune(struct device *device, struct bgd_err *err);
void *backend_no_memory(struct device *device, size_t bytes);

#endif
