/* Pipeline files: what is read, and what is refused with which words. */
#include "pipelines.h"

#include <sys/stat.h>

static const char good[] = "{\n"
                           "  \"segmenter\": {\"model\": \"models/segmenter.bgd\", \"width\": 24, \"height\": 32, \"sees\": "
                           "\"photo\", \"alpha\": \"soft\"},\n"
                           "  \"classifier\": {\"model\": \"models/three.bgd\"}\n"
                           "}\n";

static struct net make_network(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 32, 24});
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "mask", net_conv(g, "conv", x, 1, graph_window(1, 1, 0), 1, 5), 0));
    return net_finish(g, &net_plain_meta, BGD_F32);
}

/* A folder with models of all kinds: f/models/... and the pipeline f/p.json is the test's. */
static char *enter(void)
{
    char *folder = scratch_enter();
    cr_assert(mkdir("f", 0777) == 0 && mkdir("f/models", 0777) == 0);
    pipelines_write("f/models/segmenter.bgd", pipelines_segmenter(24, 32, 1));
    pipelines_write("f/models/other.bgd", pipelines_segmenter(24, 32, 2));
    pipelines_write("f/models/three.bgd", pipelines_classifier(3, 12, 16, 3));
    pipelines_write("f/models/other3.bgd", pipelines_classifier(3, 12, 16, 4));
    pipelines_write("f/models/four.bgd", pipelines_classifier(4, 12, 16, 3));
    pipelines_write("f/models/network.bgd", make_network());
    return folder;
}

static struct bgd_pipeline *open_good(const char *path)
{
    struct bgd_pipeline *pipeline;
    struct bgd_err err = {0};
    cr_assert_eq(bgd_pipeline_open(path, &pipeline, &err), 0, "%s", err.text);
    return pipeline;
}

static struct bgd_pipeline *open_text(const char *text)
{
    scratch_text("f/p.json", text);
    return open_good("f/p.json");
}

/* `text` with its only `from` replaced, to be freed. */
static char *with(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = NULL;
    cr_assert(at && !strstr(at + 1, from), "%s stands once in %s", from, text);
    cr_assert(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
    return out;
}

/* ---------------------------------------------------------------- what is read */

Test(pipeline, reads_a_good_file_beside_its_models)
{
    char *folder = enter();
    struct bgd_pipeline *p = open_text(good);
    cr_expect_str_eq(bgd_pipeline_name(p), "tiny-segmenter + test");
    cr_expect_eq(strspn(bgd_pipeline_hash(p), "0123456789abcdef"), 32);
    cr_expect(p->segmenter && p->segmenter->meta.kind == META_SEGMENTER && p->classifier->meta.kind == META_CLASSIFIER);
    cr_expect(p->sight == PIPELINE_PHOTO && p->threshold == PIPELINE_SOFT);
    bgd_pipeline_close(p);

    char *text = with(good, "\"photo\"", "\"thumbnail\""), *hard = with(text, "\"soft\"", "0.25");
    p = open_text(hard);
    cr_expect(p->sight == PIPELINE_THUMBNAIL && p->threshold == 0.25f);
    bgd_pipeline_close(p);
    free(text);
    free(hard);

    char *four = with(good, "three.bgd", "four.bgd");
    p = open_text(four);
    cr_expect_eq(p->classifier->meta.input.channels, 4);
    bgd_pipeline_close(p);
    free(four);
    bgd_pipeline_close(NULL);
    scratch_leave(folder);
}

Test(pipeline, looks_for_models_from_its_own_folder)
{
    char *folder = enter(), *absolute, *text;
    struct bgd_pipeline *p = open_text(good);
    bgd_pipeline_close(p);
    cr_assert(asprintf(&absolute, "%s/f/p.json", folder) > 0);
    bgd_pipeline_close(open_good(absolute));
    cr_assert_eq(chdir("f"), 0);
    bgd_pipeline_close(open_good("p.json"));
    bgd_pipeline_close(open_good("./models/../p.json"));
    cr_assert_eq(chdir("models"), 0);
    bgd_pipeline_close(open_good("../p.json"));

    cr_assert(asprintf(&text, "{\"classifier\": {\"model\": \"%s/f/models/three.bgd\"}}", folder) > 0);
    scratch_text("p.json", text); /* the model's name begins with '/' */
    bgd_pipeline_close(open_good("p.json"));
    bgd_pipeline_close(open_good("../models/p.json"));
    free(text);
    free(absolute);
    scratch_leave(folder);
}

Test(pipeline, takes_a_classifier_alone_for_one)
{
    char *folder = enter(), hash[HASH_TEXT];
    struct bgd_pipeline *file = open_good("f/models/three.bgd"),
                        *json = open_text("{\"classifier\": {\"model\": \"models/three.bgd\"}}");
    model_hash_text(file->classifier, hash);
    cr_expect_str_eq(bgd_pipeline_name(file), "test");
    cr_expect_str_eq(bgd_pipeline_hash(file), hash, "its own hash, as inspect shows it");
    cr_expect_str_eq(bgd_pipeline_hash(json), hash);
    cr_expect_null(file->segmenter);
    bgd_pipeline_close(file);
    bgd_pipeline_close(json);
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- its hash */

Test(pipeline, has_a_hash_of_its_models_and_settings_alone)
{
    static const char *const others[][2] = {
        {"segmenter.bgd", "other.bgd"}, {"three.bgd", "other3.bgd"}, {"three.bgd", "four.bgd"},
        {"\"photo\"", "\"thumbnail\""}, {"\"soft\"", "0.5"},         {"\"soft\"", "0.5000001"},
        {"\"soft\"", "1e-7"},           {"\"soft\"", "2e-7"},        {"\"soft\"", "0.25"}};
    enum { N = sizeof others / sizeof *others };
    char *folder = enter(), hashes[N + 1][33];
    struct bgd_pipeline *p = open_text(good);
    strcpy(hashes[N], bgd_pipeline_hash(p));
    bgd_pipeline_close(p);
    for (size_t i = 0; i < N; i++) {
        char *text = with(good, others[i][0], others[i][1]);
        p = open_text(text);
        strcpy(hashes[i], bgd_pipeline_hash(p));
        bgd_pipeline_close(p);
        free(text);
    }
    for (size_t i = 0; i <= N; i++)
        for (size_t k = 0; k < i; k++)
            cr_expect_str_neq(hashes[i], hashes[k], "settings %zu and %zu", i, k);

    static const char *const same[] = {
        "{\"segmenter\":{\"model\":\"models/segmenter.bgd\",\"width\":24,\"height\":32,\"sees\":\"photo\",\"alpha\":\"soft\"},"
        "\"classifier\":{\"model\":\"models/three.bgd\"}}",
        "\n\n{ \"classifier\" : { \"model\" : \"models/three.bgd\" "
        "},\r\n\t\"segmenter\":{\"alpha\":\"soft\",\"sees\":\"photo\","
        "\"height\":3.2e1,\"width\":24.0,\"model\":\"models/../models/segmenter.bgd\"}}\n\n",
        "                                                                                          "
        "{\"classifier\":{\"model\":\"models/three.bgd\"},\"segmenter\":{\"model\":\"models/segmenter.bgd\",\"width\":24,"
        "\"height\":32,\"sees\":\"photo\",\"alpha\":\"soft\"}}"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        p = open_text(same[i]);
        cr_expect_str_eq(bgd_pipeline_hash(p), hashes[N], "form %zu", i);
        bgd_pipeline_close(p);
    }
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- what is refused */

/* One line that names the file and says `says`. */
static void check_refused(const char *path, enum bgd_code code, const char *says)
{
    struct bgd_pipeline *pipeline = (void *)1;
    struct bgd_err err = {0};
    cr_expect_eq(bgd_pipeline_open(path, &pipeline, &err), code, "%s: %s (%s)", says, err.text, bgd_code_name(err.code));
    cr_expect_eq(err.code, code);
    cr_expect_null(pipeline);
    cr_expect(strncmp(err.text, path, strlen(path)) == 0 && err.text[strlen(path)] == ':', "does not name %s: %s", path,
              err.text);
    cr_expect(strstr(err.text, says), "does not say \"%s\": %s", says, err.text);
    cr_expect(!strchr(err.text, '\n'));
}

static void check_text(const char *text, enum bgd_code code, const char *says)
{
    scratch_text("f/p.json", text);
    check_refused("f/p.json", code, says);
}

Test(pipeline, refuses_settings_by_their_key)
{
    static const struct {
        const char *from, *to; /* in `good` */
        enum bgd_code code;
        const char *says;
    } cases[] = {
        {"\"classifier\":", "\"threshold\": 1, \"classifier\":", BGD_DAMAGED, "pipeline: unknown key \"threshold\""},
        {"\"segmenter\":", "\"Segmenter\":", BGD_DAMAGED, "unknown key \"Segmenter\""},
        {"\"sees\":", "\"looks at\": 1, \"sees\":", BGD_DAMAGED, "segmenter: unknown key \"looks at\""},
        {"three.bgd\"", "three.bgd\", \"width\": 12", BGD_DAMAGED, "classifier: unknown key \"width\""},
        {"three.bgd\"", "three.bgd\", \"a\\nb\": 12", BGD_DAMAGED, "classifier: unknown key \"a?b\""},
        {"three.bgd\"", "three.bgd\", \"model\": \"models/four.bgd\"", BGD_DAMAGED, "classifier: key \"model\" stands twice"},
        {"\"height\": 32,", "\"height\": 32, \"height\": 32,", BGD_DAMAGED, "segmenter: key \"height\" stands twice"},
        {"three.bgd\"}", "three.bgd\"}, \"classifier\": 1", BGD_DAMAGED, "pipeline: key \"classifier\" stands twice"},
        {"three.bgd\"}", "three.bgd\"}, \"segmenter\": {}", BGD_DAMAGED, "pipeline: key \"segmenter\" stands twice"},
        {"\"classifier\": {\"model\": \"models/three.bgd\"}", "\"classifier\": []", BGD_DAMAGED,
         "\"classifier\" is another type"},
        {",\n  \"classifier\": {\"model\": \"models/three.bgd\"}", "", BGD_DAMAGED, "\"classifier\" is missing"},
        {"{\"model\": \"models/three.bgd\"}", "{}", BGD_DAMAGED, "classifier: \"model\""},
        {"\"models/three.bgd\"", "\"\"", BGD_DAMAGED, "classifier: \"model\""},
        {"\"models/three.bgd\"", "3", BGD_DAMAGED, "classifier: \"model\""},
        {"\"models/segmenter.bgd\"", "null", BGD_DAMAGED, "segmenter: \"model\""},
        {"{\"model\": \"models/segmenter.bgd\", \"width\": 24, \"height\": 32, \"sees\": \"photo\", \"alpha\": \"soft\"}",
         "null", BGD_DAMAGED, "\"segmenter\" is not an object"},
        {"three.bgd", "gone.bgd", BGD_MISSING, "classifier: f/models/gone.bgd"},
        {"segmenter.bgd", "gone.bgd", BGD_MISSING, "segmenter: f/models/gone.bgd"},
        {"models/three.bgd", "models", BGD_UNREADABLE, "classifier: f/models: not a regular file"},
        {"models/three.bgd", "p.json", BGD_UNKNOWN, "classifier: f/p.json: not a model file"},
        {"three.bgd", "segmenter.bgd\\u0020", BGD_MISSING, "classifier: f/models/segmenter.bgd "},
        {"\"width\": 24", "\"width\": 32", BGD_ARGUMENT, "segmenter: \"width\" is 32, its model was converted for 24"},
        {"\"height\": 32", "\"height\": 31.5", BGD_ARGUMENT, "segmenter: \"height\" is 31.5, its model was converted for 32"},
        {"\"height\": 32", "\"height\": 1e999", BGD_ARGUMENT, "segmenter: \"height\""},
        {"\"width\": 24, ", "", BGD_DAMAGED, "segmenter: \"width\" is missing"},
        {"\"height\": 32", "\"height\": \"32\"", BGD_DAMAGED, "segmenter: \"height\" is no number"},
        {"\"photo\"", "\"Photo\"", BGD_DAMAGED, "segmenter: \"sees\""},
        {"\"photo\"", "\"\"", BGD_DAMAGED, "segmenter: \"sees\""},
        {"\"photo\"", "1", BGD_DAMAGED, "segmenter: \"sees\""},
        {"\"sees\": \"photo\", ", "", BGD_DAMAGED, "segmenter: \"sees\""},
        {"\"soft\"", "0", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "1", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "-1", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "2", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "1e-60", BGD_DAMAGED, "segmenter: \"alpha\""}, /* 0 and 1 as floats */
        {"\"soft\"", "0.99999999999", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "\"hard\"", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "\"0.5\"", BGD_DAMAGED, "segmenter: \"alpha\""},
        {"\"soft\"", "true", BGD_DAMAGED, "segmenter: \"alpha\""},
        {", \"alpha\": \"soft\"", "", BGD_DAMAGED, "segmenter: \"alpha\""},
        /* 24x32 is not what these were converted for either: the kind comes first */
        {"\"models/segmenter.bgd\"", "\"models/four.bgd\"", BGD_ARGUMENT,
         "the segmenter's model is a classifier, expected a segmenter"},
        {"segmenter.bgd", "network.bgd", BGD_ARGUMENT, "the segmenter's model is a network, expected a segmenter"},
        {"three.bgd", "other.bgd", BGD_ARGUMENT, "the classifier's model is a segmenter, expected a classifier"},
        {"three.bgd", "network.bgd", BGD_ARGUMENT, "the classifier's model is a network, expected a classifier"},
    };
    char *folder = enter();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = with(good, cases[i].from, cases[i].to);
        check_text(text, cases[i].code, cases[i].says);
        free(text);
    }
    scratch_leave(folder);
}

Test(pipeline, refuses_models_that_stand_alone_but_cannot)
{
    char *folder = enter();
    check_refused("f/models/segmenter.bgd", BGD_ARGUMENT, "the classifier's model is a segmenter");
    check_refused("f/models/network.bgd", BGD_ARGUMENT, "the classifier's model is a network");
    check_refused("f/models/four.bgd", BGD_ARGUMENT, "the classifier takes 4 channels");
    check_text("{\"classifier\": {\"model\": \"models/four.bgd\"}}", BGD_ARGUMENT, "needs a pipeline file with a segmenter");
    scratch_leave(folder);
}

Test(pipeline, refuses_what_is_no_json_object)
{
    static const char *const broken[] = {"{",
                                         "{}x",
                                         "{\"classifier\": {\"model\": \"models/three.bgd\"}} {}",
                                         "{\"classifier\": {\"model\": \"models/three.bgd\"},}",
                                         "{'classifier': 1}",
                                         "{\"classifier\": {\"model\": \"models/three.bgd\"}} // ours",
                                         "{\"a\": \"\\ud800\"}"};
    static const char *const other[] = {"",
                                        "[]",
                                        "[{\"classifier\": {\"model\": \"models/three.bgd\"}}]",
                                        "\"classifier\"",
                                        "1",
                                        "classifier: models/three.bgd\n",
                                        "\n",
                                        "(a longer text that is neither of the two, but has the "
                                        "length of a model file's header, and some more of it, to be sure)"};
    char *folder = enter();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        check_text(broken[i], BGD_DAMAGED, "not one JSON object (stopped at byte ");
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        scratch_text("f/p.json", other[i]);
        struct bgd_pipeline *pipeline;
        struct bgd_err err = {0};
        int code = bgd_pipeline_open("f/p.json", &pipeline, &err);
        cr_expect(code == BGD_DAMAGED || code == BGD_UNKNOWN, "%s", err.text);
        cr_expect_str_eq(err.text, "f/p.json: neither a pipeline (one JSON object) nor a model file");
    }
    char nul[sizeof good + 8];
    for (size_t tail = 1; tail < 8; tail++) { /* NULs are no white space */
        memset(nul, 0, sizeof nul);
        memcpy(nul, good, strlen(good));
        scratch_write("f/p.json", nul, strlen(good) + tail);
        check_refused("f/p.json", BGD_DAMAGED, "not one JSON object");
    }
    scratch_leave(folder);
}

Test(pipeline, refuses_what_nests_too_deep)
{
    char *folder = enter(), text[60001];
    strcpy(text, "{\"segmenter\":");
    memset(text + strlen(text), '[', 50000);
    text[50013] = 0;
    check_text(text, BGD_DAMAGED, "not one JSON object");
    scratch_leave(folder);
}

Test(pipeline, refuses_files_that_are_too_long_or_no_files, .timeout = 20)
{
    char *folder = enter(), *text = malloc((64 << 10) + 2);
    memset(text, ' ', (64 << 10) + 1);
    memcpy(text, good, strlen(good));
    scratch_write("f/p.json", text, 64 << 10);
    bgd_pipeline_close(open_good("f/p.json"));
    scratch_write("f/p.json", text, (64 << 10) + 1);
    check_refused("f/p.json", BGD_LIMIT, "65537 bytes, at most 65536 are read");
    free(text);
    check_refused("f", BGD_UNREADABLE, "not a regular file");
    check_refused("f/gone.json", BGD_MISSING, "No such file");
    check_refused("f/models/three.bgd/p.json", BGD_MISSING, "Not a directory");
    cr_assert_eq(mkfifo("f/fifo", 0666), 0);
    check_refused("f/fifo", BGD_UNREADABLE, "not a regular file");
    check_refused("/dev/zero", BGD_UNREADABLE, "not a regular file");
    check_text("{\"classifier\": {\"model\": \"fifo\"}}", BGD_UNREADABLE, "f/fifo: not a regular file");
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- damage */

Test(pipeline, refuses_a_file_cut_anywhere)
{
    char *folder = enter();
    for (size_t size = 0; size < strlen(good) - 2; size++) { /* the last two are '}' and its newline */
        scratch_write("f/p.json", good, size);
        struct bgd_pipeline *pipeline;
        struct bgd_err err = {0};
        cr_expect_lt(bgd_pipeline_open("f/p.json", &pipeline, &err), 0, "cut to %zu bytes", size);
        cr_expect(strncmp(err.text, "f/p.json: ", 10) == 0, "%s", err.text);
        bgd_pipeline_close(pipeline);
    }
    scratch_leave(folder);
}

/* A byte that changes is refused, or it did not matter: white space, or another way to the same file. */
Test(pipeline, survives_every_byte_flip)
{
    char *folder = enter();
    struct bgd_pipeline *p = open_text(good);
    char hash[33], text[sizeof good];
    uint32_t accepted = 0, tried = 0;
    strcpy(hash, bgd_pipeline_hash(p));
    bgd_pipeline_close(p);
    for (size_t i = 0; i < strlen(good); i++)
        for (int flip = 1; flip < 256; flip = flip < 128 ? flip * 2 : flip + 127) { /* each bit, and all */
            memcpy(text, good, sizeof good);
            text[i] = (char)(text[i] ^ flip);
            scratch_write("f/p.json", text, strlen(good));
            struct bgd_err err = {0};
            int code = bgd_pipeline_open("f/p.json", &p, &err);
            cr_expect(code == 0 || strncmp(err.text, "f/p.json: ", 10) == 0, "%s", err.text);
            if (!code)
                cr_expect_str_eq(bgd_pipeline_hash(p), hash, "byte %zu, flip %d", i, flip);
            accepted += !code;
            tried++;
            bgd_pipeline_close(p);
        }
    cr_expect_lt(accepted, tried / 10, "%u of %u", accepted, tried);
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- what is committed */

/* fixtures/segmenter.bgd, which test_cli.sh runs. BGDET_WRITE_FIXTURES=1 writes it anew. */
Test(pipeline, fixture_of_the_command_line_is_as_made_here)
{
    static const char path[] = BGDET_SOURCE_DIR "/tests/fixtures/segmenter.bgd";
    struct net net = pipelines_dark_segmenter();
    if (getenv("BGDET_WRITE_FIXTURES"))
        scratch_write(path, net.bytes, net.size);
    size_t size;
    char *bytes = scratch_read(path, &size);
    cr_expect(size == net.size && memcmp(bytes, net.bytes, size) == 0, "run this test with BGDET_WRITE_FIXTURES=1");
    free(bytes);
    net_close(&net);
}
