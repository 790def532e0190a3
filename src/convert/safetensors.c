#include "safetensors.h"

#include "../bytes.h"
#include "../err.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* ------------------------------------------------------------ the text, before it is parsed */

#define NUMBER_MAX ((uint64_t)1 << 53) /* cJSON keeps numbers as double: up to here, all integers are exact */

/* A header has few commas for its tensors: this many bound what cJSON allocates. */
#define COMMAS_MAX (16u * (CHECKPOINT_TENSORS_MAX + 1))

/* cJSON reads 1e3, -0, 007 and 2^64 as some double. Digits only, no zero in front, not above 2^53. */
static int scan_number(struct bytes *in, struct bgd_err *err)
{
    size_t start = in->pos;
    uint64_t value = 0;
    for (uint8_t c; bytes_left(in) > 0 && (c = in->data[in->pos]) >= '0' && c <= '9'; in->pos++) {
        if (in->pos > start && value == 0)
            return err_set(err, BGD_DAMAGED, "header byte %zu: a number with a zero in front", start);
        value = value * 10 + (uint64_t)(c - '0');
        if (value > NUMBER_MAX)
            return err_set(err, BGD_LIMIT, "header byte %zu: a number above 2^53", start);
    }
    return 0;
}

/* Behind the opening quote; goes behind the closing one. cJSON would cut the text at a \u0000, and keeps raw control
 * bytes. */
static int scan_text(struct bytes *in, struct bgd_err *err)
{
    size_t start = in->pos;
    uint8_t c, escaped;
    while (bytes_u8(in, &c)) {
        if (c == '"')
            return 0;
        if (c < 0x20)
            return err_set(err, BGD_DAMAGED, "header byte %zu: a control byte in a text", in->pos - 1);
        if (c != '\\')
            continue;
        size_t at = in->pos;
        if (bytes_u8(in, &escaped) && escaped == 'u' && bytes_left(in) >= 4 && memcmp(in->data + in->pos, "0000", 4) == 0)
            return err_set(err, BGD_DAMAGED, "header byte %zu: a NUL in a text", at - 1);
    }
    return err_set(err, BGD_DAMAGED, "header byte %zu: a text without an end", start - 1);
}

/* Lets through only what a header needs, so that cJSON's leniency, its recursion and its memory have bounds. */
static int scan_header(const uint8_t *text, size_t size, struct bgd_err *err)
{
    struct bytes in = bytes_of(text, size);
    uint32_t depth = 0, commas = 0;
    uint8_t c;
    if (size < 2 || text[0] != '{')
        return err_set(err, BGD_DAMAGED, "the header does not begin with {");
    if (!checkpoint_is_utf8(text, size))
        return err_set(err, BGD_DAMAGED, "the header is not UTF-8");
    while (bytes_u8(&in, &c)) {
        switch (c) {
        case '{':
        case '[':
            if (++depth > SAFETENSORS_DEPTH_MAX)
                return err_set(err, BGD_LIMIT, "header byte %zu: nested deeper than %u", in.pos - 1, SAFETENSORS_DEPTH_MAX);
            break;
        case '}':
        case ']': depth -= depth > 0; break;
        case ',':
            if (++commas > COMMAS_MAX)
                return err_set(err, BGD_LIMIT, "the header has more than %u commas", COMMAS_MAX);
            break;
        case ':':
        case ' ':
        case '\t':
        case '\n':
        case '\r': break;
        case '"':
            if (scan_text(&in, err))
                return err->code;
            break;
        default:
            if (c < '0' || c > '9')
                return err_set(err, BGD_DAMAGED, "header byte %zu: 0x%02x where only { } [ ] : , texts and digits may be",
                               in.pos - 1, c);
            in.pos--;
            if (scan_number(&in, err))
                return err->code;
        }
    }
    return 0;
}

/* ------------------------------------------------------------ tensors */

struct extent {
    uint64_t begin, end;
    const char *name;
};

static int read_integers(const cJSON *array, const char *what, uint32_t most, uint64_t *out, uint32_t *count,
                         struct bgd_err *err)
{
    const cJSON *item;
    *count = 0;
    if (!cJSON_IsArray(array))
        return err_set(err, BGD_DAMAGED, "%s is not an array", what);
    cJSON_ArrayForEach(item, array)
    {
        if (*count == most)
            return err_set(err, BGD_LIMIT, "%s has more than %u items", what, most);
        if (!cJSON_IsNumber(item))
            return err_set(err, BGD_DAMAGED, "%s has an item that is not a number", what);
        out[(*count)++] = (uint64_t)item->valuedouble; /* exact and in range: scan_number */
    }
    return 0;
}

static int read_dtype(const cJSON *item, enum checkpoint_dtype *dtype, struct bgd_err *err)
{
    static const struct {
        const char *name;
        enum checkpoint_dtype dtype;
    } dtypes[] = {{"F64", CHECKPOINT_F64}, {"F32", CHECKPOINT_F32},  {"F16", CHECKPOINT_F16}, {"BF16", CHECKPOINT_BF16},
                  {"I64", CHECKPOINT_I64}, {"I32", CHECKPOINT_I32},  {"I16", CHECKPOINT_I16}, {"I8", CHECKPOINT_I8},
                  {"U8", CHECKPOINT_U8},   {"BOOL", CHECKPOINT_BOOL}};
    if (!cJSON_IsString(item))
        return err_set(err, BGD_DAMAGED, "dtype is not a text");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(item->valuestring, dtypes[i].name) == 0) {
            *dtype = dtypes[i].dtype;
            return 0;
        }
    return err_set(err, BGD_UNSUPPORTED, "dtype %.32s, expected F64 F32 F16 BF16 I64 I32 I16 I8 U8 or BOOL", item->valuestring);
}

/* The three fields, each once, and no other. */
static int read_fields(const cJSON *object, struct checkpoint_tensor *tensor, uint64_t offsets[2], struct bgd_err *err)
{
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    const cJSON *fields[3] = {0}, *field;
    if (!cJSON_IsObject(object))
        return err_set(err, BGD_DAMAGED, "not an object");
    cJSON_ArrayForEach(field, object)
    {
        int i = 0;
        while (i < 3 && strcmp(field->string, names[i]) != 0)
            i++;
        if (i == 3)
            return err_set(err, BGD_DAMAGED, "an unknown field \"%.64s\"", field->string);
        if (fields[i])
            return err_set(err, BGD_DAMAGED, "%s comes twice", names[i]);
        fields[i] = field;
    }
    for (int i = 0; i < 3; i++)
        if (!fields[i])
            return err_set(err, BGD_DAMAGED, "%s is missing", names[i]);
    uint32_t count;
    if (read_dtype(fields[0], &tensor->dtype, err) ||
        read_integers(fields[1], names[1], CHECKPOINT_DIMS_MAX, tensor->dims, &tensor->ndim, err) ||
        read_integers(fields[2], names[2], 2, offsets, &count, err))
        return err->code;
    return count == 2 ? 0 : err_set(err, BGD_DAMAGED, "data_offsets has %u items, expected 2", count);
}

static void set_strides(struct checkpoint_tensor *tensor)
{
    uint64_t stride = 1;
    for (uint32_t i = tensor->ndim; i-- > 0;) {
        tensor->strides[i] = stride;
        stride *= tensor->dims[i] ? tensor->dims[i] : 1; /* cannot overflow: checkpoint_count */
    }
}

static int read_tensor(const cJSON *object, const uint8_t *data, uint64_t data_size, struct checkpoint_tensor *tensor,
                       struct extent *extent, struct bgd_err *err)
{
    uint64_t offsets[2], bytes;
    if (read_fields(object, tensor, offsets, err))
        return err->code;
    if (offsets[0] > offsets[1] || offsets[1] > data_size)
        return err_set(err, BGD_DAMAGED, "data_offsets %llu, %llu are not a part of %llu bytes", (unsigned long long)offsets[0],
                       (unsigned long long)offsets[1], (unsigned long long)data_size);
    if (!checkpoint_count(tensor) || !checked_mul(tensor->numel, checkpoint_dtype_size(tensor->dtype), &bytes))
        return err_set(err, BGD_DAMAGED, "its shape multiplies to more than 2^64 bytes");
    if (bytes != offsets[1] - offsets[0])
        return err_set(err, BGD_DAMAGED, "its shape needs %llu bytes, its data_offsets span %llu", (unsigned long long)bytes,
                       (unsigned long long)(offsets[1] - offsets[0]));
    set_strides(tensor);
    tensor->data = tensor->numel ? data + offsets[0] : NULL;
    *extent = (struct extent){offsets[0], offsets[1], object->string};
    return 0;
}

static int check_metadata(const cJSON *object, struct bgd_err *err)
{
    const cJSON *item;
    if (!cJSON_IsObject(object))
        return err_set(err, BGD_DAMAGED, "__metadata__ is not an object");
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item))
            return err_set(err, BGD_DAMAGED, "__metadata__: \"%.64s\" is not a text", item->string);
    }
    return 0;
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end == y->end ? 0 : x->end < y->end ? -1 : 1;
}

/* Sorted by place, each begins where the one before ends; an empty tensor may stand between any two. */
static int check_extents(struct extent *extents, size_t count, uint64_t data_size, struct bgd_err *err)
{
    uint64_t end = 0;
    qsort(extents, count, sizeof *extents, compare_extents);
    for (size_t i = 0; i < count; end = extents[i++].end)
        if (extents[i].begin != end)
            return err_set(err, BGD_DAMAGED, "tensor %.255s begins at %llu, the one before it ends at %llu", extents[i].name,
                           (unsigned long long)extents[i].begin, (unsigned long long)end);
    if (end != data_size)
        return err_set(err, BGD_DAMAGED, "%llu bytes of data, the tensors end at %llu", (unsigned long long)data_size,
                       (unsigned long long)end);
    return 0;
}

static int add_tensors(const cJSON *root, const uint8_t *data, uint64_t data_size, struct checkpoint *checkpoint,
                       struct bgd_err *err)
{
    const cJSON *item;
    uint64_t count = 0, name_bytes = 0;
    bool metadata = false;
    cJSON_ArrayForEach(item, root)
    {
        count++;
        name_bytes += strlen(item->string);
    }
    struct extent *extents = malloc((size_t)(count + 1) * sizeof *extents);
    if (!extents)
        return err_set(err, BGD_MEMORY, "out of memory");
    count = 0;
    int code = checkpoint_reserve(checkpoint, (uint64_t)cJSON_GetArraySize(root), name_bytes, err);
    for (item = root->child; item && !code; item = item->next) {
        struct checkpoint_tensor tensor = {0};
        if (strcmp(item->string, "__metadata__") == 0) {
            code = metadata ? err_set(err, BGD_DAMAGED, "__metadata__ comes twice") : check_metadata(item, err);
            metadata = true;
        } else if ((code = read_tensor(item, data, data_size, &tensor, &extents[count], err))) {
            err_prefix(err, "tensor %.255s: ", item->string);
        } else {
            count++;
            code = checkpoint_add(checkpoint, item->string, strlen(item->string), &tensor, err);
        }
    }
    if (!code)
        code = check_extents(extents, (size_t)count, data_size, err);
    free(extents);
    return code;
}

int safetensors_read(const uint8_t *bytes, size_t size, struct checkpoint *checkpoint, struct bgd_err *err)
{
    struct bytes in = bytes_of(bytes, size);
    uint64_t header = 0;
    const uint8_t *text;
    if (!bytes_u64le(&in, &header))
        return err_set(err, BGD_DAMAGED, "%zu bytes, expected at least 8 for the length of a safetensors header", size);
    if (header > SAFETENSORS_HEADER_MAX)
        return err_set(err, BGD_LIMIT, "a safetensors header of %llu bytes, at most %u are read", (unsigned long long)header,
                       SAFETENSORS_HEADER_MAX);
    if (!bytes_take(&in, header, &text))
        return err_set(err, BGD_DAMAGED, "a safetensors header of %llu bytes in a file of %zu", (unsigned long long)header,
                       size);
    if (scan_header(text, (size_t)header, err))
        return err->code;
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts((const char *)text, (size_t)header, &end, false);
    if (!root)
        return err_set(err, BGD_DAMAGED, "the safetensors header is not JSON near byte %zu",
                       end ? (size_t)(end - (const char *)text) : 0);
    const char *rest = end; /* the reference pads with spaces, so that the data is aligned */
    while (rest < (const char *)text + header && *rest == ' ')
        rest++;
    int code;
    if (rest != (const char *)text + header)
        code = err_set(err, BGD_DAMAGED, "header byte %zu: something behind the JSON", (size_t)(rest - (const char *)text));
    else
        code = add_tensors(root, bytes + in.pos, bytes_left(&in), checkpoint, err);
    cJSON_Delete(root);
    return code;
}
