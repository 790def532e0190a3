/*
 * A backend runs whole graphs on one kind of device. It is one table of functions; every backend fills every slot.
 *
 *     open -> prepare (once per lane) -> [ feed or load -> run -> fetch ]* -> release -> close
 *
 * An *exec* is one lane: a model made ready for batches of up to `batch` pictures, with an arena of its own, used by
 * one thread at a time. Execs of one model that run side by side share weights and compiled code: the later ones name
 * the first as `sibling`. A device may be several GPUs, each with weights of its own; an exec is on one of them. Fusing,
 * layouts and precision are the backend's private business inside prepare.
 *
 * On every backend a picture's outputs depend on that picture alone, to the last bit: not on n, its place in the
 * batch, the other pictures, the number of lanes, or the GPU. (On CUDA `batch` itself may choose other sums, and so other
 * last bits.)
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

/* What a device can do at the most, as measured on it. */
struct backend_ceilings {
    double copy;            /* bytes per second, read and written added up, of a copy that no cache holds */
    double macs;            /* multiply-accumulates per second, of a matrix product that suits the device, in its precision */
    uint32_t element_bytes; /* of a value's element in that precision: 4 or 2 */
};

/* Which step of a run computes an op, and how long it takes. Steps are numbered from 0 on without gaps, in the order of the run;
 * ops that one step computes together have its number. */
struct backend_op_time {
    uint32_t step;
    double seconds; /* of the whole step, for all pictures of the run: the median of the repeats; the same in all of its ops */
};

#define BACKEND_TEXT 320u

struct backend {
    const char *name; /* "ref", "onednn", "cuda" */
    uint32_t lanes;   /* execs side by side that help at the most, on each GPU: more would take memory, and no less time */

    /* It computes apart from the host: fetch waits for it, asleep. Its memory is not the host's, and less: a batch that does
     * not fit is worth halving. */
    bool own_memory;

    /* `gpus` as in bgd_engine_options. BGD_DEVICE when there is no such device, BGD_ARGUMENT when it does not compute in that
     * precision, or has not those GPUs. */
    int (*open)(uint64_t gpus, enum bgd_precision precision, struct device **device, struct bgd_err *err);
    void (*close)(struct device *device);

    /* What it is, with which library and in which precision, for people: "oneDNN 2.6.3, f32, AVX-512". */
    void (*describe)(const struct device *device, char text[BACKEND_TEXT]);

    /* The set that was opened; 0 of a CPU. */
    uint64_t (*gpus)(const struct device *device);

    /* From here on prepare times what it can choose among (bgd_engine_options.autotune). BGD_ARGUMENT where that is nothing. */
    int (*autotune)(struct device *device, struct bgd_err *err);

    /* Memory from which feed takes pixels the fastest, on every GPU, valid until close; NULL where the heap is as good, or
     * there is none. Not while an exec is fed. */
    void *(*memory)(struct device *device, size_t bytes);

    /* The batch that suits the model. */
    uint32_t (*batch_for)(const struct device *device, const struct bgd_model *model);

    /* On GPU `gpu` of the set; 0 on a CPU. `model` is borrowed until release; `sibling` (or NULL), of the same GPU, must stay until
     * then, too. On a device without memory of its own, several threads may prepare execs that are no siblings. */
    int (*prepare)(struct device *device, uint32_t gpu, const struct bgd_model *model, uint32_t batch, struct exec *sibling,
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

    /* Inputs stay: it may be run again. */
    int (*run)(struct exec *exec, uint32_t n, struct bgd_err *err);

    /* Copies graph output `output` (0-based among the outputs) as (n, c, h, w); waits for run. */
    int (*fetch)(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err);

    /* Measured now, on the calling thread: of a CPU what one thread can do, of GPUs the whole of the first. Takes about a second; no
     * exec of the device may be prepared meanwhile. Seconds are the device's own: of a CPU, those for which the thread has a core. */
    int (*ceilings)(struct device *device, struct backend_ceilings *ceilings, struct bgd_err *err);

    /*
     * Runs n pictures as `run` does, but step by step and timed, `repeats` times (1 or more).
     * times[i] is op i's. What is computed between ops counts with the op that it is done for: an input's change of layout, or its
     * copy, with the op that reads it; an output's unpacking with the op that computes it (an output that is an input: with none).
     * An op that takes no step, since the ops before it leave its value in place (concat), has the number of the latest of those.
     * Inputs stay, and outputs are as after `run`.
     */
    int (*profile)(struct exec *exec, uint32_t n, uint32_t repeats, struct backend_op_time *times, struct bgd_err *err);
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
int backend_open(const char *name, uint64_t gpus, enum bgd_precision precision, const struct backend **backend,
                 struct device **device, struct bgd_err *passed_over, struct bgd_err *err);

/* What the backends of a CPU have in common: BGD_ARGUMENT unless the precision is f32 and no GPUs are named, nothing to time, and no
 * memory of their own. */
int backend_check_cpu(const char *name, uint64_t gpus, enum bgd_precision precision, struct bgd_err *err);
uint64_t backend_no_gpus(const struct device *device);
int backend_no_autotune(struct device *device, struct bgd_err *err);
void *backend_no_memory(struct device *device, size_t bytes);

#endif
