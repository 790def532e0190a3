/* An evaluation as one JSON object. What is not defined (a dash in the tables) is null. */
#include "eval.h"
#include "json.h"

static cJSON *output_object(const struct evaluation_output *output)
{
    cJSON *object = cJSON_CreateObject();
    const struct metrics *m = &output->all;
    if (output->lack) {
        cJSON_AddStringToObject(object, "lack", output->lack);
        return object;
    }
    cJSON_AddNumberToObject(object, "cards", (double)m->n);
    cJSON_AddNumberToObject(object, "positives", (double)m->positives);
    cJSON_AddNumberToObject(object, "threshold", (double)output->threshold);
    const char *const names[] = {"tp", "fp", "tn", "fn"};
    const size_t counts[] = {m->tp, m->fp, m->tn, m->fn};
    for (int i = 0; i < 4; i++)
        cJSON_AddNumberToObject(object, names[i], (double)counts[i]);
    for (int i = 0; i < METRICS; i++) {
        cJSON *metric = cJSON_AddObjectToObject(object, metric_name((enum metric)i));
        cJSON_AddItemToObject(metric, "value", json_number(m->value[i]));
        cJSON_AddItemToObject(metric, "low", json_number(m->low[i]));
        cJSON_AddItemToObject(metric, "high", json_number(m->high[i]));
    }
    cJSON *bins = cJSON_AddArrayToObject(object, "reliability");
    for (int i = 0; i < METRICS_BINS; i++) {
        cJSON *bin = cJSON_CreateObject();
        cJSON_AddNumberToObject(bin, "cards", (double)m->bins[i].n);
        cJSON_AddNumberToObject(bin, "mean_p", m->bins[i].p);
        cJSON_AddNumberToObject(bin, "share", m->bins[i].truth);
        cJSON_AddItemToArray(bins, bin);
    }
    return object;
}

static cJSON *group_object(const struct evaluation_group *group)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "cards", (double)group->cards);
    cJSON *confusion = cJSON_AddObjectToObject(object, "confusion");
    for (int truth = 0; truth < 2; truth++) {
        cJSON *row = cJSON_AddObjectToObject(confusion, truth ? "defective" : "clean");
        for (int verdict = 0; verdict < BGD_VERDICTS; verdict++)
            cJSON_AddNumberToObject(row, bgd_verdict_name((enum bgd_verdict)verdict), (double)group->confusion[truth][verdict]);
    }
    cJSON *outputs = cJSON_AddObjectToObject(object, "outputs");
    for (int i = 0; i < OUTPUTS; i++)
        cJSON_AddItemToObject(outputs, output_name(i), output_object(&group->outputs[i]));
    return object;
}

static void add_failed(cJSON *root, const struct evaluation *e)
{
    cJSON *list = cJSON_AddArrayToObject(root, "failed");
    for (size_t i = 0; i < e->labels->count; i++) {
        if (!e->cards[i].code)
            continue;
        cJSON *card = cJSON_CreateObject();
        json_add_name(card, "file", e->labels->rows[i].file);
        cJSON_AddStringToObject(card, "code", bgd_code_name(e->cards[i].code));
        json_add_name(card, "detail", e->cards[i].detail);
        cJSON_AddItemToArray(list, card);
    }
}

int eval_print_json(FILE *file, const struct report *report, struct bgd_err *err)
{
    const struct evaluation *e = report->evaluation;
    cJSON *root = cJSON_CreateObject();
    json_add_name(root, "labels", report->title);
    cJSON_AddStringToObject(root, "pipeline", report->pipeline);
    cJSON_AddStringToObject(root, "model", report->model_hash);
    cJSON_AddStringToObject(root, "device", report->device);
    cJSON_AddNumberToObject(root, "cards", (double)e->labels->count);
    cJSON_AddNumberToObject(root, "judged", (double)e->judged);
    cJSON_AddBoolToObject(root, "calibrated_on_these_labels", report->fitted);
    add_failed(root, e);
    cJSON *bootstrap = cJSON_AddObjectToObject(root, "bootstrap");
    cJSON_AddNumberToObject(bootstrap, "draws", e->draws);
    cJSON_AddNumberToObject(bootstrap, "seed", (double)e->seed);
    cJSON_AddItemToObject(root, "all", group_object(&e->groups[0]));
    cJSON *groups = cJSON_AddArrayToObject(root, "groups");
    for (size_t i = 1; i < e->n_groups; i++) {
        cJSON *group = group_object(&e->groups[i]);
        json_add_name(group, "name", e->groups[i].name);
        cJSON_AddItemToArray(groups, group);
    }
    return json_print(file, root, err);
}
