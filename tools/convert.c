/* bgdet convert: a PyTorch checkpoint in, a model file out. */
#include "convert/convert.h"
#include "tools.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "usage: bgdet convert CHECKPOINT -o MODEL [options]\n"
    "\n"
    "Reads a PyTorch checkpoint (.pth or .pt, zip or legacy; .safetensors; told apart by content, never executed) and writes\n"
    "a model file: a classifier from an AlexNet, a VGG-11, 13, 16 or 19 (with batch-norm or without) or a ResNet-18, 34, 50,\n"
    "101 or 152, all with torchvision's keys, or from a ZFNet with those of tools/train/networks.py; a segmenter from a\n"
    "TRACER-Efficient 0 to 7 with the official keys or carvekit's. The checkpoint may be a state_dict or hold one under\n"
    "\"state_dict\" or \"model\"; keys may begin with \"module.\". A tensor that is missing or left over fails the\n"
    "conversion.\n"
    "\n"
    "  -o, --output MODEL   the model file to write\n"
    "      --labels A,B,... one name per class (default: defective,text,not_white,extra_objects,cropped,duplicates\n"
    "                       for six classes, else 0,1,2,...)\n"
    "      --head HEAD      sigmoid: each label for itself (default); softmax: one of them\n"
    "      --input WxH      size that cards are shrunk to (default 60x80; at least 63x63 for AlexNet; TRACER: that of its\n"
    "                       paper's table, 320x320 for TE0; multiples of 32)\n"
    "      --lrn            ZFNet was trained with local response normalisation, which its keys do not show\n"
    "      --mean R,G,B     subtracted, on the scale 0..1 (default 0.485,0.456,0.406)\n"
    "      --std R,G,B      divided by (default 0.229,0.224,0.225)\n"
    "      --fill R,G,B     what stands where the object was cut out, for 3 channels (default 1,1,1: white)\n"
    "      --dtype TYPE     f32 or f16: how weights are stored (default f32)\n"
    "\n"
    "Exit: 0 written, 64 usage, 65 unusable checkpoint, 66 no such file, 75 could not be written.\n";

enum { OPT_LABELS = 256, OPT_HEAD, OPT_INPUT, OPT_MEAN, OPT_STD, OPT_FILL, OPT_LRN, OPT_DTYPE };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"labels", required_argument, NULL, OPT_LABELS},
    {"head", required_argument, NULL, OPT_HEAD},
    {"input", required_argument, NULL, OPT_INPUT},
    {"mean", required_argument, NULL, OPT_MEAN},
    {"std", required_argument, NULL, OPT_STD},
    {"fill", required_argument, NULL, OPT_FILL},
    {"lrn", no_argument, NULL, OPT_LRN},
    {"dtype", required_argument, NULL, OPT_DTYPE},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int set_option(struct convert_options *c, int option, char **argv)
{
    switch (option) {
    case 'o': c->target = optarg; return 0;
    case OPT_LABELS: c->labels = optarg; return 0;
    case OPT_HEAD:
        c->head = optarg;
        return strcmp(optarg, "softmax") == 0 || strcmp(optarg, "sigmoid") == 0
                   ? 0
                   : tool_usage("convert", "--head %s: expected softmax or sigmoid", optarg);
    case OPT_INPUT:
        return tool_parse_size(optarg, &c->width, &c->height) ? 0 : tool_usage("convert", "--input %s: expected WxH", optarg);
    case OPT_MEAN:
        return tool_parse_rgb(optarg, c->mean) ? 0 : tool_usage("convert", "--mean %s: expected three numbers", optarg);
    case OPT_STD:
        return tool_parse_rgb(optarg, c->std) && c->std[0] > 0 && c->std[1] > 0 && c->std[2] > 0
                   ? 0
                   : tool_usage("convert", "--std %s: expected three numbers above 0", optarg);
    case OPT_FILL:
        return tool_parse_rgb(optarg, c->fill) && c->fill[0] >= 0 && c->fill[0] <= 1 && c->fill[1] >= 0 && c->fill[1] <= 1 &&
                       c->fill[2] >= 0 && c->fill[2] <= 1
                   ? 0
                   : tool_usage("convert", "--fill %s: expected three numbers of 0..1", optarg);
    case OPT_LRN: c->lrn = true; return 0;
    case OPT_DTYPE:
        c->f16 = strcmp(optarg, "f16") == 0;
        return c->f16 || strcmp(optarg, "f32") == 0 ? 0 : tool_usage("convert", "--dtype %s: expected f32 or f16", optarg);
    default: return tool_bad_option("convert", option, argv);
    }
}

int tool_convert(int argc, char **argv)
{
    struct convert_options c = {.head = "sigmoid",
                                .mean = {0.485f, 0.456f, 0.406f},
                                .std = {0.229f, 0.224f, 0.225f},
                                .fill = {1, 1, 1}}; /* ImageNet's, torchvision's default */
    int option, code;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if ((code = set_option(&c, option, argv)))
            return code;
    }
    if (argc - optind != 1)
        return tool_usage("convert", "%d checkpoints named, expected 1", argc - optind);
    if (!c.target)
        return tool_usage("convert", "no --output MODEL");
    c.source = argv[optind];
    char summary[256];
    struct bgd_err err;
    if (convert_run(&c, summary, &err))
        return tool_fail(&err);
    printf("%s: %s\n", c.target, summary);
    return EXIT_DONE;
}
