/* bgdet verify, bgdet merge: the folder of a sharded run, proven, and joined into one file. */
#include "run/output.h"
#include "run/shards.h"
#include "tools.h"

#include <string.h>

static int say_state(const char *folder, const struct shards_state *state)
{
    unsigned long long there = state->shards - state->missing;
    fprintf(stderr, "%s: %llu %s, %llu %s, as their receipts say\n", folder, there, there == 1 ? "shard" : "shards",
            (unsigned long long)state->rows, state->rows == 1 ? "row" : "rows");
    if (state->missing)
        fprintf(stderr, "bgdet: %s: %llu of the first %llu shards are not there, shard %llu is the first\n", folder,
                (unsigned long long)state->missing, (unsigned long long)state->shards, (unsigned long long)state->first);
    if (!state->finished)
        fprintf(stderr, "bgdet: %s: there is no manifest.json: the run has not come to its end\n", folder);
    return state->missing || !state->finished ? EXIT_RETRY : EXIT_DONE;
}

static int write_rows(void *user, const void *data, size_t size, struct bgd_err *err)
{
    struct output *output = user;
    return fwrite(data, 1, size, output_stream(output)) == size ? 0 : output_failed(output, err);
}

/* Joins into `path`, which appears only if all is there and right. */
static int merge(const char *folder, const char *path)
{
    struct output *output;
    struct shards_state state;
    struct bgd_err err;
    if (output_open(path, &output, &err))
        return tool_fail(&err);
    int code = shards_read(folder, write_rows, output, &state, &err) ? tool_fail(&err) : say_state(folder, &state);
    if (!code && (output_seal(output, NULL, &err) || output_publish(output, &err)))
        code = tool_fail(&err);
    output_close(output);
    return code;
}

static int verify(const char *folder)
{
    struct shards_state state;
    struct bgd_err err;
    return shards_read(folder, NULL, NULL, &state, &err) ? tool_fail(&err) : say_state(folder, &state);
}

static const struct command_exit exits[] = {
    {EXIT_DONE, "all shards are there and right"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "a file is damaged"},
    {EXIT_MISSING, "no such folder"},
    {EXIT_RETRY, "not all shards are there yet, or FILE cannot be written"},
    {0},
};

static int run_verify(int argc, char **argv)
{
    int code;
    if (!options_parse(&tool_verify, NULL, &argc, &argv, &code))
        return code;
    return argc == 1 ? verify(argv[0]) : tool_usage("verify", "expected one FOLDER");
}

const struct command tool_verify = {
    .name = "verify",
    .summary = "prove the folder of a sharded run",
    .synopsis = {"FOLDER"},
    .text =
        "Proves what `bgdet score --out FOLDER` has written: every shard against its receipt (rows, hash), and the receipts' "
        "sums against the manifest.",
    .exits = exits,
    .run = run_verify,
};

struct settings {
    const char *output;
};

static const struct option_entry merge_options[] = {
    {'o', "output", "FILE", "rows to FILE, complete or not there (default: standard output)",
     OPTION_FILE(struct settings, output)},
    {0},
};

static const struct option_group merge_groups[] = {{NULL, merge_options, 0}, {0}};

static int run_merge(int argc, char **argv)
{
    struct settings s = {0};
    int code;
    if (!options_parse(&tool_merge, &s, &argc, &argv, &code))
        return code;
    bool standard = s.output && strcmp(s.output, "-") == 0;
    return argc == 1 ? merge(argv[0], standard ? NULL : s.output) : tool_usage("merge", "expected one FOLDER");
}

const struct command tool_merge = {
    .name = "merge",
    .summary = "join the rows of a sharded run",
    .synopsis = {"[options] FOLDER"},
    .text =
        "Joins the rows of all shards, in order, and proves them as verify does. Of rows on standard output, only exit code 0 "
        "says that they are all and right.",
    .groups = merge_groups,
    .exits = exits,
    .run = run_merge,
};
