#include "s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static const char *or_else(const char *value, const char *other)
{
    return *value ? value : other;
}

bool s3_is(const char *name)
{
    return strncmp(name, "s3://", strlen("s3://")) == 0;
}

const char *s3_endpoint(void)
{
    return or_else(setting("AWS_ENDPOINT_URL_S3"), setting("AWS_ENDPOINT_URL"));
}

static const char *region(void)
{
    return or_else(setting("AWS_REGION"), or_else(setting("AWS_DEFAULT_REGION"), "us-east-1"));
}

/* As the signature wants it: libcurl signs the path as it is. */
static void print_escaped(FILE *out, const char *text, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (size_t i = 0; i < size; i++)
        if (strchr(plain, text[i]))
            fputc(text[i], out);
        else
            fprintf(out, "%%%02X", (unsigned char)text[i]);
}

/* May the bucket stand before s3.REGION.amazonaws.com? The certificate there is for one label, without dots. */
static bool is_label(const char *bucket, size_t size)
{
    return strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}

static void print_address(FILE *out, const char *bucket, size_t bucket_size, const char *key)
{
    const char *endpoint = s3_endpoint();
    size_t length = strlen(endpoint);
    while (length > 0 && endpoint[length - 1] == '/')
        length--;
    if (length == 0 && is_label(bucket, bucket_size))
        fprintf(out, "https://%.*s.s3.%s.amazonaws.com/", (int)bucket_size, bucket, region());
    else {
        if (length == 0)
            fprintf(out, "https://s3.%s.amazonaws.com/", region());
        else
            fprintf(out, "%.*s/", (int)length, endpoint);
        print_escaped(out, bucket, bucket_size);
        fputc('/', out);
    }
    print_escaped(out, key, strlen(key));
}

CURLUcode s3_set_url(CURLU *url, const char *name)
{
    const char *bucket = name + strlen("s3://"), *slash = strchr(bucket, '/');
    if (!slash || slash == bucket || !slash[1])
        return CURLUE_MALFORMED_INPUT;
    char *address = NULL;
    size_t size;
    FILE *out = open_memstream(&address, &size);
    if (!out)
        return CURLUE_OUT_OF_MEMORY;
    print_address(out, bucket, (size_t)(slash - bucket), slash + 1);
    CURLUcode code = CURLUE_OUT_OF_MEMORY;
    bool printed = !ferror(out);
    if (fclose(out) == 0 && printed)
        code = curl_url_set(url, CURLUPART_URL, address, CURLU_PATH_AS_IS); /* a key may have ".." */
    free(address);
    return code;
}

static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
    char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return false;
    struct curl_slist *longer = curl_slist_append(*headers, line);
    free(line);
    if (longer)
        *headers = longer;
    return longer != NULL;
}

bool s3_sign(CURL *easy, struct curl_slist **headers)
{
    const char *id = setting("AWS_ACCESS_KEY_ID"), *secret = setting("AWS_SECRET_ACCESS_KEY");
    const char *token = setting("AWS_SESSION_TOKEN");
    if (!*id || !*secret)
        return true;
    char *scope = NULL;
    if (asprintf(&scope, "aws:amz:%s:s3", region()) < 0)
        return false;
    bool set = !curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, scope) && !curl_easy_setopt(easy, CURLOPT_USERNAME, id) &&
               !curl_easy_setopt(easy, CURLOPT_PASSWORD, secret);
    free(scope);
    /* S3 wants the hash of the body among the signed headers; libcurl 7.88 does not add it. */
    static const char sha256_of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    return set && add_header(headers, "x-amz-content-sha256", sha256_of_nothing) &&
           (!*token || add_header(headers, "x-amz-security-token", token));
}
