/* The command line: picks the subcommand, and holds what they share. */
#include "backend.h"
#include "err.h"
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"score", tool_score, "judge the background of product cards"},
    {"show", tool_show, "draw why cards were judged so"},
    {"eval", tool_eval, "say how right verdicts are on labelled cards, and calibrate a model"},
    {"verify", tool_verify, "prove the folder of a sharded run"},
    {"merge", tool_merge, "join the rows of a sharded run"},
    {"diff", tool_diff, "say what changed between two runs of score"},
    {"convert", tool_convert, "turn a PyTorch checkpoint into a model file"},
    {"inspect", tool_inspect, "show what a model file holds"},
    {"infer", tool_infer, "run raw tensors (.npy) through a model file"},
};

static void print_help(FILE *file)
{
    fputs("bgdet " BGD_VERSION ": finds product cards whose background is defective.\n\n"
          "usage: bgdet COMMAND [options]\n\n",
          file);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(file, "  %-8s  %s\n", commands[i].name, commands[i].summary);
    fputs("\n`bgdet COMMAND --help` shows the options of one.\n", file);
}

/* A descriptor of 0 to 2 that is closed would be the next file opened, and messages would go into it. */
static void open_standard_files(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        close(fd);
}

static int run(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error with a message, */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow */
    open_standard_files();
    opterr = 0; /* tool_bad_option says it */
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        char devices[BACKEND_NAMES];
        backend_names(devices);
        printf("bgdet " BGD_VERSION " (devices: %s)\n", devices);
        return EXIT_DONE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "bgdet: no command \"%s\"\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int code = run(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && code == EXIT_DONE) {
        fprintf(stderr, "bgdet: standard output: %s\n", strerror(errno));
        return EXIT_RETRY;
    }
    return code;
}

int tool_fail(const struct bgd_err *err)
{
    fprintf(stderr, "bgdet: %s\n", err->text);
    switch (err->code) {
    case BGD_OK: return EXIT_DONE;
    case BGD_MISSING: return EXIT_MISSING;
    case BGD_UNREADABLE:
    case BGD_UNKNOWN:
    case BGD_DAMAGED:
    case BGD_UNSUPPORTED:
    case BGD_LIMIT: return EXIT_INPUT;
    case BGD_ARGUMENT: return EXIT_USAGE;
    case BGD_MEMORY:
    case BGD_DEVICE:
    case BGD_WRITE:
    case BGD_NETWORK: return EXIT_RETRY;
    }
    return EXIT_RETRY;
}

int tool_usage(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bgdet %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n`bgdet %s --help` shows the options.\n", command);
    va_end(args);
    return EXIT_USAGE;
}

int tool_bad_option(const char *command, int returned, char **argv)
{
    const char *option = argv[optind - 1];
    if (returned == ':')
        return tool_usage(command, "option %s needs a value", option);
    if (optopt && optopt < 256) /* a letter, maybe among others behind one '-' */
        return tool_usage(command, "unknown option -%c", optopt);
    return tool_usage(command, "unknown option %s, or it takes no value", option);
}

bool tool_parse_count(const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || errno || text[0] == '-' || value < least || value > most)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool tool_parse_size(const char *text, uint32_t *width, uint32_t *height)
{
    char first[16];
    size_t length = strcspn(text, "x");
    if (length >= sizeof first || text[length] != 'x')
        return false;
    memcpy(first, text, length);
    first[length] = 0;
    return tool_parse_count(first, 1, BGD_IMAGE_SIDE_MAX, width) &&
           tool_parse_count(text + length + 1, 1, BGD_IMAGE_SIDE_MAX, height);
}

bool tool_parse_rgb(const char *text, float out[3])
{
    char *end;
    for (int i = 0; i < 3; i++) {
        out[i] = strtof(text, &end);
        if (end == text || !isfinite(out[i]) || *end != (i < 2 ? ',' : 0))
            return false;
        text = end + 1;
    }
    return true;
}

bool tool_parse_share(const char *text, char end, float *out)
{
    char *stop;
    *out = strtof(text, &stop);
    return stop != text && *stop == end && *out >= 0 && *out <= 1;
}

bool tool_parse_precision(const char *text, enum bgd_precision *out)
{
    static const char *const names[] = {
        [BGD_PRECISION_AUTO] = "auto", [BGD_PRECISION_F32] = "f32", [BGD_PRECISION_F16] = "f16", [BGD_PRECISION_BF16] = "bf16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum bgd_precision)i;
            return true;
        }
    return false;
}

bool tool_find_data(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {"../share/bgdet", "../.."};
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return false;
    program[length] = 0;
    char *slash = strrchr(program, '/');
    *slash = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char joined[sizeof program + 300];
        snprintf(joined, sizeof joined, "%s/%s/%s", program, folders[i], name);
        char *real = realpath(joined, NULL);
        bool fits = real && strlen(real) < size;
        if (fits)
            strcpy(path, real);
        free(real);
        if (fits)
            return true;
    }
    return false;
}

char *tool_join(const char *root, size_t length, const char *file)
{
    char *path = NULL;
    if (*file == '/' || length == 0)
        return strdup(file);
    return asprintf(&path, "%.*s/%s", (int)length, root, file) < 0 ? NULL : path;
}

int tool_make_report_folder(const char *folder, struct bgd_err *err)
{
    struct stat st;
    if (mkdir(folder, 0777) && errno != EEXIST)
        return err_set(err, BGD_WRITE, "%s: %s", folder, strerror(errno));
    if (stat(folder, &st) || !S_ISDIR(st.st_mode) || access(folder, W_OK | X_OK))
        return err_set(err, BGD_ARGUMENT, "--report %s: not a folder that may be written", folder);
    return 0;
}
