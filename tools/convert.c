/* bgdet convert: a PyTorch checkpoint in, a model file out. */
#include "convert/convert.h"
#include "tools.h"

#include <string.h>

/* ---------------------------------------------------------------- options */

static bool set_head(void *settings, const char *value)
{
    struct convert_options *c = settings;
    c->head = value;
    return strcmp(value, "sigmoid") == 0 || strcmp(value, "softmax") == 0;
}

static bool set_input(void *settings, const char *value)
{
    struct convert_options *c = settings;
    return tool_parse_size(value, &c->width, &c->height);
}

static bool set_mean(void *settings, const char *value)
{
    struct convert_options *c = settings;
    return tool_parse_rgb(value, c->mean);
}

static bool set_std(void *settings, const char *value)
{
    struct convert_options *c = settings;
    return tool_parse_rgb(value, c->std) && c->std[0] > 0 && c->std[1] > 0 && c->std[2] > 0;
}

static bool set_fill(void *settings, const char *value)
{
    struct convert_options *c = settings;
    bool right = tool_parse_rgb(value, c->fill);
    for (int i = 0; i < 3; i++)
        right = right && c->fill[i] >= 0 && c->fill[i] <= 1;
    return right;
}

static bool set_dtype(void *settings, const char *value)
{
    struct convert_options *c = settings;
    c->f16 = strcmp(value, "f16") == 0;
    return c->f16 || strcmp(value, "f32") == 0;
}

static const struct option_entry options[] = {
    {'o', "output", "MODEL", "the model file to write", OPTION_FILE(struct convert_options, target)},
    {0, "labels", "A,B,...",
     "one name per class (default: defective,text,not_white,extra_objects,cropped,duplicates for six classes, else 0,1,2,...)",
     OPTION_TEXT(struct convert_options, labels)},
    {0, "head", "HEAD", "sigmoid: each label for itself (default); softmax: one of them",
     OPTION_PARSED_CHOICE(set_head, "sigmoid", "softmax")},
    {0, "input", "WxH",
     "size that cards are shrunk to (default 60x80; at least 63x63 for AlexNet; TRACER: that of its paper's table, 320x320 for "
     "TE0; multiples of 32)",
     OPTION_PARSED(set_input, "WxH")},
    {0, "lrn", NULL, "ZFNet was trained with local response normalisation, which its keys do not show",
     OPTION_FLAG(struct convert_options, lrn)},
    {0, "mean", "R,G,B", "subtracted, on the scale 0..1 (default 0.485,0.456,0.406)", OPTION_PARSED(set_mean, "three numbers")},
    {0, "std", "R,G,B", "divided by (default 0.229,0.224,0.225)", OPTION_PARSED(set_std, "three numbers above 0")},
    {0, "fill", "R,G,B", "what stands where the object was cut out, for 3 channels (default 1,1,1: white)",
     OPTION_PARSED(set_fill, "three numbers of 0..1")},
    {0, "dtype", "TYPE", "f32 or f16: how weights are stored (default f32)", OPTION_PARSED_CHOICE(set_dtype, "f32", "f16")},
    {0},
};

static const struct option_group groups[] = {{NULL, options, 0}, {0}};

static const struct command_exit exits[] = {
    {EXIT_DONE, "written"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable checkpoint"},
    {EXIT_MISSING, "no such file"},
    {EXIT_RETRY, "could not be written"},
    {0},
};

/* ---------------------------------------------------------------- the command */

static int run(int argc, char **argv)
{
    struct convert_options c = {.head = "sigmoid",
                                .mean = {0.485f, 0.456f, 0.406f},
                                .std = {0.229f, 0.224f, 0.225f},
                                .fill = {1, 1, 1}}; /* ImageNet's, torchvision's default */
    int code;
    if (!options_parse(&tool_convert, &c, &argc, &argv, &code))
        return code;
    if (argc != 1)
        return tool_usage("convert", "%d checkpoints named, expected 1", argc);
    if (!c.target)
        return tool_usage("convert", "no --output MODEL");
    c.source = argv[0];
    char summary[256];
    struct bgd_err err;
    if (convert_run(&c, summary, &err))
        return tool_fail(&err);
    printf("%s: %s\n", c.target, summary);
    return EXIT_DONE;
}

const struct command tool_convert = {
    .name = "convert",
    .summary = "turn a PyTorch checkpoint into a model file",
    .synopsis = {"CHECKPOINT -o MODEL [options]"},
    .text = "Reads a PyTorch checkpoint (.pth or .pt, zip or legacy; .safetensors; told apart by content, never executed) and "
            "writes a model file: a classifier from an AlexNet, a VGG-11, 13, 16 or 19 (with batch-norm or without) or a "
            "ResNet-18, 34, 50, 101 or 152, all with torchvision's keys, or from a ZFNet with those of "
            "tools/train/networks.py; a segmenter from a TRACER-Efficient 0 to 7 with the official keys or carvekit's. The "
            "checkpoint may be a state_dict or hold one under \"state_dict\" or \"model\"; keys may begin with \"module.\". A "
            "tensor that is missing or left over fails the conversion.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
