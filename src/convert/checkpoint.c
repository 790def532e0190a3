#include "checkpoint.h"

#include "../bytes.h"
#include "../err.h"
#include "../utf8.h"
#include "../half.h"
#include "legacy.h"
#include "pickle.h"
#include "safetensors.h"
#include "zip.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------ dtypes */

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [CHECKPOINT_F64] = {"f64", 8},   [CHECKPOINT_F32] = {"f32", 4}, [CHECKPOINT_F16] = {"f16", 2},
    [CHECKPOINT_BF16] = {"bf16", 2}, [CHECKPOINT_I64] = {"i64", 8}, [CHECKPOINT_I32] = {"i32", 4},
    [CHECKPOINT_I16] = {"i16", 2},   [CHECKPOINT_I8] = {"i8", 1},   [CHECKPOINT_U8] = {"u8", 1},
    [CHECKPOINT_BOOL] = {"bool", 1},
};

size_t checkpoint_dtype_size(enum checkpoint_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *checkpoint_dtype_name(enum checkpoint_dtype dtype)
{
    return dtypes[dtype].name;
}

/* ------------------------------------------------------------ for the readers */

bool checkpoint_is_utf8(const void *text, size_t size)
{
    const uint8_t *p = text;
    for (size_t i = 0, n; i < size; i += n)
        if ((n = utf8_length(p + i, size - i)) == 0)
            return false;
    return true;
}

bool checkpoint_count(struct checkpoint_tensor *tensor)
{
    uint64_t product = 1;
    bool empty = false;
    for (uint32_t i = 0; i < tensor->ndim; i++) {
        if (tensor->dims[i] == 0)
            empty = true;
        else if (!checked_mul(product, tensor->dims[i], &product))
            return false;
    }
    tensor->numel = empty ? 0 : product;
    return true;
}

static bool overlaps(const struct checkpoint_tensor *t)
{
    uint64_t strides[CHECKPOINT_DIMS_MAX], dims[CHECKPOINT_DIMS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->ndim; i++) { /* those that count, by growing stride */
        if (t->dims[i] < 2 || t->strides[i] == 0)
            continue;
        uint32_t at = n++;
        for (; at > 0 && strides[at - 1] > t->strides[i]; at--) {
            strides[at] = strides[at - 1];
            dims[at] = dims[at - 1];
        }
        strides[at] = t->strides[i];
        dims[at] = t->dims[i];
    }
    uint64_t reach = 0; /* of the smaller strides; inside the storage, so no sum overflows */
    for (uint32_t i = 0; i < n; i++) {
        if (strides[i] <= reach)
            return true;
        reach += (dims[i] - 1) * strides[i];
    }
    return false;
}

int checkpoint_check_view(const struct checkpoint_tensor *t, uint64_t offset, uint64_t numel, struct bgd_err *err)
{
    uint64_t last = offset, step;
    for (uint32_t i = 0; i < t->ndim; i++)
        if (t->strides[i] > CHECKPOINT_BYTES_MAX)
            return err_set(err, BGD_DAMAGED, "a stride of %llu, larger than any storage", (unsigned long long)t->strides[i]);
    for (uint32_t i = 0; i < t->ndim && t->numel > 0; i++)
        if (!checked_mul(t->dims[i] - 1, t->strides[i], &step) || !checked_add(last, step, &last))
            return err_set(err, BGD_DAMAGED, "size %llu and stride %llu of dimension %u overflow",
                           (unsigned long long)t->dims[i], (unsigned long long)t->strides[i], i);
    if (t->numel > 0 ? last >= numel : last > numel)
        return err_set(err, BGD_DAMAGED, "a tensor from element %llu to %llu in a storage of %llu", (unsigned long long)offset,
                       (unsigned long long)last, (unsigned long long)numel);
    if (t->numel > 0 && overlaps(t))
        return err_set(err, BGD_UNSUPPORTED, "a tensor whose elements overlap each other");
    return 0;
}

int checkpoint_reserve(struct checkpoint *checkpoint, uint64_t count, uint64_t name_bytes, struct bgd_err *err)
{
    assert(!checkpoint->tensors && "once");
    if (count > CHECKPOINT_TENSORS_MAX)
        return err_set(err, BGD_LIMIT, "%llu entries, at most %u tensors are read", (unsigned long long)count,
                       CHECKPOINT_TENSORS_MAX);
    checkpoint->tensors = calloc((size_t)count + 1, sizeof *checkpoint->tensors);
    checkpoint->index = calloc((size_t)count + 1, sizeof *checkpoint->index);
    checkpoint->names = malloc((size_t)(name_bytes + count) + 1);
    if (!checkpoint->tensors || !checkpoint->index || !checkpoint->names)
        return err_set(err, BGD_MEMORY, "out of memory for %llu tensors", (unsigned long long)count);
    return 0;
}

int checkpoint_add(struct checkpoint *checkpoint, const char *name, size_t size, const struct checkpoint_tensor *tensor,
                   struct bgd_err *err)
{
    int shown = size < CHECKPOINT_NAME_MAX ? (int)size : (int)CHECKPOINT_NAME_MAX;
    if (size < 1 || size > CHECKPOINT_NAME_MAX || memchr(name, 0, size) || !checkpoint_is_utf8(name, size))
        return err_set(err, BGD_DAMAGED, "tensor \"%.*s\": a name of %zu bytes, expected 1..%u of UTF-8 without NUL", shown,
                       name, size, CHECKPOINT_NAME_MAX);
    struct checkpoint_tensor *added = &checkpoint->tensors[checkpoint->count++];
    char *copy = checkpoint->names + checkpoint->names_size;
    memcpy(copy, name, size);
    copy[size] = 0;
    checkpoint->names_size += size + 1;
    *added = *tensor;
    added->name = copy;
    return 0;
}

/* ------------------------------------------------------------ pickles to tensors */

/* The dict itself, or the one that it holds under "state_dict" or "model". */
static int choose_state_dict(const struct pickle *pickle, struct pickle_value *dict, struct bgd_err *err)
{
    static const char *const keys[] = {"state_dict", "model"};
    if (!pickle_is_dict(pickle->root))
        return err_set(err, BGD_UNSUPPORTED, "the file holds %s, expected a state_dict", pickle_kind_name(pickle->root.kind));
    *dict = pickle->root;
    const struct pickle_object *root = pickle_object(pickle, *dict);
    for (int k = 0; k < 2; k++) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < root->count; i += 2)
            if (pickle_is_text(root->items[i], keys[k]) && pickle_is_dict(root->items[i + 1])) {
                *dict = root->items[i + 1];
                found++;
            }
        if (found > 1)
            return err_set(err, BGD_DAMAGED, "the key \"%s\" comes %u times", keys[k], found);
        if (found)
            break;
    }
    return 0;
}

static int add_pickled(struct checkpoint *checkpoint, const struct pickle *pickle, struct pickle_value key,
                       struct pickle_value value, uint64_t *total, struct bgd_err *err)
{
    if (key.kind != PICKLE_TEXT)
        return err_set(err, BGD_UNSUPPORTED, "%s as a key of the state_dict, expected a text", pickle_kind_name(key.kind));
    int shown = key.size < CHECKPOINT_NAME_MAX ? (int)key.size : (int)CHECKPOINT_NAME_MAX;
    if (!pickle_is_tensor(value))
        return err_set(err, BGD_UNSUPPORTED,
                       "entry \"%.*s\" is %s, expected a tensor (a state_dict is looked for at the top, under \"state_dict\" "
                       "and under \"model\")",
                       shown, key.text, pickle_kind_name(value.kind));
    const struct pickle_tensor *t = &pickle->tensors[value.index];
    const struct pickle_storage *storage = &pickle->storages[t->storage];
    struct checkpoint_tensor tensor = t->view;
    size_t item = checkpoint_dtype_size(tensor.dtype);
    uint64_t bytes;
    if (!checked_mul(tensor.numel, item, &bytes) || !checked_add(*total, bytes, total))
        return err_set(err, BGD_LIMIT, "tensor %.*s: %llu elements", shown, key.text, (unsigned long long)tensor.numel);
    tensor.data = tensor.numel ? storage->data + t->offset * item : NULL; /* in the storage: checkpoint_check_view */
    return checkpoint_add(checkpoint, key.text, key.size, &tensor, err);
}

static int take_state_dict(struct checkpoint *checkpoint, const struct pickle *pickle, struct bgd_err *err)
{
    struct pickle_value dict;
    if (choose_state_dict(pickle, &dict, err))
        return err->code;
    const struct pickle_object *entries = pickle_object(pickle, dict);
    uint64_t name_bytes = 0, stored = 0, total = 0;
    for (uint32_t i = 0; i < entries->count; i += 2)
        name_bytes += entries->items[i].kind == PICKLE_TEXT ? entries->items[i].size : 0;
    if (checkpoint_reserve(checkpoint, entries->count / 2, name_bytes, err))
        return err->code;
    for (uint32_t i = 0; i < entries->count; i += 2)
        if (add_pickled(checkpoint, pickle, entries->items[i], entries->items[i + 1], &total, err))
            return err->code;
    for (uint32_t i = 0; i < pickle->n_storages; i++) /* parts of one file of at most 4 GiB: the sum fits */
        stored += pickle->storages[i].numel * checkpoint_dtype_size(pickle->storages[i].dtype);
    if (total > 4 * stored)
        return err_set(err, BGD_LIMIT, "the tensors have %llu bytes, more than 4 times the %llu of their storages",
                       (unsigned long long)total, (unsigned long long)stored);
    return 0;
}

/* ------------------------------------------------------------ torch's zip */

static bool is_named(const struct zip_member *member, const char *name)
{
    return member->name_size == strlen(name) && memcmp(member->name, name, member->name_size) == 0;
}

static bool begins_with(const struct zip_member *member, const char *text)
{
    return member->name_size >= strlen(text) && memcmp(member->name, text, strlen(text)) == 0;
}

static int check_no_script(const struct zip *zip, struct bgd_err *err)
{
    for (size_t i = 0; i < zip->count; i++) {
        const struct zip_member *m = &zip->members[i];
        if (begins_with(m, "code/") || is_named(m, "constants.pkl"))
            return err_set(err, BGD_UNSUPPORTED, "a TorchScript archive (%.*s); save its state_dict() instead",
                           (int)m->path_size, m->path);
    }
    for (size_t i = 0; i < zip->count; i++) {
        const struct zip_member *m = &zip->members[i];
        if (m->name_size >= 4 && memcmp(m->name + m->name_size - 4, ".pkl", 4) == 0 && !is_named(m, "data.pkl"))
            return err_set(err, BGD_UNSUPPORTED, "%.*s: a second pickle beside data.pkl", (int)m->path_size, m->path);
    }
    return 0;
}

/* The members beside the data: format version 1 to 10, byte order little. Newer files have more, which nothing reads. */
static int check_format(const struct zip *zip, struct bgd_err *err)
{
    if (check_no_script(zip, err))
        return err->code;
    const struct zip_member *version = zip_find(zip, "version");
    if (!version)
        version = zip_find(zip, ".data/version");
    if (!version)
        return err_set(err, BGD_DAMAGED, "no member \"version\": not a file of torch.save");
    size_t digits = version->size;
    if (digits > 0 && version->data[digits - 1] == '\n')
        digits--;
    bool known = digits == 1 ? version->data[0] >= '1' && version->data[0] <= '9'
                             : digits == 2 && version->data[0] == '1' && version->data[1] == '0';
    if (!known)
        return err_set(err, BGD_UNSUPPORTED, "format version \"%.*s\", expected 1..10", digits < 20 ? (int)digits : 20,
                       (const char *)version->data);
    const struct zip_member *order = zip_find(zip, "byteorder");
    if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0))
        return err_set(err, BGD_UNSUPPORTED, "byte order \"%.*s\", expected little", order->size < 20 ? (int)order->size : 20,
                       (const char *)order->data);
    return 0;
}

static int place_storages(const struct zip *zip, struct pickle *pickle, struct bgd_err *err)
{
    for (uint32_t i = 0; i < pickle->n_storages; i++) {
        struct pickle_storage *storage = &pickle->storages[i];
        char name[80];
        snprintf(name, sizeof name, "data/%.*s", (int)storage->key_size, storage->key);
        const struct zip_member *member = zip_find(zip, name);
        if (!member)
            return err_set(err, BGD_DAMAGED, "no member %s for storage %.*s", name, (int)storage->key_size, storage->key);
        uint64_t bytes = storage->numel * checkpoint_dtype_size(storage->dtype); /* below 2^36: load_persistent */
        if (member->size != bytes)
            return err_set(err, BGD_DAMAGED, "%.*s: %zu bytes, data.pkl says %llu elements of %s", (int)member->path_size,
                           member->path, member->size, (unsigned long long)storage->numel,
                           checkpoint_dtype_name(storage->dtype));
        storage->data = member->data;
    }
    return 0;
}

static int read_pickle(const struct zip *zip, struct checkpoint *checkpoint, struct bgd_err *err)
{
    const struct zip_member *member = zip_find(zip, "data.pkl");
    if (!member)
        return err_set(err, BGD_DAMAGED, "no member \"data.pkl\": not a file of torch.save");
    struct bytes in = bytes_of(member->data, member->size);
    struct pickle *pickle;
    if (pickle_load(&in, 5, &pickle, err))
        return err_prefix(err, "%.*s: ", (int)member->path_size, member->path);
    int code;
    if (bytes_left(&in) > 0)
        code = err_set(err, BGD_DAMAGED, "%.*s: %zu bytes behind STOP, expected none", (int)member->path_size, member->path,
                       bytes_left(&in));
    else if (!(code = place_storages(zip, pickle, err)))
        code = take_state_dict(checkpoint, pickle, err);
    pickle_free(pickle);
    return code;
}

static int read_zip(struct checkpoint *checkpoint, struct bgd_err *err)
{
    struct zip *zip;
    if (zip_open(checkpoint->map, checkpoint->map_size, &zip, err))
        return err->code;
    int code = check_format(zip, err);
    if (!code)
        code = read_pickle(zip, checkpoint, err);
    zip_close(zip);
    return code;
}

static int read_legacy(struct checkpoint *checkpoint, struct bgd_err *err)
{
    struct pickle *pickle;
    if (legacy_read(checkpoint->map, checkpoint->map_size, &pickle, err))
        return err->code;
    int code = take_state_dict(checkpoint, pickle, err);
    pickle_free(pickle);
    return code;
}

/* ------------------------------------------------------------ names */

static void strip_module(struct checkpoint *checkpoint)
{
    static const char prefix[] = "module.";
    for (size_t i = 0; i < checkpoint->count; i++)
        if (strncmp(checkpoint->tensors[i].name, prefix, strlen(prefix)) != 0)
            return;
    for (size_t i = 0; i < checkpoint->count; i++)
        checkpoint->tensors[i].name += strlen(prefix);
}

static int compare_tensors(const void *a, const void *b)
{
    const struct checkpoint_tensor *x = *(struct checkpoint_tensor *const *)a, *y = *(struct checkpoint_tensor *const *)b;
    return strcmp(x->name, y->name);
}

static int build_index(struct checkpoint *checkpoint, struct bgd_err *err)
{
    if (checkpoint->count == 0)
        return err_set(err, BGD_DAMAGED, "it holds no tensor");
    strip_module(checkpoint);
    for (size_t i = 0; i < checkpoint->count; i++)
        checkpoint->index[i] = &checkpoint->tensors[i];
    qsort(checkpoint->index, checkpoint->count, sizeof *checkpoint->index, compare_tensors);
    for (size_t i = 0; i < checkpoint->count; i++) {
        const char *name = checkpoint->index[i]->name;
        if (name[0] == 0)
            return err_set(err, BGD_DAMAGED, "a tensor is named \"module.\" and nothing else");
        if (i > 0 && strcmp(checkpoint->index[i - 1]->name, name) == 0)
            return err_set(err, BGD_DAMAGED, "two tensors are named %s", name);
    }
    return 0;
}

struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    size_t low = 0, high = checkpoint->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(checkpoint->index[middle]->name, name);
        if (order == 0)
            return checkpoint->index[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool checkpoint_has(const struct checkpoint *checkpoint, const char *name, struct bgd_err *why)
{
    if (checkpoint_find(checkpoint, name))
        return true;
    err_set(why, BGD_UNSUPPORTED, "no %s", name);
    return false;
}

/* ------------------------------------------------------------ opening */

static int read_form(struct checkpoint *checkpoint, struct bgd_err *err)
{
    const uint8_t *bytes = checkpoint->map;
    size_t size = checkpoint->map_size;
    if (size == 0)
        return err_set(err, BGD_DAMAGED, "the file is empty, expected a checkpoint");
    if (size > CHECKPOINT_BYTES_MAX)
        return err_set(err, BGD_LIMIT, "%zu bytes, at most %llu are read", size, (unsigned long long)CHECKPOINT_BYTES_MAX);
    if (size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0) {
        checkpoint->form = "zip";
        return read_zip(checkpoint, err);
    }
    if (legacy_recognises(bytes, size)) {
        checkpoint->form = "legacy";
        return read_legacy(checkpoint, err);
    }
    if (size > 8 && bytes[8] == '{') {
        checkpoint->form = "safetensors";
        return safetensors_read(bytes, size, checkpoint, err);
    }
    if (size >= 262 && memcmp(bytes + 257, "ustar", 5) == 0)
        return err_set(err, BGD_UNSUPPORTED, "a tar file, as PyTorch wrote before 0.1.10; load and save it with a newer one");
    if (size >= 2 && bytes[0] == 0x80)
        return err_set(err, BGD_UNKNOWN, "a pickle, but not one of torch.save: its magic number is missing");
    return err_set(err, BGD_UNKNOWN, "neither a file of torch.save (zip or legacy) nor safetensors");
}

int checkpoint_parse(const void *bytes, size_t size, struct checkpoint **out, struct bgd_err *err)
{
    *out = NULL;
    struct checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (!checkpoint)
        return err_set(err, BGD_MEMORY, "out of memory");
    checkpoint->map = bytes;
    checkpoint->map_size = size;
    if (read_form(checkpoint, err) || build_index(checkpoint, err)) {
        checkpoint_close(checkpoint);
        return err->code;
    }
    *out = checkpoint;
    return 0;
}

int checkpoint_open(const char *path, struct checkpoint **out, struct bgd_err *err)
{
    *out = NULL;
    void *map = MAP_FAILED;
    struct stat st = {0};
    /* O_NONBLOCK: opening a FIFO must not wait for its writer; it is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", path,
                       strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        err_set(err, BGD_UNREADABLE, "%s: not a regular file", path);
        goto fail;
    }
    if (st.st_size == 0 || (uint64_t)st.st_size > CHECKPOINT_BYTES_MAX) {
        err_set(err, st.st_size ? BGD_LIMIT : BGD_DAMAGED, "%s: %lld bytes, expected a checkpoint of 1..%llu", path,
                (long long)st.st_size, (unsigned long long)CHECKPOINT_BYTES_MAX);
        goto fail;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        err_set(err, BGD_UNREADABLE, "%s: %s", path, strerror(errno));
        goto fail;
    }
    if (checkpoint_parse(map, (size_t)st.st_size, out, err)) {
        err_prefix(err, "%s: ", path);
        goto fail;
    }
    (*out)->mapped = true;
    close(fd);
    return 0;
fail:
    if (map != MAP_FAILED)
        munmap(map, (size_t)st.st_size);
    close(fd);
    return err->code;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    if (checkpoint->mapped)
        munmap((void *)(uintptr_t)checkpoint->map, checkpoint->map_size);
    free(checkpoint->tensors);
    free(checkpoint->index);
    free(checkpoint->names);
    free(checkpoint);
}

/* ------------------------------------------------------------ values */

static float read_element(enum checkpoint_dtype dtype, const uint8_t *at)
{
    double f64;
    float f32;
    int64_t i64;
    int32_t i32;
    uint32_t bits;
    uint16_t u16;
    switch (dtype) {
    case CHECKPOINT_F64: memcpy(&f64, at, sizeof f64); return (float)f64;
    case CHECKPOINT_F32: memcpy(&f32, at, sizeof f32); return f32;
    case CHECKPOINT_F16: memcpy(&u16, at, sizeof u16); return half_to_float(u16);
    case CHECKPOINT_BF16: /* the upper half of a float */
        memcpy(&u16, at, sizeof u16);
        bits = (uint32_t)u16 << 16;
        memcpy(&f32, &bits, sizeof f32);
        return f32;
    case CHECKPOINT_I64: memcpy(&i64, at, sizeof i64); return (float)i64;
    case CHECKPOINT_I32: memcpy(&i32, at, sizeof i32); return (float)i32;
    case CHECKPOINT_I16: memcpy(&u16, at, sizeof u16); return (float)(int16_t)u16;
    case CHECKPOINT_I8: return (float)(int8_t)*at;
    case CHECKPOINT_U8: return (float)*at;
    case CHECKPOINT_BOOL: return *at ? 1.0f : 0.0f;
    }
    return 0;
}

static bool is_contiguous(const struct checkpoint_tensor *tensor)
{
    uint64_t stride = 1;
    for (uint32_t i = tensor->ndim; i-- > 0; stride *= tensor->dims[i])
        if (tensor->dims[i] != 1 && tensor->strides[i] != stride)
            return false;
    return true;
}

void checkpoint_read(const struct checkpoint_tensor *tensor, float *out)
{
    size_t item = checkpoint_dtype_size(tensor->dtype);
    if (tensor->numel == 0)
        return;
    if (tensor->dtype == CHECKPOINT_F32 && is_contiguous(tensor)) {
        memcpy(out, tensor->data, (size_t)tensor->numel * item);
        return;
    }
    uint64_t index[CHECKPOINT_DIMS_MAX] = {0}, at = 0;
    for (uint64_t i = 0; i < tensor->numel; i++) {
        out[i] = read_element(tensor->dtype, tensor->data + at * item);
        for (uint32_t d = tensor->ndim; d-- > 0;) { /* count up, the last dimension fastest */
            at += tensor->strides[d];
            if (++index[d] < tensor->dims[d])
                break;
            at -= tensor->strides[d] * tensor->dims[d];
            index[d] = 0;
        }
    }
}
