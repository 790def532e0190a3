/* Any bytes as a shard. What it gives keeps the promises of tar.h.
 *   fuzz_tar CORPUS tests/fixtures/tars */
#include "sources/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cjson/cJSON.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

static void check_item(const struct item *item, const char *name)
{
    check(strncmp(item->id, name, strlen(name)) == 0 && item->id[strlen(name)] == '/');
    check(item->code ? item->code == BGD_LIMIT && item->detail && !item->data : item->data && !item->detail);
    if (item->carried) {
        cJSON *tree = cJSON_Parse(item->carried);
        check(cJSON_IsObject(tree) && !strchr(item->carried, '\n'));
        cJSON_Delete(tree);
    }
    for (size_t i = 0; i < item->size; i++) /* all of it is there to be read */
        (void)((const volatile uint8_t *)item->data)[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char name[64];
    if (file < 0) {
        file = memfd_create("x.tar", 0);
        snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    }
    check(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    struct tar *tar;
    struct bgd_err err = {0};
    struct item item = {0};
    check(tar_open(name, NULL, NULL, &tar, &err) == 0);
    int code;
    while ((code = tar_next(tar, &item, &err)) > 0) {
        check_item(&item, name);
        free(item.data);
    }
    check(code == 0 || code == BGD_DAMAGED || code == BGD_LIMIT || code == BGD_MEMORY);
    check(code == 0 || err.text[0]);
    tar_close(tar);
    return 0;
}
