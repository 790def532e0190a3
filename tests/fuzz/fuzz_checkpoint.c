/* Any bytes as a checkpoint. In a zip the CRCs keep most changes from the pickle, so it is fed the bytes directly, too.
 *   fuzz_checkpoint CORPUS tests/fixtures/checkpoints */
#include "bytes.h"
#include "convert/checkpoint.h"
#include "convert/pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct checkpoint_tensor *tensor = &checkpoint->tensors[i];
        float *values = malloc((size_t)(tensor->numel + 1) * sizeof *values);
        if (!values || checkpoint_find(checkpoint, tensor->name) != tensor)
            abort();
        checkpoint_read(tensor, values);
        free(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bgd_err err;
    struct checkpoint *checkpoint;
    if (checkpoint_parse(data, size, &checkpoint, &err) == 0)
        read_all(checkpoint);
    checkpoint_close(checkpoint);

    struct bytes in = bytes_of(data, size);
    struct pickle *pickle;
    (void)pickle_load(&in, 5, &pickle, &err);
    pickle_free(pickle);
    return 0;
}
