/* The command line: picks the subcommand, and holds what they share. */
#include "backend.h"
#include "err.h"
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct command *const tool_commands[] = {&tool_score,  &tool_show,  &tool_eval,    &tool_diff,
                                               &tool_verify, &tool_merge, &tool_convert, &tool_inspect,
                                               &tool_infer,  &tool_bench, &tool_manual,  NULL};

static void print_help(FILE *file)
{
    fputs("bgdet " BGD_VERSION ": finds product cards whose background is defective.\n\n"
          "usage: bgdet COMMAND [options]\n\n",
          file);
    for (size_t i = 0; tool_commands[i]; i++)
        fprintf(file, "  %-8s  %s\n", tool_commands[i]->name, tool_commands[i]->summary);
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
    for (size_t i = 0; tool_commands[i]; i++)
        if (strcmp(name, tool_commands[i]->name) == 0)
            return tool_commands[i]->run(argc - 1, argv + 1);
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

int tool_check_folder(const char *output, struct bgd_err *err)
{
    const char *slash = strrchr(output, '/');
    char *folder = slash ? strndup(output, (size_t)(slash - output) + 1) : strdup(".");
    if (!folder)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = access(folder, W_OK | X_OK) ? err_set(err, BGD_ARGUMENT, "%s: %s: %s", output, folder, strerror(errno)) : 0;
    free(folder);
    return code;
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
