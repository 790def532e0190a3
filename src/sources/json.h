/*
 * JSON that passes through us: valid to the letter (RFC 8259), because what is carried into rows is the text itself. A number
 * of 20 digits stays what it was.
 */
#ifndef BGD_JSON_H
#define BGD_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/*
 * The tree of a text of `size` bytes that a NUL follows, to be deleted; NULL: it is not JSON. cJSON alone takes 01, 1., "\uzzzz",
 * control bytes in strings and any bytes for UTF-8. Hostile input is safe; 1,000 arrays inside each other are read.
 */
cJSON *json_parse(const char *text, size_t size);

/* Takes the white space between the tokens out of valid JSON, in place; returns the bytes that are left. (cJSON_Minify takes the
 * quote of "a\\" for an escaped one, and spaces out of the strings that follow.) */
size_t json_compact(char *text);

/* The bytes of the value, or the member, that `text` begins with, in compact JSON. */
size_t json_length(const char *text);

#endif
