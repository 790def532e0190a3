/* bgdet show: why a card was judged so, as a picture. */
#include "run.h"
#include "tools.h"

static const struct option_entry own_options[] = {
    {'o', "output", "OUT.png", "where to draw", OPTION_FILE(struct run_settings, sheet)},
    {'r', "recursive", NULL, "walk into folders", OPTION_FLAG(struct run_settings, catalogue.recursive)},
    {0},
};

static const struct option_group groups[] = {
    {NULL, own_options, 0},
    {NULL, session_options, offsetof(struct run_settings, session)},
    {0},
};

static const struct command_exit exits[] = {
    {EXIT_DONE, "drawn"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable model"},
    {EXIT_MISSING, "no such model"},
    {EXIT_RETRY, "try again later, or no such device"},
    {0},
};

static int run(int argc, char **argv)
{
    struct run_settings s = {.catalogue = {.separator = '\n'},
                             .results = {.form = RESULTS_TABLE},
                             .cut_out = true,
                             .max_error_rate = 1,
                             .progress = PROGRESS_BAR};
    int code;
    if (!options_parse(&tool_show, &s, &argc, &argv, &code))
        return code;
    s.catalogue.paths = argv;
    s.catalogue.n_paths = (size_t)argc;
    if (!s.sheet)
        return tool_usage("show", "no --output OUT.png");
    if (s.session.quiet)
        s.results.path = "/dev/null";
    code = run_check_paths(&s, "show");
    return code ? code : run_cards(&s);
}

const struct command tool_show = {
    .name = "show",
    .summary = "draw why cards were judged so",
    .synopsis = {"[options] CARD... -o OUT.png"},
    .text = "Draws each card, with an outline around what it is defective for, beside its mask (the main object, white), the "
            "background that it leaves, at the size that the classifier sees it, and the verdict with its reasons as bars, "
            "each in the colour of its outlines. A classifier of three channels judges that background, one of four the card "
            "with the inverted mask beside it. At most 400 cards.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
