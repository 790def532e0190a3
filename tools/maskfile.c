#include "maskfile.h"

#include "err.h"
#include "mask.h"
#include "pngfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* FOLDER/ID.png, with the folders that ID names; what would lead out of FOLDER ("..", a leading "/") does not. */
static char *mask_path(const char *folder, const char *id)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.png", folder, id + strspn(id, "/")) < 0)
        return NULL;
    for (char *part = path + strlen(folder); part; part = strchr(part + 1, '/'))
        if (strncmp(part, "/..", 3) == 0 && (part[3] == '/' || part[3] == 0))
            memcpy(part, "/__", 3);
    for (char *part = strchr(path + strlen(folder) + 1, '/'); part; part = strchr(part + 1, '/')) {
        *part = 0;
        mkdir(path, 0777);
        *part = '/';
    }
    return path;
}

/* The folder that a path's last name lies in. */
static bool folder_of(const char *path, struct stat *st)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    bool found = folder && stat(folder, st) == 0;
    free(folder);
    return found;
}

/* A mask beside its card could be another card's file, and would be a card itself for the next run. */
static bool lies_beside(const char *mask, const char *card)
{
    struct stat a, b;
    return folder_of(mask, &a) && folder_of(card, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

#define MASK_NAME_MAX 220 /* of the 255 bytes that a name may have; the rest is for the temporary file's */

int maskfile_write(const char *folder, const struct bgd_engine *engine, const struct flow_row *row, struct bgd_err *err)
{
    char *path = mask_path(folder, row->id);
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (slash && strlen(slash + 1) > MASK_NAME_MAX) {
        fprintf(stderr, "bgdet: %s: no mask, its name would be too long\n", row->id);
        free(path);
        return 0;
    }
    if (path && lies_beside(path, row->id)) {
        err_set(err, BGD_ARGUMENT, "%s: its mask would lie among the cards: name another folder for --masks", row->id);
        free(path);
        return err->code;
    }
    uint8_t *grey = malloc((size_t)row->width * row->height);
    int code;
    if (!path || !grey) {
        code = err_set(err, BGD_MEMORY, "%s: out of memory for its mask", row->id);
    } else {
        mask_enlarge(row->mask, bgd_engine_mask_width(engine), bgd_engine_mask_height(engine), grey, row->width, row->height);
        code = pngfile_write_grey(path, grey, row->width, row->height, err);
    }
    free(path);
    free(grey);
    return code;
}
