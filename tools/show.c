/* bgdet show: why a card was judged so, as a picture. */
#include "run.h"
#include "tools.h"

#include <getopt.h>

static const char help[] =
    "usage: bgdet show [options] CARD... -o OUT.png\n"
    "\n"
    "Draws each card, with an outline around what it is defective for, beside its mask (the main object, white), the\n"
    "background that it leaves, at the size that the classifier sees it, and the verdict with its reasons as bars, each\n"
    "in the colour of its outlines. A classifier of three channels judges that background, one of four the card with\n"
    "the inverted mask beside it. At most 400 cards.\n"
    "\n"
    "  -o, --output OUT.png  where to draw\n"
    "  -p, --pipeline FILE   how to judge: a pipeline file or a classifier's model file (default: the one that ships)\n"
    "  -r, --recursive       walk into folders\n"
    "      --decode HOW      scaled (default) or exact\n"
    "      --device NAME     auto, onednn, ref, cuda\n"
    "      --precision P     auto, f32, f16, bf16\n"
    "      --threads N       threads that decode and score\n"
    "  -q, --quiet           no table, no summary\n";

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"pipeline", required_argument, NULL, 'p'},
    {"model", required_argument, NULL, 'm'},
    {"recursive", no_argument, NULL, 'r'},
    {"decode", required_argument, NULL, SESSION_DECODE},
    {"device", required_argument, NULL, SESSION_DEVICE},
    {"precision", required_argument, NULL, SESSION_PRECISION},
    {"threads", required_argument, NULL, SESSION_THREADS},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

int tool_show(int argc, char **argv)
{
    struct run_settings s = {
        .catalogue = {.separator = '\n'}, .max_error_rate = 1, .results = {.form = RESULTS_TABLE}, .cut_out = true};
    int option, code;
    while ((option = getopt_long(argc, argv, ":o:p:m:rqh", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        code = session_set_option(&s.session, "show", option);
        if (option == 'o')
            s.sheet = optarg;
        else if (option == 'r')
            s.catalogue.recursive = true;
        else if (code)
            return code == SESSION_OTHER ? tool_bad_option("show", option, argv) : code;
    }
    s.catalogue.paths = argv + optind;
    s.catalogue.n_paths = (size_t)(argc - optind);
    if (!s.sheet)
        return tool_usage("show", "no --output OUT.png");
    if (s.session.quiet)
        s.results.path = "/dev/null";
    code = run_check_paths(&s, "show");
    return code ? code : run_cards(&s);
}
