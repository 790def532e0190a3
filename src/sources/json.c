#include "json.h"

#include "../utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Each of these returns what is behind the token, or NULL if it is none. */

static const char *skip_digits(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n ? s + n : NULL;
}

static const char *skip_number(const char *s)
{
    s += *s == '-';
    s = *s == '0' ? s + 1 : skip_digits(s);
    if (s && *s == '.')
        s = skip_digits(s + 1);
    if (s && (*s == 'e' || *s == 'E')) {
        s++;
        s = skip_digits(s + (*s == '+' || *s == '-'));
    }
    return s && !isdigit((unsigned char)*s) ? s : NULL;
}

static const char *skip_string(const char *s)
{
    for (s++; *s != '"';) {
        if ((unsigned char)*s < 0x20)
            return NULL; /* the text's end, too */
        if (s[0] == '\\' && s[1] == 'u' && strspn(s + 2, "0123456789abcdefABCDEF") < 4)
            return NULL;
        s += *s == '\\' && s[1] ? 2 : 1;
    }
    return s + 1;
}

/* What cJSON does not look at: strings, numbers and what stands between the tokens. */
static bool has_valid_tokens(const char *text, size_t size)
{
    const char *s = text;
    while (s && *s) {
        if (*s == '"')
            s = skip_string(s);
        else if (*s == '-' || isdigit((unsigned char)*s))
            s = skip_number(s);
        else if (isalpha((unsigned char)*s) || strchr("{}[]:, \t\r\n", *s))
            s++;
        else
            return false;
    }
    return s == text + size;
}

static bool is_utf8(const char *text, size_t size)
{
    for (size_t at = 0, n; at < size; at += n)
        if ((n = utf8_length((const unsigned char *)text + at, size - at)) == 0)
            return false;
    return true;
}

cJSON *json_parse(const char *text, size_t size)
{
    if (!is_utf8(text, size) || !has_valid_tokens(text, size))
        return NULL;
    return cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
}

size_t json_compact(char *text)
{
    char *out = text;
    for (const char *s = text; *s;) {
        size_t n = *s == '"' ? (size_t)(skip_string(s) - s) : !strchr(" \t\r\n", *s);
        memmove(out, s, n);
        out += n;
        s += n ? n : 1;
    }
    *out = 0;
    return (size_t)(out - text);
}

size_t json_length(const char *text)
{
    const char *s = text;
    size_t depth = 0;
    while (depth > 0 || !strchr(",}]", *s)) {
        depth += *s == '{' || *s == '[';
        depth -= *s == '}' || *s == ']';
        s = *s == '"' ? skip_string(s) : s + 1;
    }
    return (size_t)(s - text);
}
