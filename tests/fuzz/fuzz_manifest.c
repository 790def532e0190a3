/* Any bytes as a line of a manifest. What is accepted keeps its promises. */
#include "sources/manifest.h"

#include "sources/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest_line line = {0};
    struct bgd_err err = {0};
    char *text = malloc(size + 1);
    check(text);
    memcpy(text, data, size);
    text[size] = 0;
    int code = manifest_parse(text, size, &line, &err);
    check(code ? code == BGD_DAMAGED && err.text[0] : line.id && line.id[0] && line.path && line.path[0]);
    if (!code && line.carried) { /* JSON of one line, and nothing in it that could be taken out */
        cJSON *tree = json_parse(line.carried, strlen(line.carried));
        check(cJSON_IsObject(tree) && tree->child && !strchr(line.carried, '\n'));
        check(json_compact(line.carried) == strlen(line.carried));
        cJSON_Delete(tree);
    }
    manifest_free(&line);
    free(text);
    return 0;
}
