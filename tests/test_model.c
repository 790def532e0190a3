/*
 * The reader of model files against damage and malice. Every case parses a heap block of the file's exact size, so that ASan
 * sees a read past it; a model that is accepted all the same is run on the reference.
 */
#include "hash.h"
#include "nets.h"
#include "scratch.h"

#include <string.h>
#include <sys/stat.h>

struct file {
    uint8_t *bytes;
    size_t size;
};

/* A classifier with every op of the list, as small as can be. */
static struct file make_file(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 4, 3});
    uint32_t a = graph_op(g, BGD_OP_RELU, "a", net_conv(g, "conv", x, 2, graph_window(3, 1, 1), 1, 1), 0);
    uint32_t b = graph_op(g, BGD_OP_SOFTMAX, "b",
                          graph_op(g, BGD_OP_ADD, "sum", a, net_conv(g, "dw", a, 2, graph_window(1, 1, 0), 2, 3)), 0);
    uint32_t c = graph_op(g, BGD_OP_GLOBAL_MEAN, "mean", graph_max_pool(g, "pool", b, graph_window(2, 2, 1)), 0);
    uint32_t logits = net_dense(g, "logits", c, 2, 5);
    graph_output(g, logits);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "scores", logits, 0));
    struct meta meta = net_classifier_meta(2, 3, 3, 4);
    struct file file;
    struct bgd_err err = {0};
    cr_assert_eq(graph_encode(g, &meta, BGD_F16, &file.bytes, &file.size, &err), 0, "%s", err.text);
    graph_close(g);
    return file;
}

static struct file copy_of(struct file file, size_t size)
{
    struct file copy = {malloc(size), size};
    memcpy(copy.bytes, file.bytes, size < file.size ? size : file.size);
    return copy;
}

static struct bgd_format_header *header(struct file file)
{
    return (struct bgd_format_header *)(void *)file.bytes;
}

static struct bgd_format_value *values(struct file file)
{
    return (struct bgd_format_value *)(void *)(file.bytes + 128);
}

static struct bgd_format_tensor *tensors(struct file file)
{
    return (struct bgd_format_tensor *)(void *)(values(file) + header(file)->n_values);
}

static struct bgd_format_op *ops(struct file file)
{
    return (struct bgd_format_op *)(void *)(tensors(file) + header(file)->n_tensors);
}

static void rehash(struct file file)
{
    header(file)->file_bytes = file.size;
    hash_bytes(file.bytes + 32, file.size - 32, header(file)->hash);
}

static void run_on_reference(const struct bgd_model *model)
{
    float *inputs[BGD_FORMAT_INPUTS_MAX], *outputs[BGD_FORMAT_OUTPUTS_MAX];
    for (uint32_t i = 0; i < model->header->n_inputs; i++)
        inputs[i] = net_input(model, i, 1, i);
    net_run(&backend_ref, model, 1, 1, inputs, outputs);
    for (uint32_t i = 0; i < model->header->n_inputs; i++)
        free(inputs[i]);
    for (uint32_t i = 0; i < model->header->n_outputs; i++)
        free(outputs[i]);
}

/* Parses and frees `file`. `text` NULL: either accepted, and then it runs, or refused with a reason. */
static void judge(struct file file, enum bgd_code code, const char *text, const char *what)
{
    struct bgd_model *model = (void *)1;
    struct bgd_err err = {0};
    int got = model_parse(file.bytes, file.size, &model, &err);
    if (text) {
        cr_expect_eq(got, code, "%s: %d, \"%s\"", what, got, err.text);
        cr_expect(strstr(err.text, text), "%s says \"%s\", expected \"%s\"", what, err.text, text);
    } else if (got == 0) {
        run_on_reference(model);
    } else {
        cr_expect_gt(strlen(err.text), 10, "%s", what);
    }
    cr_expect(got == 0 ? model != NULL : model == NULL && err.code == got, "%s", what);
    bgd_model_close(model);
    free(file.bytes);
}

Test(model, the_file_that_the_tests_break_is_good)
{
    struct file file = make_file();
    struct net net = net_parse(file.bytes, file.size);
    run_on_reference(net.model);
    char text[HASH_TEXT], expected[HASH_TEXT];
    model_hash_text(net.model, text);
    hash_text(file.bytes + 32, file.size - 32, expected);
    cr_expect_str_eq(text, expected);
    net_close(&net);
}

Test(model, every_cut_is_refused)
{
    struct file file = make_file();
    for (size_t size = 0; size < file.size; size++) {
        judge(copy_of(file, size), BGD_DAMAGED, size < 128 ? "shorter than a model file's header" : "cut short", "a cut");
        if (size >= 128) { /* and with the header's length and hash made to fit */
            struct file cut = copy_of(file, size);
            rehash(cut);
            judge(cut, BGD_DAMAGED, "", "a cut that knows its length");
        }
    }
    free(file.bytes);
}

Test(model, one_byte_more_is_refused)
{
    struct file file = make_file(), longer = copy_of(file, file.size + 1);
    longer.bytes[file.size] = 0;
    judge(copy_of(longer, longer.size), BGD_DAMAGED, "too long", "a byte more");
    rehash(longer);
    judge(longer, BGD_DAMAGED, "the tensors end at", "a byte more that the header knows of");
    free(file.bytes);
}

Test(model, every_flipped_bit_is_refused)
{
    struct file file = make_file();
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        struct file bad = copy_of(file, file.size);
        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit < 64)
            judge(bad, BGD_UNKNOWN, "not a model file", "magic");
        else if (bit < 96)
            judge(bad, BGD_UNSUPPORTED, "format version", "version");
        else if (bit < 128)
            judge(bad, BGD_DAMAGED, "header of", "header_bytes");
        else if (bit >= 256 && bit < 320)
            judge(bad, BGD_DAMAGED, "the header says", "file_bytes");
        else
            judge(bad, BGD_DAMAGED, "the hash does not match", "content");
    }
    free(file.bytes);
}

Test(model, every_flipped_bit_of_the_tables_with_its_hash_is_refused_or_right)
{
    struct file file = make_file();
    size_t end = (size_t)(ops(file) + header(file)->n_ops) - (size_t)file.bytes + (size_t)header(file)->meta_bytes;
    for (size_t bit = 40 * 8; bit < end * 8; bit++) {
        struct file bad = copy_of(file, file.size);
        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rehash(bad);
        judge(bad, 0, NULL, "a flipped bit");
    }
    free(file.bytes);
}

static const uint64_t boundary[] = {0,
                                    1,
                                    2,
                                    3,
                                    7,
                                    8,
                                    127,
                                    128,
                                    255,
                                    256,
                                    257,
                                    4095,
                                    4096,
                                    4097,
                                    8191,
                                    8192,
                                    8193,
                                    65535,
                                    65536,
                                    65537,
                                    INT32_MAX - 1,
                                    INT32_MAX,
                                    (uint64_t)INT32_MAX + 1,
                                    (uint64_t)INT32_MAX + 2,
                                    UINT32_MAX - 1,
                                    UINT32_MAX,
                                    (uint64_t)UINT32_MAX + 1,
                                    (uint64_t)UINT32_MAX + 2,
                                    INT64_MAX,
                                    (uint64_t)INT64_MAX + 1,
                                    UINT64_MAX - 7,
                                    UINT64_MAX - 1,
                                    UINT64_MAX};

/* Every integer of the tables, at each boundary value and one off its own. */
Test(model, every_integer_at_its_boundaries_is_refused_or_right)
{
    struct file file = make_file();
    size_t tables = (size_t)(ops(file) + header(file)->n_ops) - (size_t)file.bytes;
    for (size_t at = 8; at < tables; at += 4)
        for (size_t i = 0; i < sizeof boundary / sizeof boundary[0] + 2; i++)
            for (size_t width = 4; width <= 8; width += 4) {
                uint64_t value = 0;
                memcpy(&value, file.bytes + at, width);
                value = i < sizeof boundary / sizeof boundary[0] ? boundary[i] : value + 1 - 2 * (i & 1);
                if (at + width > tables || (width == 4 && value > UINT32_MAX) || (width == 8 && value <= UINT32_MAX))
                    continue;
                struct file bad = copy_of(file, file.size);
                memcpy(bad.bytes + at, &value, width);
                uint64_t stated = header(bad)->file_bytes;
                rehash(bad);
                if (at < 40 && at + width > 32) { /* the length itself: keep what was written */
                    header(bad)->file_bytes = stated;
                    hash_bytes(bad.bytes + 32, bad.size - 32, header(bad)->hash);
                }
                judge(bad, 0, NULL, "a boundary value");
            }
    free(file.bytes);
}

/* One change to a copy, hashed again, refused by its own reason. */
#define REFUSES(change, code, text)                                                                                            \
    do {                                                                                                                       \
        struct file bad = copy_of(file, file.size);                                                                            \
        change;                                                                                                                \
        rehash(bad);                                                                                                           \
        judge(bad, code, text, #change);                                                                                       \
    } while (0)

Test(model, each_rule_of_the_header_has_its_reason)
{
    struct file file = make_file();
    REFUSES(memcpy(bad.bytes, "ledomdgb", 8), BGD_UNKNOWN, "not a model file");
    REFUSES(header(bad)->version = 0, BGD_UNSUPPORTED, "format version 0");
    REFUSES(header(bad)->version = 2, BGD_UNSUPPORTED, "format version 2, this program reads 1");
    REFUSES(header(bad)->version = 1u << 24, BGD_UNSUPPORTED, "format version 16777216"); /* big-endian */
    REFUSES(header(bad)->header_bytes = 132, BGD_DAMAGED, "header of 132 bytes");
    REFUSES(header(bad)->n_values = 4097, BGD_LIMIT, "4097 values");
    REFUSES(header(bad)->n_tensors = 8193, BGD_LIMIT, "8193 tensors");
    REFUSES(header(bad)->n_tensors = 8192, BGD_DAMAGED, "bytes cannot hold");
    REFUSES(header(bad)->n_inputs = 0, BGD_DAMAGED, "0 inputs");
    REFUSES(header(bad)->n_inputs = 5, BGD_DAMAGED, "5 inputs");
    REFUSES(header(bad)->n_ops = UINT32_MAX, BGD_DAMAGED, "4294967295 ops");
    REFUSES((header(bad)->n_inputs = 2, header(bad)->n_ops = UINT32_MAX, header(bad)->n_values = 1), BGD_DAMAGED,
            "do not make 1 values");
    REFUSES(header(bad)->n_outputs = 0, BGD_DAMAGED, "0 outputs");
    REFUSES(header(bad)->n_outputs = 9, BGD_DAMAGED, "9 outputs");
    REFUSES(header(bad)->outputs[0] = 99, BGD_DAMAGED, "output 0 is value 99");
    REFUSES(header(bad)->outputs[2] = 1, BGD_DAMAGED, "unused header fields");
    REFUSES(header(bad)->reserved[6] = 1, BGD_DAMAGED, "unused header fields");
    REFUSES(header(bad)->meta_bytes = 0, BGD_LIMIT, "metadata of 0 bytes");
    REFUSES(header(bad)->meta_bytes = (1 << 20) + 1, BGD_LIMIT, "metadata of 1048577 bytes");
    REFUSES(header(bad)->meta_bytes = UINT64_MAX, BGD_LIMIT, "metadata of");
    REFUSES(header(bad)->meta_bytes = 1 << 20, BGD_DAMAGED, "bytes cannot hold");
    free(file.bytes);
}

Test(model, each_rule_of_values_and_tensors_has_its_reason)
{
    struct file file = make_file();
    REFUSES(values(bad)[1].name[0] = 0, BGD_DAMAGED, "value 1: the name");
    REFUSES(memset(values(bad)[1].name, 'a', 64), BGD_DAMAGED, "value 1: the name");
    REFUSES(values(bad)[1].name[63] = 'a', BGD_DAMAGED, "value 1: the name");
    REFUSES(values(bad)[1].name[1] = '\n', BGD_DAMAGED, "value 1: the name");
    REFUSES(values(bad)[1].name[1] = (char)0xff, BGD_DAMAGED, "value 1: the name");
    REFUSES(memcpy(values(bad)[1].name, values(bad)[2].name, 64), BGD_DAMAGED, "two values are named \"a\"");
    REFUSES(memcpy(tensors(bad)[1].name, tensors(bad)[2].name, 64), BGD_DAMAGED, "two tensors are named \"dw.weight\"");
    REFUSES(values(bad)[1].c = 0, BGD_DAMAGED, "value 1: shape (0, 4, 3)");
    REFUSES(values(bad)[1].h = 65537, BGD_DAMAGED, "value 1: shape (2, 65537, 3)");
    REFUSES((values(bad)[0].c = values(bad)[0].h = values(bad)[0].w = 65536), BGD_DAMAGED, "at most 2^30 elements");
    REFUSES(values(bad)[1].reserved = 1, BGD_DAMAGED, "value 1: an unused field");
    REFUSES(values(bad)[1].c = 3, BGD_DAMAGED, "op 0 (conv): computes (2, 4, 3), its value says (3, 4, 3)");
    REFUSES(tensors(bad)[0].name[0] = ' ', BGD_DAMAGED, "tensor 0: the name");
    REFUSES(tensors(bad)[0].dtype = 0, BGD_DAMAGED, "tensor 0: dtype 0");
    REFUSES(tensors(bad)[0].dtype = 3, BGD_DAMAGED, "tensor 0: dtype 3");
    REFUSES(tensors(bad)[0].ndim = 0, BGD_DAMAGED, "tensor 0: 0 dimensions");
    REFUSES(tensors(bad)[0].ndim = 9, BGD_DAMAGED, "tensor 0: 9 dimensions");
    REFUSES(tensors(bad)[0].dims[1] = 0, BGD_DAMAGED, "tensor 0: dimension 1 is 0");
    REFUSES(tensors(bad)[1].dims[3] = 1, BGD_DAMAGED, "tensor 1: dimension 3 is 1");
    REFUSES((tensors(bad)[0].dims[0] = tensors(bad)[0].dims[1] = tensors(bad)[0].dims[2] = UINT32_MAX), BGD_DAMAGED,
            "tensor 0: dimension 1 is 4294967295");
    REFUSES((tensors(bad)[0].dims[0] = 1u << 31, tensors(bad)[0].dims[1] = 1u << 31, tensors(bad)[0].dims[2] = 1), BGD_DAMAGED,
            "tensor 0: "); /* the product x 2 bytes wraps to 0 x 3 */
    REFUSES(tensors(bad)[0].bytes++, BGD_DAMAGED, "tensor 0: 109 bytes, its shape needs 108");
    REFUSES(tensors(bad)[0].offset = 0, BGD_DAMAGED, "tensor 0 (conv.weight): 108 bytes at 0");
    REFUSES(tensors(bad)[0].offset++, BGD_DAMAGED, "tensor 0 (conv.weight): 108 bytes at");
    REFUSES(tensors(bad)[0].offset = UINT64_MAX - 255, BGD_DAMAGED, "tensor 0 (conv.weight)");
    /* 2 x 128 x (2^28 - 1) x (2^28 + 1) = 2^64 - 256 bytes: the end wraps to before the start. */
    REFUSES((memcpy(tensors(bad)[0].dims, (uint32_t[]){128, 268435455, 268435457, 1}, 16),
             tensors(bad)[0].bytes = UINT64_MAX - 255),
            BGD_DAMAGED, "tensor 0 (conv.weight): 18446744073709551360 bytes at");
    REFUSES(tensors(bad)[1].offset = tensors(bad)[0].offset, BGD_DAMAGED, "tensor 1 (conv.bias)"); /* overlap */
    REFUSES(tensors(bad)[1].offset += 256, BGD_DAMAGED, "tensor 1 (conv.bias)");                   /* a hole */
    REFUSES(bad.bytes[tensors(bad)[0].offset - 1] = 1, BGD_DAMAGED, "tensor 0 (conv.weight): the gap before it");
    REFUSES(bad.bytes[tensors(bad)[1].offset - 1] = 1, BGD_DAMAGED, "tensor 1 (conv.bias): the gap before it");
    REFUSES(bad.bytes[tensors(bad)[0].offset + tensors(bad)[0].bytes] = 1, BGD_DAMAGED, "tensor 1 (conv.bias): the gap");
    free(file.bytes);
}

Test(model, each_rule_of_the_graph_has_its_reason)
{
    struct file file = make_file();
    REFUSES(ops(bad)[0].code = 0, BGD_DAMAGED, "op 0 (conv): op code 0");
    REFUSES(ops(bad)[0].code = 20, BGD_DAMAGED, "op 0 (conv): op code 20");
    REFUSES(ops(bad)[0].code = UINT32_MAX, BGD_DAMAGED, "op 0 (conv): op code 4294967295");
    REFUSES(ops(bad)[1].inputs[0] = 2, BGD_DAMAGED, "op 1 (a): reads value 2, which is not computed before it"); /* itself */
    REFUSES(ops(bad)[1].inputs[0] = 3, BGD_DAMAGED, "op 1 (a): reads value 3");                                  /* a cycle */
    REFUSES(ops(bad)[1].inputs[0] = UINT32_MAX, BGD_DAMAGED, "op 1 (a): reads value 4294967295");
    REFUSES(ops(bad)[1].inputs[1] = 1, BGD_DAMAGED, "op 1 (a): 1 inputs, 0 tensors, or unused fields");
    REFUSES(ops(bad)[1].n_inputs = 9, BGD_DAMAGED, "op 1 (a): 9 inputs");
    REFUSES(ops(bad)[1].n_inputs = UINT32_MAX, BGD_DAMAGED, "op 1 (a): 4294967295 inputs");
    REFUSES(ops(bad)[1].n_inputs = 0, BGD_DAMAGED, "op 1 (a): 0 inputs");
    REFUSES(ops(bad)[1].n_inputs = 2, BGD_DAMAGED, "op 1 (a): relu has 2 inputs");
    REFUSES(ops(bad)[1].n_tensors = 4, BGD_DAMAGED, "op 1 (a): 1 inputs, 4 tensors");
    REFUSES(ops(bad)[1].n_tensors = 1, BGD_DAMAGED, "op 1 (a): relu has 1 inputs and 1 tensors");
    REFUSES(ops(bad)[1].groups = 1, BGD_DAMAGED, "op 1 (a): relu has 1 groups");
    REFUSES(ops(bad)[1].window.pad_top = 1, BGD_DAMAGED, "op 1 (a): relu has a window");
    REFUSES(ops(bad)[1].size[1] = 1, BGD_DAMAGED, "op 1 (a): relu has size[1] 1");
    REFUSES(ops(bad)[1].k = 1, BGD_DAMAGED, "op 1 (a): relu has beta 0 and k 1");
    REFUSES(ops(bad)[0].tensors[0] = 6, BGD_DAMAGED, "op 0 (conv): reads tensor 6 of 6");
    REFUSES(ops(bad)[0].tensors[0] = 1, BGD_DAMAGED, "op 0 (conv): weight (2, 0, 0, 0)");
    REFUSES(ops(bad)[0].tensors[1] = 0, BGD_DAMAGED, "op 0 (conv): bias has 4 dimensions");
    REFUSES(ops(bad)[0].tensors[1] = 3, BGD_DAMAGED, "tensor 1 (conv.bias): no op reads it");
    REFUSES(ops(bad)[0].groups = 0, BGD_DAMAGED, "op 0 (conv): 0 groups");
    REFUSES(ops(bad)[0].groups = 2, BGD_DAMAGED, "op 0 (conv): 2 groups do not divide 3");
    REFUSES(ops(bad)[0].groups = 3, BGD_DAMAGED, "op 0 (conv): weight (2, 3, 3, 3)");
    REFUSES(ops(bad)[0].window.kernel_h = 0, BGD_DAMAGED, "op 0 (conv): kernel 0x3");
    REFUSES(ops(bad)[0].window.kernel_w = 65, BGD_DAMAGED, "op 0 (conv): kernel 3x65");
    REFUSES(ops(bad)[0].window.kernel_w = 2, BGD_DAMAGED, "op 0 (conv): weight (2, 3, 3, 3)");
    REFUSES(ops(bad)[0].window.stride_w = 0, BGD_DAMAGED, "op 0 (conv): stride 1x0");
    REFUSES(ops(bad)[0].window.stride_h = 65, BGD_DAMAGED, "op 0 (conv): stride 65x1");
    REFUSES(ops(bad)[0].window.dilation_h = 0, BGD_DAMAGED, "op 0 (conv): dilation 0x1");
    REFUSES(ops(bad)[0].window.pad_left = UINT32_MAX, BGD_DAMAGED, "op 0 (conv): pads 1, 4294967295, 1, 1"); /* -1 */
    REFUSES(ops(bad)[0].window.pad_bottom = 1025, BGD_DAMAGED, "op 0 (conv): pads 1, 1, 1025, 1");
    REFUSES(ops(bad)[0].window.dilation_w = 3, BGD_DAMAGED, "op 0 (conv): a window of 3x3 does not fit");
    REFUSES(ops(bad)[0].window.stride_w = 2, BGD_DAMAGED, "op 0 (conv): computes (2, 4, 2)");
    uint32_t pool = 5;
    REFUSES(ops(bad)[pool].window.dilation_h = 2, BGD_DAMAGED, "op 5 (pool): dilation 2x1");
    REFUSES(ops(bad)[pool].window.pad_top = 2, BGD_DAMAGED, "op 5 (pool): a pad is not smaller");
    REFUSES(ops(bad)[pool].window.pad_left = 2, BGD_DAMAGED, "op 5 (pool): a pad is not smaller");
    REFUSES(ops(bad)[pool].window.pad_bottom = 2, BGD_DAMAGED, "op 5 (pool): a pad is not smaller");
    REFUSES(ops(bad)[pool].window.pad_right = 2, BGD_DAMAGED, "op 5 (pool): a pad is not smaller");
    REFUSES(ops(bad)[pool].groups = 1, BGD_DAMAGED, "op 5 (pool): max_pool has 1 groups");
    REFUSES(ops(bad)[3].inputs[1] = 0, BGD_DAMAGED, "op 3 (sum): add of (2, 4, 3) and (3, 4, 3)");
    REFUSES(ops(bad)[7].inputs[0] = 2, BGD_DAMAGED, "op 7 (logits): weight has 2 dimensions, 2 columns; expected 2 and 24");
    free(file.bytes);
}

/* The same file with other metadata of any length: the data moves, as a writer would move it. */
static void check_meta(struct file file, const char *from, const char *to, const char *text)
{
    size_t start = (size_t)(ops(file) + header(file)->n_ops) - (size_t)file.bytes, length = (size_t)header(file)->meta_bytes;
    char json[4096];
    memcpy(json, file.bytes + start, length);
    json[length] = 0;
    char *at = strstr(json, from);
    cr_assert(at, "%s in %s", from, json);
    memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
    memcpy(at, to, strlen(to));
    size_t old = (size_t)tensors(file)[0].offset, data = (start + strlen(json) + 255) / 256 * 256;
    struct file changed = {calloc(1, data + file.size - old), data + file.size - old};
    memcpy(changed.bytes, file.bytes, start);
    memcpy(changed.bytes + start, json, strlen(json));
    memcpy(changed.bytes + data, file.bytes + old, file.size - old);
    header(changed)->meta_bytes = strlen(json);
    for (uint32_t i = 0; i < header(changed)->n_tensors; i++)
        tensors(changed)[i].offset += data - old;
    rehash(changed);
    judge(changed, BGD_DAMAGED, text, to);
}

Test(model, metadata_that_does_not_fit_the_graph_is_refused)
{
    struct file file = make_file();
    check_meta(file, "\"test\"", "7", "\"arch\" is another type");
    check_meta(file, "{", "[", "not one JSON object");
    check_meta(file, "}", "", "not one JSON object");
    check_meta(file, "\"width\":\t3", "\"width\":4", "metadata: input 4x4 with 3 channels, the graph takes (3, 4, 3)");
    check_meta(file, "\"channels\":\t3", "\"channels\":4", "metadata: input 3x4 with 4 channels");
    check_meta(file, "\"text\"", "\"text\",\"cropped\"", "output \"logits\" is (2, 1, 1), the metadata has 3 labels");
    check_meta(file, "\"text\"", "\"te\\u0007xt\"", "label 1");
    check_meta(file, "sigmoid", "softmax", "output \"scores\" is not the softmax of output \"logits\"");
    free(file.bytes);
}

Test(model, a_classifier_needs_its_two_outputs)
{
    struct file file = make_file();
    REFUSES((header(bad)->n_outputs = 1, header(bad)->outputs[1] = 0), BGD_DAMAGED, "an output named \"scores\"");
    REFUSES((header(bad)->n_outputs = 1, header(bad)->outputs[0] = 9, header(bad)->outputs[1] = 0), BGD_DAMAGED,
            "an output named \"logits\"");
    REFUSES(values(bad)[9].name[0] = 'S', BGD_DAMAGED, "an output named \"scores\"");
    REFUSES(ops(bad)[8].inputs[0] = 7, BGD_DAMAGED, "output \"scores\" is not the sigmoid of output \"logits\"");
    free(file.bytes);
}

/* A classifier whose logits are the means of `maps` activation maps, named so. */
static int parse_with_activation(uint32_t maps, bool means, struct bgd_err *err)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 4, 3});
    uint32_t activation = net_conv(g, "activation", x, maps, graph_window(1, 1, 0), 1, 1);
    uint32_t logits = means ? graph_op(g, BGD_OP_GLOBAL_MEAN, "logits", activation, 0) : net_dense(g, "logits", x, 2, 5);
    graph_output(g, logits);
    graph_output(g, activation);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "scores", logits, 0));
    struct meta meta = net_classifier_meta(2, 3, 3, 4);
    uint8_t *bytes;
    size_t size;
    int code = graph_encode(g, &meta, BGD_F32, &bytes, &size, err); /* asks the reader */
    graph_close(g);
    free(bytes);
    return code;
}

Test(model, an_activation_has_a_map_for_each_label_and_the_logits_for_means)
{
    struct bgd_err err = {0};
    cr_expect_eq(parse_with_activation(2, true, &err), 0, "%s", err.text);
    cr_expect_lt(parse_with_activation(3, false, &err), 0);
    cr_expect(strstr(err.text, "output \"activation\" is (3, 4, 3), the metadata has 2 labels"), "%s", err.text);
    cr_expect_lt(parse_with_activation(2, false, &err), 0);
    cr_expect(strstr(err.text, "output \"logits\" is not the global mean of output \"activation\""), "%s", err.text);
}

Test(model, open_refuses_what_is_no_model_file)
{
    char *folder = scratch_enter();
    struct file file = make_file();
    scratch_write("good.bgd", file.bytes, file.size);
    scratch_write("cut.bgd", file.bytes, file.size - 1);
    scratch_write("empty.bgd", "", 0);
    scratch_text("text.bgd", "this is 128 bytes of text or more "
                             "...........................................................................................");
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    static const struct {
        const char *path;
        enum bgd_code code;
        const char *text;
    } cases[] = {
        {"good.bgd", BGD_OK, ""},
        {"nothing.bgd", BGD_MISSING, "nothing.bgd: No such file"},
        {"good.bgd/below", BGD_MISSING, "good.bgd/below: "},
        {".", BGD_UNREADABLE, ".: not a regular file"},
        {"fifo", BGD_UNREADABLE, "fifo: not a regular file"},
        {"/dev/zero", BGD_UNREADABLE, "/dev/zero: not a regular file"},
        {"empty.bgd", BGD_DAMAGED, "empty.bgd: the file is empty"},
        {"cut.bgd", BGD_DAMAGED, "cut.bgd: "},
        {"text.bgd", BGD_DAMAGED, "text.bgd: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bgd_model *model = (void *)1;
        struct bgd_err err = {0};
        int code = bgd_model_open(cases[i].path, &model, &err);
        bool text_is_unknown = strcmp(cases[i].path, "text.bgd") == 0 && code == BGD_UNKNOWN;
        cr_expect(code == (int)cases[i].code || text_is_unknown, "%s: %d %s", cases[i].path, code, err.text);
        cr_expect(strstr(err.text, cases[i].text), "%s", err.text);
        cr_expect((code == 0) == (model != NULL));
        bgd_model_close(model);
    }
    bgd_model_close(NULL);
    free(file.bytes);
    scratch_leave(folder);
}

Test(model, a_file_replaced_while_it_is_open_stays_what_it_was)
{
    char *folder = scratch_enter();
    struct file file = make_file();
    scratch_write("a.bgd", file.bytes, file.size);
    scratch_write("b.bgd", "other", 5);
    struct bgd_model *model;
    struct bgd_err err = {0};
    cr_assert_eq(bgd_model_open("a.bgd", &model, &err), 0);
    cr_assert_eq(rename("b.bgd", "a.bgd"), 0);
    cr_expect(memcmp(model->bytes, file.bytes, file.size) == 0);
    bgd_model_close(model);
    free(file.bytes);
    scratch_leave(folder);
}
