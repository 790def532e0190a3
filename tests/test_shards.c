/* A run's folder: what is there is complete, what was killed goes on, and what differs is refused. */
#include "run/shards.h"

#include "scratch.h"

#include <sys/stat.h>
#include <unistd.h>

static cJSON *run_of(const char *model)
{
    cJSON *run = cJSON_CreateObject(), *sources = cJSON_AddObjectToObject(run, "sources");
    cJSON_AddStringToObject(run, "model", model);
    cJSON_AddNumberToObject(sources, "shard_cards", 2);
    return run;
}

struct settings {
    const char *model;
    uint32_t part, parts, retry;
    bool replace;
};

/* Opens the folder "d"; the error's code. */
static int open_with(struct settings s, struct shards **shards, struct bgd_err *err)
{
    cJSON *run = run_of(s.model ? s.model : "a");
    const struct shards_options options = {.folder = "d",
                                           .run = run,
                                           .model_hash = "beef",
                                           .part = s.part,
                                           .parts = s.parts ? s.parts : 1,
                                           .retry = s.retry,
                                           .replace = s.replace};
    int code = shards_open(&options, shards, err);
    cJSON_Delete(run);
    return code;
}

#define SHARDS 5

/* Rows of a catalogue of five shards of two cards, the third of which has none: what a run over it does. Card 7 is damaged
 * while `damaged`. Stops before the card `stop`. */
static int run(struct settings s, bool damaged, int stop)
{
    struct shards *shards;
    struct bgd_err err;
    cr_assert_eq(open_with(s, &shards, &err), 0, "%s", err.text);
    int rows = 0;
    bool complete = true;
    for (uint64_t shard = 0; shard < SHARDS && complete; shard++) {
        if (!shards_wanted(shards, shard))
            continue;
        for (int i = 0; i < 2 && shard != 2 && complete; i++) {
            char id[16];
            snprintf(id, sizeof id, "%d", (int)shard * 2 + i);
            struct flow_row row = {.id = id, .shard = shard, .hash = "00", .detail = ""};
            if (damaged && strcmp(id, "7") == 0) {
                row.code = BGD_DAMAGED;
                row.detail = "cut";
            }
            complete = (int)shard * 2 + i != stop;
            if (complete)
                cr_assert_eq(shards_add(shards, &row, &err), 0, "%s", err.text);
            rows += complete;
        }
    }
    if (complete)
        cr_assert_eq(shards_finish(shards, SHARDS, &err), 0, "%s", err.text);
    cr_expect_eq(shards_counts(shards)->rows, rows);
    shards_close(shards);
    return rows;
}

/* All names in the folder with the files' contents, to be freed. */
static char *contents(void)
{
    FILE *pipe = popen("cd d && for f in $(ls -A); do echo \"== $f\"; cat \"$f\"; done", "r");
    char *text = calloc(1, 100000);
    cr_assert(pipe && fread(text, 1, 99999, pipe) > 0);
    pclose(pipe);
    return text;
}

static int take(void *user, const void *data, size_t size, struct bgd_err *err)
{
    (void)err;
    strncat(user, data, size);
    return 0;
}

static struct shards_state read_all(char *rows, int expected)
{
    struct shards_state state;
    struct bgd_err err = {0};
    cr_expect_eq(shards_read("d", rows ? take : NULL, rows, &state, &err), expected, "%s", err.text);
    return state;
}

Test(shards, hold_every_row_once_and_say_how_many)
{
    char *folder = scratch_enter(), rows[10000] = "";
    cr_expect_eq(run((struct settings){0}, true, -1), 8);
    struct shards_state state = read_all(rows, 0);
    cr_expect(state.finished && state.shards == SHARDS && state.missing == 0 && state.rows == 8);
    const char *at = rows;
    static const char *const ids[] = {"0", "1", "2", "3", "6", "7", "8", "9"};
    for (size_t i = 0; i < 8; i++) {
        char id[32];
        snprintf(id, sizeof id, "{\"id\":\"%s\",", ids[i]);
        cr_assert(strncmp(at, id, strlen(id)) == 0, "row %zu: %s", i, at);
        at = strchr(at, '\n') + 1;
    }
    char *manifest = scratch_read("d/manifest.json", NULL);
    cr_expect_str_eq(manifest,
                     "{\"run\":{\"sources\":{\"shard_cards\":2},\"model\":\"a\"},\"shards\":5,\"rows\":8,\"broken\":0,\"verdicts\":"
                     "{\"clean\":7,\"review\":0,\"defective\":0},\"reasons\":{\"text\":0,\"not_white\":0,"
                     "\"extra_objects\":0,\"cropped\":0,\"duplicates\":0},\"errors\":{\"damaged\":1}}\n");
    free(manifest);
    scratch_leave(folder);
}

Test(shards, a_run_that_stopped_anywhere_ends_with_the_same_bytes)
{
    char *folder = scratch_enter();
    run((struct settings){0}, true, -1);
    char *whole = contents();
    for (int stop = 0; stop < 10; stop += stop == 3 ? 3 : 1) { /* there are no cards 4 and 5 */
        cr_assert_eq(system("rm -r d"), 0);
        run((struct settings){0}, true, stop);
        cr_expect_neq(access("d/manifest.json", F_OK), 0, "a run that stopped at %d says it is complete", stop);
        run((struct settings){0}, true, -1);
        char *resumed = contents();
        cr_expect_str_eq(resumed, whole, "stopped at %d", stop);
        free(resumed);
    }
    free(whole);
    scratch_leave(folder);
}

Test(shards, what_is_done_is_not_done_again)
{
    char *folder = scratch_enter();
    run((struct settings){0}, false, 9); /* stops in the last shard */
    cr_expect_eq(run((struct settings){0}, false, -1), 2);
    cr_expect_eq(run((struct settings){0}, false, -1), 0);
    scratch_leave(folder);
}

Test(shards, parts_share_the_shards_and_the_last_one_writes_the_manifest)
{
    char *folder = scratch_enter();
    run((struct settings){0}, true, -1);
    char *whole = contents();
    cr_assert_eq(system("rm -r d"), 0);
    cr_expect_eq(run((struct settings){.part = 1, .parts = 2}, true, -1), 4);
    cr_expect_neq(access("d/manifest.json", F_OK), 0);
    struct shards_state state = read_all(NULL, 0);
    cr_expect(!state.finished && state.shards == 4 && state.missing == 2 && state.first == 0 && state.rows == 4);
    cr_expect_eq(run((struct settings){.part = 0, .parts = 2}, true, -1), 4);
    char *shared = contents();
    cr_expect_str_eq(shared, whole);
    free(whole), free(shared);
    scratch_leave(folder);
}

Test(shards, another_run_is_refused_and_what_differs_is_named)
{
    char *folder = scratch_enter();
    struct shards *shards;
    struct bgd_err err = {0};
    run((struct settings){0}, false, -1);
    cr_expect_eq(open_with((struct settings){.model = "b"}, &shards, &err), BGD_ARGUMENT);
    cr_expect_str_eq(err.text, "d holds another run: its model is \"a\", this one's \"b\"");
    cr_expect_null(shards);
    cr_expect_eq(read_all(NULL, 0).rows, 8, "the refused run has touched what is there");
    scratch_leave(folder);
}

Test(shards, another_run_replaces_it_only_when_told)
{
    char *folder = scratch_enter();
    run((struct settings){.model = "b"}, false, -1);
    char *whole = contents();
    cr_assert_eq(system("rm -r d"), 0);
    run((struct settings){0}, false, -1);
    scratch_text("d/notes.txt", "mine");
    cr_expect_eq(run((struct settings){.model = "b", .replace = true}, false, -1), 8);
    char *mine = scratch_read("d/notes.txt", NULL);
    cr_expect_str_eq(mine, "mine", "a file that is none of ours is gone");
    unlink("d/notes.txt");
    char *replaced = contents();
    cr_expect_str_eq(replaced, whole);
    cr_expect_eq(run((struct settings){.model = "b", .replace = true}, false, -1), 0, "the same run is not begun anew");
    free(whole), free(replaced), free(mine);
    scratch_leave(folder);
}

Test(shards, failures_of_a_kind_are_tried_again_when_told)
{
    char *folder = scratch_enter();
    run((struct settings){0}, false, -1);
    char *whole = contents();
    cr_assert_eq(system("rm -r d"), 0);
    run((struct settings){0}, true, -1);
    cr_expect_eq(run((struct settings){.retry = 1u << -BGD_NETWORK}, false, -1), 0);
    cr_expect_eq(run((struct settings){.retry = 1u << -BGD_DAMAGED}, false, -1), 2, "the shard of card 7");
    char *retried = contents();
    cr_expect_str_eq(retried, whole);
    free(whole), free(retried);
    scratch_leave(folder);
}

static void expect_damaged(const char *file, const char *what)
{
    struct shards_state state;
    struct bgd_err err = {0};
    cr_expect_eq(shards_read("d", NULL, NULL, &state, &err), BGD_DAMAGED, "%s: %s", file, what);
    cr_expect(strstr(err.text, file), "%s: %s", file, err.text);
}

Test(shards, every_flipped_byte_and_every_cut_is_seen)
{
    char *folder = scratch_enter();
    static const char *const files[] = {"d/shard-00000001.jsonl", "d/shard-00000001.json", "d/manifest.json"};
    run((struct settings){0}, true, -1);
    for (size_t f = 0; f < 3; f++) {
        size_t size;
        char *bytes = scratch_read(files[f], &size);
        for (size_t i = 0; i < size; i++) {
            bool told = f > 0 && (strstr(bytes, "\"run\"") ? i < 52 : i < 11); /* what no receipt is held against */
            bytes[i] ^= 1;
            scratch_write(files[f], bytes, size);
            struct shards_state state;
            struct bgd_err err = {0};
            int code = shards_read("d", NULL, NULL, &state, &err);
            cr_expect(code == BGD_DAMAGED || told || bytes[i] == '\v', "%s, byte %zu of %zu: %d", files[f], i, size, code);
            bytes[i] ^= 1;
        }
        scratch_write(files[f], bytes, size - 2);
        expect_damaged(strrchr(files[f], '/') + 1, "cut");
        scratch_write(files[f], bytes, size);
        free(bytes);
    }
    unlink("d/shard-00000003.json");
    expect_damaged("shard-00000003.json", "gone");
    scratch_leave(folder);
}

Test(shards, a_folder_that_cannot_be_made_is_named)
{
    char *folder = scratch_enter();
    struct shards *shards;
    struct shards_state state;
    struct bgd_err err = {0};
    scratch_text("d", "a file");
    cr_expect_eq(open_with((struct settings){0}, &shards, &err), BGD_ARGUMENT);
    cr_expect(strstr(err.text, "d: Not a directory"), "%s", err.text);
    cr_expect_eq(shards_read("gone", NULL, NULL, &state, &err), BGD_MISSING);
    cr_expect(strstr(err.text, "gone"), "%s", err.text);
    unlink("d");
    mkdir("d", 0777);
    scratch_text("d/run.json", "{\"model\":");
    cr_expect_eq(open_with((struct settings){0}, &shards, &err), BGD_DAMAGED);
    cr_expect(strstr(err.text, "d/run.json"), "%s", err.text);
    scratch_leave(folder);
}
