#include "uses.h"

#include "err.h"

#include <stdlib.h>

int uses_build(const struct bgd_model *model, struct uses *uses, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    *uses = (struct uses){.model = model,
                          .readers = calloc(h->n_values, sizeof *uses->readers),
                          .last_reader = calloc(h->n_values, sizeof *uses->last_reader)};
    if (!uses->readers || !uses->last_reader) {
        uses_free(uses);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < h->n_values; i++)
        uses->last_reader[i] = NONE;
    for (uint32_t i = 0; i < h->n_ops; i++)
        for (uint32_t k = 0; k < model->ops[i].n_inputs; k++) {
            uses->readers[model->ops[i].inputs[k]]++;
            uses->last_reader[model->ops[i].inputs[k]] = i;
        }
    for (uint32_t i = 0; i < h->n_outputs; i++)
        uses->readers[h->outputs[i]]++;
    return 0;
}

void uses_free(struct uses *uses)
{
    free(uses->readers);
    free(uses->last_reader);
    *uses = (struct uses){0};
}

uint32_t uses_sole_reader(const struct uses *uses, uint32_t value, enum bgd_op code)
{
    uint32_t op = uses->last_reader[value];
    return uses->readers[value] == 1 && op != NONE && uses->model->ops[op].code == code ? op : NONE;
}
