/* Any bytes as a label file. What is accepted keeps its promises.
 *   fuzz_labels CORPUS FOLDER_WITH_A_LABEL_FILE */
#include "eval/labels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct labels *labels;
    struct bgd_err err = {0};
    int code = labels_parse(data, size, &labels, &err);
    check(code ? !labels && err.text[0] : labels && labels->count > 0 && labels->ignored);
    for (size_t i = 0; !code && i < labels->count; i++) {
        const struct label *label = &labels->rows[i];
        check(strlen(label->file) > 0 && label->line > 1 && label->group < labels->n_groups + !labels->n_groups);
        for (int output = 0; output < OUTPUTS; output++)
            check(label->truth[output] >= (output == OUTPUT_DEFECTIVE ? 0 : -1) && label->truth[output] <= 1);
    }
    labels_close(labels);
    return 0;
}
