/* bgdet bench: how fast a machine is, and where the time goes. */
#include "bench_work.h"
#include "err.h"
#include "run/output.h"
#include "tools.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct settings {
    struct bench_settings bench;
    const char *json, *svg;
};

static bool parse_positive(const char *text, char end, double most, double *out, const char **rest)
{
    char *stop;
    *out = strtod(text, &stop);
    *rest = stop + (end && *stop == end);
    return stop != text && *stop == end && *out > 0 && *out <= most;
}

static bool set_seconds(void *settings, const char *value)
{
    const char *rest;
    return parse_positive(value, '\0', 3600, &((struct settings *)settings)->bench.seconds, &rest);
}

/* "4800,989" */
static bool set_ceilings(void *settings, const char *value)
{
    struct bench_settings *s = &((struct settings *)settings)->bench;
    const char *rest;
    bool parsed = parse_positive(value, ',', 1e6, &s->copy, &rest) && parse_positive(rest, '\0', 1e6, &s->flops, &rest);
    s->copy *= 1e9;
    s->flops *= 1e12;
    return parsed;
}

static const struct option_entry own_options[] = {
    {0, "seconds", "S", "how long each measurement takes, at the least (default: 1)",
     OPTION_PARSED(set_seconds, "seconds, more than 0 and at most 3600")},
    {0, "sweep", NULL, "also: networks over the size of the batch, decoding and end to end over the number of threads",
     OPTION_FLAG(struct settings, bench.sweep)},
    {0, "roofline", NULL, "also: each step of the networks against what the device's memory and arithmetic allow",
     OPTION_FLAG(struct settings, bench.roofline)},
    {0, "ceilings", "GB/s,TFLOP/s",
     "with --roofline: what a device allows that is not here; nothing is timed. --precision says the bytes of an element, "
     "--batch (here 256 by default) how many pictures share the reading of a weight",
     OPTION_PARSED(set_ceilings, "GB/s,TFLOP/s: two numbers above 0")},
    {0, "json", "FILE", "also write every number to FILE", OPTION_FILE(struct settings, json)},
    {0, "svg", "FILE", "also draw a chart", OPTION_FILE(struct settings, svg)},
    {0},
};

static const struct option_entry batch_options[] = {
    {0, "batch", "N", "cards scored at once (default: what suits the device)",
     OPTION_COUNT(struct settings, bench.session.engine.batch, 1, 4096)},
    {0},
};

static const struct option_group groups[] = {
    {"Benchmark", own_options, 0},
    {"Judging", session_options, offsetof(struct settings, bench.session)},
    {NULL, batch_options, 0},
    {0},
};

static const struct command_exit exits[] = {
    {EXIT_DONE, "measured"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable card or model"},
    {EXIT_MISSING, "no such file, or no card"},
    {EXIT_RETRY, "interrupted, try again later, or no such device"},
    {0},
};

/* ---------------------------------------------------------------- what was asked for */

static bool is_model(const char *name)
{
    size_t length = strlen(name);
    return length >= 4 && strcmp(name + length - 4, ".bgd") == 0;
}

/* 0 or an exit code. */
static int check_combination(struct bench_settings *s)
{
    size_t n_models = 0;
    for (size_t i = 0; i < s->n_operands; i++)
        n_models += is_model(s->operands[i]);
    s->models = n_models > 0;
    if (s->copy > 0 && !s->roofline)
        return tool_usage("bench", "--ceilings needs --roofline");
    if (s->models && !s->roofline)
        return tool_usage("bench", "%s is a model file: --roofline takes such, or --pipeline", s->operands[0]);
    if (s->models && n_models < s->n_operands)
        return tool_usage("bench", "expected cards or model files, found both");
    if (s->models && s->session.pipeline)
        return tool_usage("bench", "model files are looked at instead of a --pipeline");
    if (s->copy > 0 && s->n_operands > n_models)
        return tool_usage("bench", "--ceilings times nothing: expected model files or --pipeline, found %s", s->operands[0]);
    if (s->sweep && (s->models || s->copy > 0))
        return tool_usage("bench", "--sweep needs cards, which are not judged with model files or --ceilings");
    return 0;
}

/* Before the work: an output that cannot be written, or over an input. */
static int check_output(const struct bench_settings *s, const char *path, struct bgd_err *err)
{
    struct stat output, input;
    if (!path)
        return 0;
    bool there = stat(path, &output) == 0;
    for (size_t i = 0; i < s->n_operands && there; i++)
        if (stat(s->operands[i], &input) == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino)
            return err_set(err, BGD_ARGUMENT, "%s is an input of this run: it would be overwritten", path);
    if (there && S_ISDIR(output.st_mode))
        return err_set(err, BGD_ARGUMENT, "%s is a folder, expected a file's name", path);
    return there && !S_ISREG(output.st_mode) ? 0 : tool_check_folder(path, err);
}

/* ---------------------------------------------------------------- the report */

static int write_file(const char *path, int (*put)(FILE *, const struct bench_report *, struct bgd_err *),
                      const struct bench_report *report, struct bgd_err *err)
{
    struct output *output = NULL;
    if (!path)
        return 0;
    int code = output_open(path, &output, err);
    if (!code)
        code = put(output_stream(output), report, err);
    if (!code)
        code = output_seal(output, NULL, err);
    if (!code)
        code = output_publish(output, err);
    output_close(output);
    return code;
}

static int show(const struct settings *s, const struct bench_report *report, struct bgd_err *err)
{
    bench_print(stdout, report);
    return write_file(s->json, bench_print_json, report, err) || write_file(s->svg, bench_put_chart, report, err) ? err->code
                                                                                                                  : 0;
}

static int work(const struct settings *s, struct bench **bench, struct bgd_err *err)
{
    if (check_output(&s->bench, s->json, err) || check_output(&s->bench, s->svg, err) || bench_measure(&s->bench, bench, err))
        return err->code;
    return session_stopped() ? 0 : show(s, bench_report(*bench), err);
}

static int run(int argc, char **argv)
{
    struct settings s = {.bench.seconds = 1};
    struct bench *bench = NULL;
    struct bgd_err err;
    int code;
    if (!options_parse(&tool_bench, &s, &argc, &argv, &code))
        return code;
    s.bench.operands = argv;
    s.bench.n_operands = (size_t)argc;
    code = check_combination(&s.bench);
    if (code)
        return code;
    if (s.json && s.svg && strcmp(s.json, s.svg) == 0)
        return tool_usage("bench", "%s is to hold both --json and --svg", s.json);
    if (work(&s, &bench, &err))
        code = tool_fail(&err);
    else if (session_stopped()) {
        fputs("bgdet: stopped by a signal: there is no report\n", stderr);
        code = EXIT_RETRY;
    }
    bench_close(bench);
    return code;
}

const struct command tool_bench = {
    .name = "bench",
    .summary = "measure how fast this machine is, and where the time goes",
    .synopsis = {"[options] [CARD|FOLDER...]", "[options] --roofline MODEL.bgd..."},
    .text =
        "Does each part of what is done to a card alone, over and over, and says how many images a second come of it: the "
        "median "
        "of the repetitions, and the 10th and 90th percentile. read: files and their hashes, which come from the page cache, "
        "not "
        "from a disk; decode; feed: pictures to the networks' inputs, with their copy to a device that has memory of its own; "
        "segment and classify: the networks, their input being there; evidence: where cards that are not clean show why; "
        "write: "
        "rows as JSON lines to a file in $TMPDIR. Threads do read, decode and write, the engine's lanes side by side the "
        "others. "
        "Then all of it end to end, as bgdet score does it. The cards are those named, 1,024 of them at the most, or else the "
        "samples that ship.\n"
        "What the stages allow: on a CPU they share its processors and take turns, so it is 1 / (sum of 1 / rate). A device with "
        "memory of its own does feed, segment and classify while the host does the others: it is the slower of the two sides, "
        "each reckoned so. The share of it that a run reaches may be above 1, since copying to such a device and computing "
        "overlap, too, and since a part is measured at another time than the whole.\n"
        "--roofline holds every step of a network against the longer of two times: that of moving its bytes, and that of its "
        "arithmetic, at the rates that the device reaches in a large copy and a large matrix product (of a CPU: one thread). "
        "Bytes are counted in three ways: unfused, each op reads its inputs and writes its value; as run, the device's own steps "
        "do; fused, nothing is moved that could be done in passing. Of each, images a second are what is allowed if all steps "
        "take those times, one after another, and overlapped, if all moving and all arithmetic go on at once; reached is the "
        "measured share of the former, above 100 % if the rates were taken while the machine did something else, and where a step "
        "needs fewer multiplications than the graph has, as a CPU's 3x3 convolutions do. Given model files, it is all that is done.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
