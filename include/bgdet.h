/*
 * bgdet.h - judge the background of product cards.
 *
 * A card is *defective* when its background shows text, is not white, shows extra objects, when the
 * main object is cropped by the frame, or when it is duplicated; otherwise it is *clean*. This
 * library reads encoded pictures, runs a model file over them on a device, and says which.
 *
 *     bytes --bgd_image_decode--> image --bgd_engine_score--> result
 *
 * Scoring is a pipeline of one or two networks: a segmenter may cut the main object out first, so that the classifier
 * judges what is left, the background.
 *
 * Conventions
 *   Errors     Functions that can fail return 0 or a negative `enum bgd_code`, and write one line of
 *              text to the caller's `struct bgd_err` (never NULL). The line names the file or tensor, what was
 *              expected and what was found. The library never prints and never exits.
 *   Ownership  X_open/X_close and X_decode/X_free pair up. Out pointers are NULL after a failure;
 *              closing NULL is allowed.
 *   Input      Every reader takes hostile bytes: damaged or malicious input gives an error, never
 *              undefined behaviour. Limits are stated beside the functions.
 *   Threads    Different objects may be used from different threads. What may be shared says so.
 *   Shapes     In comments, outermost first: (n, c, h, w). Sizes on the command line are WxH.
 */
#ifndef BGDET_H
#define BGDET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BGD_VERSION "0.1.0"

/* ---------------------------------------------------------------- errors */

/* What went wrong, by what the caller can do about it. The names (bgd_code_name) appear in result rows. */
enum bgd_code {
    BGD_OK = 0,
    BGD_MISSING = -1,     /* "missing": no such file */
    BGD_UNREADABLE = -2,  /* "unreadable": the file exists but reading it failed (permission, a directory, EIO) */
    BGD_UNKNOWN = -3,     /* "unknown_format": the content is of no format that is read */
    BGD_DAMAGED = -4,     /* "damaged": of a known format, but cut short or against its rules */
    BGD_UNSUPPORTED = -5, /* "unsupported": valid, but a variant that is not read (12-bit JPEG, quantised tensors) */
    BGD_LIMIT = -6,       /* "limit": larger than a limit of this header */
    BGD_MEMORY = -7,      /* "memory": an allocation failed */
    BGD_ARGUMENT = -8,    /* "argument": the call or the settings do not fit the model */
    BGD_DEVICE = -9,      /* "device": the device is missing, lost or failed */
    BGD_WRITE = -10,      /* "write": output could not be written (disk full, closed pipe) */
    BGD_NETWORK = -11,    /* "network": a remote object could not be fetched, though it may be there: try again later */
};

#define BGD_CODES 12 /* with BGD_OK: the largest -code and 1 */

struct bgd_err {
    enum bgd_code code;
    char text[1024]; /* one line of UTF-8, NUL-terminated; control bytes of names are replaced by '?' */
};

/* The stable name of a code, as in the table above; "ok" for BGD_OK, "unknown" for anything else. */
const char *bgd_code_name(int code);

/* ---------------------------------------------------------------- images */

/* Limits on a picture, checked from its header before anything is allocated. */
#define BGD_IMAGE_BYTES_MAX (20u << 20) /* encoded bytes */
#define BGD_IMAGE_PIXELS_MAX 50000000u  /* width x height as coded */
#define BGD_IMAGE_SIDE_MAX 16384u       /* pixels a side */
#define BGD_IMAGE_SCANS_MAX 100u        /* scans of a progressive JPEG */

enum bgd_format { BGD_FORMAT_NONE, BGD_JPEG, BGD_PNG, BGD_WEBP, BGD_GIF, BGD_BMP, BGD_TGA };

/* "jpeg", "png", "webp", "gif", "bmp", "tga"; "none" for BGD_FORMAT_NONE. */
const char *bgd_format_name(enum bgd_format format);

/* A decoded picture: 8-bit sRGB, alpha composited on white, upright (EXIF orientation obeyed).
 * Start from `struct bgd_image image = {0};`; decoding into it again reuses its memory. */
struct bgd_image {
    uint8_t *rgb;   /* (height, width, 3), rows contiguous; owned, unless borrowed */
    uint32_t width; /* of `rgb`: may be smaller than the picture (see bgd_image_decode) */
    uint32_t height;
    uint32_t full_width; /* of the picture itself, upright */
    uint32_t full_height;
    enum bgd_format format;
    size_t capacity; /* bytes allocated at `rgb` */
    bool borrowed;   /* `rgb` belongs to the caller: never freed, and replaced when a picture needs more than `capacity` */
};

/*
 * Decodes `size` bytes at `data` into `image`; the format is told from the content.
 *   JPEG (baseline, progressive; grey, YCbCr, RGB, CMYK, YCCK), WebP (lossy, lossless, first frame), PNG
 *   (8/16 bit, palette, alpha), GIF (first frame), BMP, TGA.
 * `min_width` x `min_height` is the size that the caller is going to shrink the upright picture to: the
 * decoder may then decode a JPEG at the smallest DCT scale (1/8, 1/4, 1/2) that is not below it on either side,
 * and a WebP by its scaled decoding. 0 x 0 decodes every pixel.
 * Returns 0, or BGD_UNKNOWN, BGD_DAMAGED (a JPEG cut before its last row is damaged), BGD_UNSUPPORTED, BGD_LIMIT,
 * BGD_MEMORY; `image` then holds no picture but may keep its memory. Thread-safe for different images.
 * A JPEG at 1/8 is decoded without what 1/8 does not show. The pixels are libjpeg's, but of a progressive file whose end and
 * whose scans are all there, damage within the scans that are not needed goes unnoticed.
 */
int bgd_image_decode(const void *data, size_t size, uint32_t min_width, uint32_t min_height, struct bgd_image *image,
                     struct bgd_err *err);

/* Frees the memory and clears the struct; a zeroed image is fine. */
void bgd_image_free(struct bgd_image *image);

/* ---------------------------------------------------------------- models */

struct bgd_model; /* a validated model file (bgdet_format.h) in memory; immutable, may be shared by threads */

/* Reads and validates the file: magic, version, exact length, hash, every table, every shape. */
int bgd_model_open(const char *path, struct bgd_model **model, struct bgd_err *err);
void bgd_model_close(struct bgd_model *model);

/* ---------------------------------------------------------------- pipelines */

struct bgd_pipeline; /* the networks that judge a card, and how they are joined; immutable, may be shared by threads */

/*
 * Opens the pipeline file `path`, or a classifier's model file, which is a pipeline by itself. The file is a JSON object:
 *
 *   {"segmenter":  {"model": "FILE",         optional: without a segmenter the whole card is judged
 *                   "width": 96, "height": 128,      the size that its model was converted for
 *                   "sees": "photo" | "thumbnail",   the decoded photo, or the card at the classifier's size (the
 *                                                    founders' order: shrink first), enlarged again
 *                   "alpha": "soft" | 0..1},         P(object) as it is, or 1 from that number on and else 0
 *    "classifier": {"model": "FILE"}}
 *
 * Model files are looked for from the pipeline file's folder. A classifier of three channels sees the card with its object
 * replaced by the fill colour of its metadata, one of four the card and 1 - P(object) as the fourth.
 * Errors name the file and the key: BGD_MISSING, BGD_DAMAGED (no JSON, unknown key), BGD_ARGUMENT (parts that do not fit).
 */
int bgd_pipeline_open(const char *path, struct bgd_pipeline **pipeline, struct bgd_err *err);
void bgd_pipeline_close(struct bgd_pipeline *pipeline);

/* "resnet18", "tracer-te0 + resnet18". Borrowed. */
const char *bgd_pipeline_name(const struct bgd_pipeline *pipeline);
/* 32 hexadecimal digits that change with any model or setting: a classifier's own hash if it stands alone. Borrowed. */
const char *bgd_pipeline_hash(const struct bgd_pipeline *pipeline);

/* ---------------------------------------------------------------- scoring */

/* Why a card is defective. A model's labels name the reasons that it knows. */
enum bgd_reason { BGD_TEXT, BGD_NOT_WHITE, BGD_EXTRA_OBJECTS, BGD_CROPPED, BGD_DUPLICATES, BGD_REASONS };

/* "text", "not_white", "extra_objects", "cropped", "duplicates". */
const char *bgd_reason_name(enum bgd_reason reason);

/* A model may have a band of P(defective) in which a person is to look (bgdet_format.h, "review"). */
enum bgd_verdict { BGD_CLEAN, BGD_REVIEW, BGD_DEFECTIVE, BGD_VERDICTS };

/* "clean", "review", "defective". */
const char *bgd_verdict_name(enum bgd_verdict verdict);

/* A side of the frame. */
enum bgd_side { BGD_NO_SIDE, BGD_LEFT, BGD_TOP, BGD_RIGHT, BGD_BOTTOM, BGD_SIDES };

/* "none", "left", "top", "right", "bottom". */
const char *bgd_side_name(enum bgd_side side);

/*
 * Where a card shows a reason:
 *   text, extra_objects  what is written, or stands, there
 *   not_white            a part of the background that is not
 *   cropped              a strip along the side of the frame where the main object is cut; `side` says which
 *   duplicates           one of the copies
 * Where nothing of that kind is found, the part of the card in which the classifier saw the reason the most; none if its model
 * file cannot say (bgdet_format.h, "activation").
 */
struct bgd_region {
    enum bgd_reason reason;
    enum bgd_side side;             /* of cropped, where the side is known; else BGD_NO_SIDE */
    float left, top, right, bottom; /* the box, of the upright picture, 0..1 */
    float share;                    /* of the picture's area that shows it: at most the box's */
};

#define BGD_REGIONS_MAX 16

struct bgd_result {
    enum bgd_verdict verdict;   /* review if score lies in the model's band; else defective from its threshold on */
    float score;                /* P(defective), 0..1, calibrated if the model is */
    float reasons[BGD_REASONS]; /* P(reason), likewise; NAN for a reason that the model does not know */
    bool holds[BGD_REASONS];    /* reasons[i] >= the model's threshold for it */

    /* With options.evidence, of a card that is not clean: the regions of each reason that holds, or of the strongest if none
     * does; by reason, and the largest first. */
    uint32_t n_regions;
    struct bgd_region regions[BGD_REGIONS_MAX];
};

struct bgd_engine; /* a pipeline made ready on a device */

/* What the networks compute in. Sums are f32 in all of them. */
enum bgd_precision {
    BGD_PRECISION_AUTO, /* f16 on CUDA, f32 on a CPU */
    BGD_PRECISION_F32,
    BGD_PRECISION_F16, /* CUDA only; so is bf16 */
    BGD_PRECISION_BF16,
    /* f16, but large convolutions multiply FP8 (E4M3). CUDA from compute capability 8.9 on; src/cuda_narrow.h has the details */
    BGD_PRECISION_F8,
};

/* A set of GPUs has bit i for the one that CUDA numbers i: of up to 64. */
#define BGD_GPUS_ALL UINT64_MAX /* that are there */

struct bgd_engine_options {
    const char *device; /* "auto", "onednn", "ref", "cuda"; NULL is "auto": CUDA if a device answers, else oneDNN */
    uint64_t gpus;      /* that share the work, all of one kind; no CPU stands in for them. 0: GPU 0, if the device is CUDA */
    enum bgd_precision precision;
    uint32_t batch;     /* pictures per call of bgd_engine_score at the most; 0: the device's own choice */
    uint32_t lanes;     /* calls that may run at the same time, on each GPU, at the most; 0: 1 */
    uint32_t gpu_lanes; /* where the calls wait (bgd_engine_waits), those on each GPU, instead; 0: as `lanes` */
    bool uncalibrated;  /* every P as the network says it, for whoever fits a calibration: its verdicts are of no use */
    bool evidence;      /* results say where: bgd_result.regions. It changes nothing else in them */
    bool autotune;      /* CUDA only: see below */
};

/*
 * On CUDA, convolutions are computed by plans of cuDNN, which are kept on disk ($XDG_CACHE_HOME or ~/.cache, bgdet/), by device and
 * version of cuDNN. With `autotune` the plans that cuDNN proposes for each are timed on the device, and the fastest is kept for this
 * run and all later ones, with and without `autotune`; it is not timed again. This takes minutes: most plans are compiled first.
 * Another plan may give other last bits, and what identifies a run (run.json) does not name plans: so tune before a run begins;
 * parts of one that are done before and after it may differ there.
 */

/*
 * Makes `pipeline` ready. Its classifier must have a label "defective". The pipeline is borrowed and must outlive the engine.
 * The engine owns what it needs per lane; nothing is allocated per call but what a picture larger than any before it needs.
 */
int bgd_engine_open(const struct bgd_pipeline *pipeline, const struct bgd_engine_options *options, struct bgd_engine **engine,
                    struct bgd_err *err);
void bgd_engine_close(struct bgd_engine *engine);

const char *bgd_engine_device(const struct bgd_engine *engine); /* the backend taken: "onednn", ... */
uint64_t bgd_engine_gpus(const struct bgd_engine *engine);      /* the set that is used; 0 on a CPU */
uint32_t bgd_engine_lanes(const struct bgd_engine *engine);     /* calls at the same time, on all GPUs together */
uint32_t bgd_engine_batch(const struct bgd_engine *engine);     /* pictures per call at the most */
bool bgd_engine_halved(const struct bgd_engine *engine);        /* the batch, since the device's memory holds no more */
/* Does a call of bgd_engine_score for the most part wait, asleep, for a device that computes apart from the host? Otherwise it
 * computes on its thread. */
bool bgd_engine_waits(const struct bgd_engine *engine);
/* Why a faster device of this build was not taken: one line. "" if none was passed over. */
const char *bgd_engine_passed_over(const struct bgd_engine *engine);
uint32_t bgd_engine_width(const struct bgd_engine *engine);  /* the largest size that pictures are shrunk to, */
uint32_t bgd_engine_height(const struct bgd_engine *engine); /* for bgd_image_decode */

/*
 * Scores `n` <= batch pictures into `results`, in order. A picture's result depends on that picture alone: not
 * on `n`, its neighbours, the lane or the number of lanes, to the last bit. One thread per lane (0-based) at a time.
 * Lanes take turns among the GPUs: 0 and 1 are on different ones, where there are two. The error of one that fails names it.
 */
int bgd_engine_score(struct bgd_engine *engine, uint32_t lane, const struct bgd_image *const *images, uint32_t n,
                     struct bgd_result *results, struct bgd_err *err);

/* `bytes` of memory that the device reads pictures from the fastest, on every GPU, valid until the engine is closed; see
 * bgd_image.borrowed. NULL where the heap is as good, or when there is none: then do without. There is one such memory: the
 * next call gives the same again if it is large enough. */
void *bgd_engine_memory(struct bgd_engine *engine, size_t bytes);

/* The size of the masks below; 0 x 0 without a segmenter. */
uint32_t bgd_engine_mask_width(const struct bgd_engine *engine);
uint32_t bgd_engine_mask_height(const struct bgd_engine *engine);

/* Copies the masks of the `n` pictures of the lane's last call: (n, height, width), P(object), 0..1, as the segmenter computed
 * them, before any threshold. BGD_ARGUMENT without a segmenter. From the lane's thread. */
int bgd_engine_masks(struct bgd_engine *engine, uint32_t lane, uint32_t n, float *masks, struct bgd_err *err);

/* Seconds that the calls of bgd_engine_score have spent on each network, its feed included, and on the search for evidence; all
 * lanes added up. May be asked while they run. On CUDA, where work is only put in line, the wait for both networks counts as the
 * classifier's. */
struct bgd_engine_seconds {
    double segment, classify, evidence;
};
struct bgd_engine_seconds bgd_engine_seconds(const struct bgd_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
