/* bgdet verify, bgdet merge: the folder of a sharded run, proven, and joined into one file. */
#include "output.h"
#include "shards.h"
#include "tools.h"

#include <getopt.h>
#include <string.h>

static const char verify_help[] =
    "usage: bgdet verify FOLDER\n"
    "\n"
    "Proves what `bgdet score --out FOLDER` has written: every shard against its receipt (rows, hash), the receipts' sums\n"
    "against the manifest.\n"
    "\n"
    "Exit: 0 all shards are there and right, 64 usage, 65 a file is damaged, 66 no such folder, 75 not all shards are there "
    "yet.\n";

static const char merge_help[] = "usage: bgdet merge FOLDER [-o FILE]\n"
                                 "\n"
                                 "Joins the rows of all shards, in order, and proves them as verify does.\n"
                                 "\n"
                                 "  -o, --output FILE  rows to FILE, complete or not there (default: standard output)\n"
                                 "\n"
                                 "Exit: 0 all shards are there and right, 64 usage, 65 a file is damaged, 66 no such folder, "
                                 "75 not all shards are there yet,\n"
                                 "or FILE cannot be written.\n";

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

/* The only argument, or NULL. */
static const char *only(int argc, char **argv)
{
    return argc - optind == 1 ? argv[optind] : NULL;
}

int tool_verify(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int option = getopt_long(argc, argv, ":h", options, NULL);
    if (option == 'h') {
        fputs(verify_help, stdout);
        return EXIT_DONE;
    }
    if (option != -1)
        return tool_bad_option("verify", option, argv);
    const char *folder = only(argc, argv);
    return folder ? verify(folder) : tool_usage("verify", "expected one FOLDER");
}

int tool_merge(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(merge_help, stdout);
            return EXIT_DONE;
        }
        if (option != 'o')
            return tool_bad_option("merge", option, argv);
        path = strcmp(optarg, "-") == 0 ? NULL : optarg;
    }
    const char *folder = only(argc, argv);
    return folder ? merge(folder, path) : tool_usage("merge", "expected one FOLDER");
}
