/* What the JSON objects of the commands have in common. */
#ifndef BGD_TOOLS_JSON_H
#define BGD_TOOLS_JSON_H

#include "bgdet.h"

#include <cjson/cJSON.h>
#include <stdio.h>

/* null for NAN: what is not defined. */
cJSON *json_number(double value);

/* Names of files may be any bytes; JSON takes UTF-8. What is not becomes U+FFFD. */
void json_add_name(cJSON *object, const char *key, const char *name);

/* Prints the object and a newline, and frees it. BGD_MEMORY. */
int json_print(FILE *file, cJSON *object, struct bgd_err *err);

#endif
