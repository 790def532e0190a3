#include "json.h"
#include "err.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cJSON *json_number(double value)
{
    return isnan(value) ? cJSON_CreateNull() : cJSON_CreateNumber(value);
}

void json_add_name(cJSON *object, const char *key, const char *name)
{
    char *text = malloc(3 * strlen(name) + 1), *out = text;
    if (!text)
        return;
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = utf8_length(s, SIZE_MAX);
        memcpy(out, n ? (const char *)s : "\xef\xbf\xbd", n ? n : 3);
        out += n ? n : 3;
        s += n ? n : 1;
    }
    *out = 0;
    cJSON_AddStringToObject(object, key, text);
    free(text);
}

int json_print(FILE *file, cJSON *object, struct bgd_err *err)
{
    char *text = cJSON_Print(object);
    cJSON_Delete(object);
    if (!text)
        return err_set(err, BGD_MEMORY, "out of memory");
    fprintf(file, "%s\n", text);
    free(text);
    return 0;
}
