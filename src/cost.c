#include "cost.h"

int cost_ops(const struct bgd_model *model, struct op_cost *costs, struct bgd_err *err)
{
    (void)err;
    for (uint32_t i = 0; i < model->header->n_ops; i++)
        costs[i] = (struct op_cost){0};
    return 0;
}

int cost_steps(const struct bgd_model *model, const uint32_t *step_of, uint32_t n_steps, struct step_cost *costs,
               struct bgd_err *err)
{
    (void)err;
    for (uint32_t i = 0; i < n_steps; i++)
        costs[i] = (struct step_cost){0};
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        costs[step_of[i]].n_ops++;
        costs[step_of[i]].last_op = i;
    }
    return 0;
}
