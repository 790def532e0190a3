/*
 * Every convolution that the CUDA backend asks cuDNN for, of every supported network: shapes/networks.txt, for which
 * gpu/test_plans.sh finds out whether cuDNN has a plan for each. With BGDET_WRITE_SHAPES=1 the file is written anew.
 */
#include "convert/convert.h"
#include "cuda_network.h"
#include "model.h"
#include "sequential_dict.h"
#include "tracer_dict.h"

#define SHAPES BGDET_SOURCE_DIR "/tests/shapes/networks.txt"
#define CONVS_MAX 2000u

struct named_conv {
    char name[64]; /* the first network and op that has it */
    struct cudnn_conv conv;
};

struct list {
    struct named_conv convs[CONVS_MAX];
    uint32_t n;
};

static const struct {
    const char *name;
    struct tracer_spec spec;
    uint32_t width, height;
} tracers[] = {
    {"te0", {.arch = 0, .encoder = "model", .edges = true}, 96, 128},
    {"te1", {.arch = 1, .encoder = "model", .edges = true}, 96, 128},
    {"te2", {.arch = 2, .encoder = "model", .edges = true}, 96, 128},
    {"te3", {.arch = 3, .encoder = "model", .edges = true}, 96, 128},
    {"te4", {.arch = 4, .encoder = "model", .edges = true}, 96, 128},
    {"te5", {.arch = 5, .encoder = "model", .edges = true}, 96, 128},
    {"te6", {.arch = 6, .encoder = "model", .edges = true}, 96, 128},
    {"te7", {.arch = 7, .encoder = "model", .edges = true}, 96, 128},
    {"b7", {.arch = 7, .encoder = "encoder"}, 96, 128}, /* carvekit's: without edges */
    {"te0-320", {.arch = 0, .encoder = "model", .edges = true}, 320, 320},
};

/* At the size of small cards, which is a little more for AlexNet, and at ImageNet's. No other VGG has a shape that VGG-16
 * lacks. */
static const struct {
    const char *name, *dict;
    uint32_t width, height;
} sequentials[] = {
    {"alexnet", "alexnet", 63, 84},   {"alexnet-224", "alexnet", 224, 224}, {"zfnet", "zfnet", 60, 80},
    {"zfnet-224", "zfnet", 224, 224}, {"vgg16", "vgg16", 60, 80},           {"vgg16-224", "vgg16", 224, 224},
};

static char *folder;

static void enter(void)
{
    folder = scratch_enter();
}

static void leave(void)
{
    scratch_leave(folder);
}

TestSuite(cuda_networks, .init = enter, .fini = leave);

/* Frees the state dict. */
static struct bgd_model *convert(struct state_dict *s, uint32_t width, uint32_t height)
{
    const struct convert_options options = {.source = "a.safetensors",
                                            .target = "a.bgd",
                                            .head = "sigmoid",
                                            .width = width,
                                            .height = height,
                                            .std = {1, 1, 1},
                                            .f16 = true}; /* a smaller file: no weight is looked at */
    char summary[256];
    struct bgd_err err = {0};
    struct bgd_model *model;
    state_dict_write(s, options.source, "", NULL);
    state_dict_free(s);
    cr_assert_eq(convert_run(&options, summary, &err), 0, "%s", err.text);
    cr_assert_eq(bgd_model_open(options.target, &model, &err), 0, "%s", err.text);
    return model;
}

static void add_conv(struct list *list, const char *network, const struct cuda_step *step)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (memcmp(&list->convs[i].conv, &step->conv, sizeof step->conv) == 0)
            return;
    cr_assert_lt(list->n, CONVS_MAX);
    struct named_conv *added = &list->convs[list->n++];
    cr_assert_lt((size_t)snprintf(added->name, sizeof added->name, "%s/%s", network, step->name), sizeof added->name);
    added->conv = step->conv;
}

/* With blocks that are not fused, which have all of them. Frees the state dict. */
static void add_network(struct list *list, const char *name, struct state_dict *s, uint32_t width, uint32_t height)
{
    struct bgd_model *model = convert(s, width, height);
    struct cuda_network *net;
    struct bgd_err err = {0};
    uint32_t batch = cuda_network_batch(model, KERNEL_F16);
    cr_assert_eq(cuda_network_create(model, KERNEL_F16, batch, false, &net, &err), 0, "%s: %s", name, err.text);
    for (uint32_t i = 0; i < net->n_steps; i++)
        if (net->steps[i].kind == CUDA_CONV)
            add_conv(list, name, &net->steps[i]);
    cuda_network_destroy(net);
    bgd_model_close(model);
}

static void print_conv(FILE *file, const struct named_conv *named)
{
    static const char *const activations[] = {[KERNEL_NONE] = "none",
                                              [KERNEL_RELU] = "relu",
                                              [KERNEL_SIGMOID] = "sigmoid",
                                              [KERNEL_SILU] = "silu",
                                              [KERNEL_SELU] = "selu"};
    const struct cudnn_conv *c = &named->conv;
    const struct bgd_window *k = &c->window;
    fprintf(file, "%-44s f16 %4u %4u %3u %3u %4u  %4u %4u  %u %u  %u %u  %u %u %u %u  %u %u  %4u %s\n", named->name, c->n, c->c,
            c->h, c->w, c->pitch, c->out_c, c->out_pitch, k->kernel_h, k->kernel_w, k->stride_h, k->stride_w, k->pad_top,
            k->pad_left, k->pad_bottom, k->pad_right, k->dilation_h, k->dilation_w, c->residual_pitch,
            activations[c->activation]);
}

/* In the format of shapes/plans.txt, to be freed. */
static char *print_list(const struct list *list)
{
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    cr_assert(file);
    fprintf(file, "# Every convolution of every supported network, named after the first that has it (test_cuda_networks.c)\n"
                  "# name type  n  c h w pitch  out_c pitch  kernel  stride  pads t,l,b,r  dilation  residual activation\n");
    for (uint32_t i = 0; i < list->n; i++)
        print_conv(file, &list->convs[i]);
    cr_assert_eq(fclose(file), 0);
    return text;
}

static void check_lines(const char *kept, const char *found)
{
    for (uint32_t line = 1; *kept || *found; line++) {
        int a = (int)strcspn(kept, "\n"), b = (int)strcspn(found, "\n");
        cr_assert(a == b && memcmp(kept, found, (size_t)a) == 0,
                  "%s:%u: \"%.*s\", the networks have \"%.*s\"; BGDET_WRITE_SHAPES=1 writes the file anew", SHAPES, line, a,
                  kept, b, found);
        kept += a + (kept[a] != 0);
        found += b + (found[b] != 0);
    }
}

/* How many steps of that kind `net` has. */
static uint32_t count_steps(const struct cuda_network *net, enum cuda_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < net->n_steps; i++)
        n += net->steps[i].kind == kind;
    return n;
}

static void check_blocks(const struct bgd_model *model, enum kernel_type type, bool fuse_blocks, uint32_t expand,
                         uint32_t project)
{
    struct cuda_network *net;
    struct bgd_err err = {0};
    cr_assert_eq(cuda_network_create(model, type, cuda_network_batch(model, type), fuse_blocks, &net, &err), 0, "%s", err.text);
    cr_expect_eq(count_steps(net, CUDA_EXPAND), expand, "%u", count_steps(net, CUDA_EXPAND));
    cr_expect_eq(count_steps(net, CUDA_PROJECT), project, "%u", count_steps(net, CUDA_PROJECT));
    cuda_network_destroy(net);
}

/* Blocks 1 to 5 have up to 40 inputs; all 16 have a gate and up to 320 outputs. */
Test(cuda_networks, a_te0_has_its_blocks_fused)
{
    struct bgd_model *model =
        convert(tracer_dict((struct tracer_spec){.arch = 0, .encoder = "model", .edges = true}), 320, 320);
    check_blocks(model, KERNEL_F16, true, 5, 16);
    check_blocks(model, KERNEL_BF16, true, 5, 16);
    check_blocks(model, KERNEL_F16, false, 0, 0);
    check_blocks(model, KERNEL_F32, true, 0, 0);
    bgd_model_close(model);
}

/* Whose values are in f16. */
Test(cuda_networks, the_batch_for_f8_is_that_for_f16)
{
    struct bgd_model *model =
        convert(tracer_dict((struct tracer_spec){.arch = 0, .encoder = "model", .edges = true}), 640, 640);
    uint32_t half = cuda_network_batch(model, KERNEL_F16);
    cr_expect_lt(half, 256);
    cr_expect_eq(cuda_network_batch(model, KERNEL_F8), half);
    cr_expect_eq(cuda_network_batch(model, KERNEL_BF16), half);
    cr_expect_eq(cuda_network_batch(model, KERNEL_F32), half / 2);
    bgd_model_close(model);
}

Test(cuda_networks, all_their_convolutions_are_listed)
{
    static const int depths[] = {18, 34, 50, 101, 152};
    struct list *list = calloc(1, sizeof *list);
    char name[32];
    for (int i = 0; i < 5; i++)
        for (uint32_t channels = 3; channels <= 4; channels++) {
            snprintf(name, sizeof name, "resnet%d%s", depths[i], channels == 4 ? "-4" : "");
            add_network(list, name, state_dict_resnet(depths[i], 64, channels, 6), 60, 80);
        }
    for (size_t i = 0; i < sizeof tracers / sizeof tracers[0]; i++)
        add_network(list, tracers[i].name, tracer_dict(tracers[i].spec), tracers[i].width, tracers[i].height);
    for (size_t i = 0; i < sizeof sequentials / sizeof sequentials[0]; i++)
        add_network(list, sequentials[i].name, sequential_dict(sequentials[i].dict, 1, 3, 6), sequentials[i].width,
                    sequentials[i].height);
    char *text = print_list(list);
    if (getenv("BGDET_WRITE_SHAPES")) {
        scratch_text(SHAPES, text);
    } else {
        char *kept = scratch_read(SHAPES, NULL);
        check_lines(kept, text);
        free(kept);
    }
    free(text);
    free(list);
}
