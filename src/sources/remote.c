#include "remote.h"

#include "../err.h"
#include "s3.h"
#include "../wake.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_SECONDS 10L
#define SLOW_BYTES 1024L /* a second: a transfer below it for SLOW_SECONDS is broken */
#define SLOW_SECONDS 20L
#define REDIRECTS 5L
#define PAUSE_MS 200               /* before the second try */
#define RETRY_AFTER_MOST 30        /* seconds */
#define LOOK_MS 100                /* how often whoever waits looks at `wake` */
#define OTHER_BODY_MOST (64 << 10) /* of an answer that is no object; read, since the connection is then used again */
#define VALIDATOR_MOST 256

struct remote {
    CURLM *multi; /* holds the connections, and runs the transfer of the stream that is being read */
    const int *wake;
};

struct remote_stream {
    struct remote *remote;
    CURL *easy;
    CURLU *url;
    bool s3;
    struct curl_slist *headers;

    uint64_t size;                  /* in all; 0 if the server does not say */
    char validator[VALIDATOR_MOST]; /* the object's ETag or Last-Modified; "" if it has none that proves anything */
    uint64_t offset;                /* the bytes that came */
    int failures;                   /* since the last byte */

    /* The request under way. */
    uint64_t from;      /* the offset that it began at */
    bool began;         /* it answered with the object: a byte came */
    size_t other_bytes; /* that came of another answer */
    bool over;
    CURLcode result;

    uint8_t *to; /* where the reader wants bytes, and how many */
    size_t room;
    uint8_t rest[CURL_MAX_WRITE_SIZE]; /* what came and had no room */
    size_t rest_at, rest_size;
};

/* What became of a request. */
enum outcome {
    ENDED,  /* the object came to its end */
    BROKEN, /* an error that may pass */
    FAILED,
};

bool remote_is(const char *name)
{
    return strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0 || s3_is(name);
}

static int out_of_memory(struct bgd_err *err)
{
    return err_set(err, BGD_MEMORY, "out of memory");
}

/* ---------------------------------------------------------------- what an answer is */

static long status_of(const struct remote_stream *stream)
{
    long status = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* What tells this version of the object from another, byte by byte: a weak ETag does not. */
static void read_validator(CURL *easy, char validator[VALIDATOR_MOST])
{
    struct curl_header *header;
    validator[0] = 0;
    bool strong = curl_easy_header(easy, "ETag", 0, CURLH_HEADER, -1, &header) == CURLHE_OK && strncmp(header->value, "W/", 2);
    if (!strong && curl_easy_header(easy, "Last-Modified", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return;
    if (strlen(header->value) < VALIDATOR_MOST)
        strcpy(validator, header->value);
}

/* At the first byte of an answer: is it the object's? Of a rest, libcurl has seen that Content-Range begins at the offset. */
static bool begins(struct remote_stream *stream)
{
    curl_off_t length = -1;
    curl_easy_getinfo(stream->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (stream->from == 0) {
        if (status_of(stream) != 200)
            return false;
        stream->size = length > 0 ? (uint64_t)length : 0;
        read_validator(stream->easy, stream->validator);
        return true;
    }
    char validator[VALIDATOR_MOST];
    read_validator(stream->easy, validator);
    return status_of(stream) == 206 && (!*validator || strcmp(validator, stream->validator) == 0) &&
           (length < 0 || stream->size == 0 || stream->from + (uint64_t)length == stream->size);
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    (void)one;
    struct remote_stream *stream = arg;
    assert(size <= sizeof stream->rest);
    if (!stream->began && !begins(stream)) {
        stream->other_bytes += size;
        return stream->other_bytes <= OTHER_BODY_MOST ? size : 0;
    }
    stream->began = true;
    if (stream->rest_size > 0)
        return CURL_WRITEFUNC_PAUSE;
    size_t taken = size < stream->room ? size : stream->room;
    memcpy(stream->to, data, taken);
    stream->to += taken;
    stream->room -= taken;
    memcpy(stream->rest, data + taken, size - taken);
    stream->rest_at = 0;
    stream->rest_size = size - taken;
    stream->offset += size;
    return size;
}

static const char *status_name(long status)
{
    switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308: return " (a redirect)";
    case 401: return " Unauthorized";
    case 403: return " Forbidden";
    case 404: return " Not Found";
    case 408: return " Request Timeout";
    case 410: return " Gone";
    case 429: return " Too Many Requests";
    case 500: return " Internal Server Error";
    case 502: return " Bad Gateway";
    case 503: return " Service Unavailable";
    case 504: return " Gateway Timeout";
    default: return "";
    }
}

static enum outcome judge_status(long status, struct bgd_err *err)
{
    enum bgd_code code = BGD_UNREADABLE;
    switch (status) {
    case 404:
    case 410: code = BGD_MISSING; break;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: code = BGD_NETWORK; break;
    default: break;
    }
    err_set(err, code, "HTTP %ld%s", status, status_name(status));
    return code == BGD_NETWORK ? BROKEN : FAILED;
}

/* Is it the way that broke, rather than what stands at its end? CURLE_OUT_OF_MEMORY is also what libcurl says of a header
 * that is longer than it reads. */
static bool may_pass(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_OUT_OF_MEMORY: return true;
    default: return false;
    }
}

/* libcurl's fixed texts, never its messages: those repeat what the server and the address say. */
static enum outcome judge_result(const struct remote_stream *stream, struct bgd_err *err)
{
    long number = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_OS_ERRNO, &number);
    const char *reason = curl_easy_strerror(stream->result);
    if (stream->result == CURLE_COULDNT_CONNECT && number > 0)
        reason = strerror((int)number);
    enum bgd_code code = may_pass(stream->result) ? BGD_NETWORK : BGD_UNREADABLE;
    unsigned long long came = stream->offset, size = stream->size;
    if (came > 0 && size > 0)
        err_set(err, code, "%llu of %llu bytes came: %s", came, size, reason);
    else if (came > 0)
        err_set(err, code, "%llu bytes came: %s", came, reason);
    else
        err_set(err, code, "%s", reason);
    return code == BGD_NETWORK ? BROKEN : FAILED;
}

static bool stopped(const struct remote *remote)
{
    return wake_is_up(remote->wake);
}

/* Was the rest of the object asked for, and something else, or nothing, sent? */
static bool is_of_another(const struct remote_stream *stream, long status)
{
    bool sent = stream->other_bytes > 0 || stream->result == CURLE_OK;
    return status == 416 || stream->result == CURLE_RANGE_ERROR || (status < 300 && sent && !stream->began);
}

/* Of a request that is over, or was stopped. */
static enum outcome judge(const struct remote_stream *stream, struct bgd_err *err)
{
    if (stopped(stream->remote)) {
        err_set(err, BGD_NETWORK, "stopped");
        return FAILED;
    }
    long status = status_of(stream);
    if (stream->from > 0 && is_of_another(stream, status)) {
        err_set(err, BGD_NETWORK, "%llu bytes came: it changed meanwhile, or the server cannot resume",
                (unsigned long long)stream->offset);
        return FAILED;
    }
    if (status >= 400)
        return judge_status(status, err);
    if (stream->result != CURLE_OK && stream->result != CURLE_WRITE_ERROR)
        return judge_result(stream, err);
    return stream->began || (status == 200 && stream->from == 0) ? ENDED : judge_status(status, err);
}

/* ---------------------------------------------------------------- the transfer */

static bool ask_for_the_same(struct remote_stream *stream)
{
    char line[sizeof "If-Range: " + VALIDATOR_MOST];
    snprintf(line, sizeof line, "If-Range: %s", stream->validator);
    stream->headers = curl_slist_append(NULL, line);
    return stream->headers != NULL;
}

/* Asks for the object, from the offset on. */
static int begin(struct remote_stream *stream, struct bgd_err *err)
{
    curl_multi_remove_handle(stream->remote->multi, stream->easy);
    curl_slist_free_all(stream->headers);
    stream->headers = NULL;
    stream->from = stream->offset;
    stream->began = stream->over = false;
    stream->other_bytes = 0;
    if ((stream->from > 0 && !ask_for_the_same(stream)) || (stream->s3 && !s3_sign(stream->easy, &stream->headers)) ||
        curl_easy_setopt(stream->easy, CURLOPT_HTTPHEADER, stream->headers) ||
        curl_easy_setopt(stream->easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)stream->from) ||
        curl_multi_add_handle(stream->remote->multi, stream->easy))
        return out_of_memory(err);
    return 0;
}

static void run(struct remote *remote, struct remote_stream *stream)
{
    int running, left;
    if (curl_multi_poll(remote->multi, NULL, 0, LOOK_MS, NULL) || curl_multi_perform(remote->multi, &running)) {
        stream->over = true;
        stream->result = CURLE_OUT_OF_MEMORY;
    }
    for (const CURLMsg *message; (message = curl_multi_info_read(remote->multi, &left));) {
        struct remote_stream *ended = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
        ended->over = true;
        ended->result = message->data.result;
    }
}

/* Lets the request run until it has begun and `most` bytes are at `data`, or it is over or stopped. Returns the bytes. While no
 * one reads it is paused, which also keeps libcurl from taking the reader's slowness for the server's. */
static size_t receive(struct remote_stream *stream, uint8_t *data, size_t most)
{
    size_t kept = most < stream->rest_size ? most : stream->rest_size;
    memcpy(data, stream->rest + stream->rest_at, kept);
    stream->rest_at += kept;
    stream->rest_size -= kept;
    stream->to = data + kept;
    stream->room = most - kept;
    if (!stream->began || stream->room > 0) {
        curl_easy_pause(stream->easy, CURLPAUSE_CONT);
        while (!stream->over && (!stream->began || stream->room > 0) && !stopped(stream->remote))
            run(stream->remote, stream);
        if (!stream->over)
            curl_easy_pause(stream->easy, CURLPAUSE_RECV);
    }
    size_t got = most - stream->room;
    stream->room = 0;
    return got;
}

/* Before the next try: as long as the server asks for, and not all machines at once. */
static void wait_a_while(const struct remote_stream *stream)
{
    curl_off_t asked = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RETRY_AFTER, &asked);
    asked = asked < RETRY_AFTER_MOST ? asked * 1000 : RETRY_AFTER_MOST * 1000;
    uint32_t doubled = (uint32_t)PAUSE_MS << (stream->failures - 1);
    curl_off_t ms = doubled + arc4random_uniform(doubled / 2);
    if (ms < asked)
        ms = asked;
    const struct timespec step = {.tv_nsec = LOOK_MS * 1000000L};
    for (curl_off_t slept = 0; slept < ms && !stopped(stream->remote); slept += LOOK_MS)
        nanosleep(&step, NULL);
}

/* After BROKEN: waits, and asks for what has not come. False if that is of no use, and the error then says why. */
static bool try_again(struct remote_stream *stream, struct bgd_err *err)
{
    if (++stream->failures >= REMOTE_TRIES)
        err_prefix(err, "%d tries, the last: ", REMOTE_TRIES);
    else if (stream->offset > 0 && !*stream->validator)
        err_prefix(err, "cannot be resumed (no strong ETag, no Last-Modified): ");
    else {
        wait_a_while(stream);
        return begin(stream, err) == 0;
    }
    return false;
}

/* ---------------------------------------------------------------- remotes and streams */

static void init_libcurl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int remote_open(const int *wake, struct remote **remote, struct bgd_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_libcurl);
    *remote = NULL;
    const char *endpoint = s3_endpoint();
    if (*endpoint && strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)
        return err_set(err, BGD_ARGUMENT, "AWS_ENDPOINT_URL: begins with neither http:// nor https://");
    struct remote *made = calloc(1, sizeof *made);
    if (!made || !(made->multi = curl_multi_init())) {
        free(made);
        return out_of_memory(err);
    }
    made->wake = wake;
    *remote = made;
    return 0;
}

void remote_close(struct remote *remote)
{
    if (remote)
        curl_multi_cleanup(remote->multi);
    free(remote);
}

static bool set_options(struct remote_stream *stream, bool https)
{
    CURL *easy = stream->easy;
    return !curl_easy_setopt(easy, CURLOPT_PRIVATE, stream) && !curl_easy_setopt(easy, CURLOPT_CURLU, stream->url) &&
           !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) && !curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream) &&
           !curl_easy_setopt(easy, CURLOPT_USERAGENT, "bgdet/" BGD_VERSION) && !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
           /* HTTP/2 is of no use for one object after another, and a paused stream of it may hold megabytes. */
           !curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https") &&
           /* A signature is for one host, and the session token for nobody else's eyes. */
           !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, stream->s3 ? 0L : 1L) &&
           !curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS) &&
           !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) &&
           !curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES) &&
           !curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
}

static int set_up(struct remote_stream *stream, const char *name, struct bgd_err *err)
{
    stream->easy = curl_easy_init();
    stream->url = curl_url();
    stream->s3 = s3_is(name);
    if (!stream->easy || !stream->url)
        return out_of_memory(err);
    /* What no URL has, but names in lists do: spaces, letters beyond ASCII. */
    CURLUcode bad = stream->s3 ? s3_set_url(stream->url, name)
                               : curl_url_set(stream->url, CURLUPART_URL, name, CURLU_URLENCODE | CURLU_ALLOW_SPACE);
    if (bad == CURLUE_OUT_OF_MEMORY || !set_options(stream, strncmp(name, "https://", 8) == 0))
        return out_of_memory(err);
    if (bad)
        return err_set(err, BGD_UNREADABLE, "no address: expected %s", stream->s3 ? "s3://BUCKET/KEY" : "http(s)://HOST/PATH");
    return 0;
}

/* The next `most` bytes, fewer at the end alone; with 0, the answer's head. */
static int64_t read_on(struct remote_stream *stream, uint8_t *data, size_t most, struct bgd_err *err)
{
    for (size_t got = 0;;) {
        size_t more = receive(stream, data + got, most - got);
        got += more;
        if (more > 0)
            stream->failures = 0;
        if (stream->began && got == most)
            return (int64_t)got;
        enum outcome outcome = judge(stream, err);
        if (outcome == ENDED)
            return (int64_t)got;
        if (outcome == FAILED || !try_again(stream, err))
            return err->code;
    }
}

int remote_stream_open(struct remote *remote, const char *name, struct remote_stream **stream, struct bgd_err *err)
{
    *stream = NULL;
    struct remote_stream *made = calloc(1, sizeof *made);
    if (!made)
        return out_of_memory(err);
    made->remote = remote;
    uint8_t nothing;
    if (set_up(made, name, err) || begin(made, err) || read_on(made, &nothing, 0, err) < 0) {
        remote_stream_close(made);
        return err->code;
    }
    *stream = made;
    return 0;
}

int64_t remote_stream_read(struct remote_stream *stream, void *data, size_t most, struct bgd_err *err)
{
    return read_on(stream, data, most, err);
}

uint64_t remote_stream_size(const struct remote_stream *stream)
{
    return stream->size;
}

void remote_stream_close(struct remote_stream *stream)
{
    if (!stream)
        return;
    if (stopped(stream->remote)) /* or cleaning up waits for a name that is being resolved */
        curl_easy_setopt(stream->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_multi_remove_handle(stream->remote->multi, stream->easy);
    curl_easy_cleanup(stream->easy);
    curl_url_cleanup(stream->url);
    curl_slist_free_all(stream->headers);
    free(stream);
}

/* ---------------------------------------------------------------- whole objects */

/* Makes room for the whole object if its size is known, else for as much again; one byte more tells the end from a cut. */
static bool grow(struct file_buffer *buffer, uint64_t size, size_t most)
{
    size_t wanted = buffer->capacity * 2 + CURL_MAX_WRITE_SIZE;
    if (size > 0)
        wanted = (size_t)size + 1;
    if (wanted <= buffer->capacity || wanted > most + 1)
        wanted = most + 1;
    uint8_t *grown = realloc(buffer->data, wanted);
    if (!grown)
        return false;
    buffer->data = grown;
    buffer->capacity = wanted;
    return true;
}

static enum outcome read_whole(struct remote_stream *stream, size_t most, struct file_buffer *buffer, struct bgd_err *err)
{
    buffer->size = 0;
    for (;;) {
        if (stream->size > most) {
            err_set(err, BGD_LIMIT, "%llu bytes, at most %zu are read", (unsigned long long)stream->size, most);
            return FAILED;
        }
        if (buffer->size == buffer->capacity && !grow(buffer, stream->size, most)) {
            out_of_memory(err);
            return FAILED;
        }
        size_t end = buffer->capacity <= most ? buffer->capacity : most + 1;
        buffer->size += receive(stream, buffer->data + buffer->size, end - buffer->size);
        if (buffer->size > most) {
            err_set(err, BGD_LIMIT, "more than the %zu bytes that are read at most", most);
            return FAILED;
        }
        if (buffer->size < end)
            return judge(stream, err);
    }
}

/* From its start again: an object that is read whole has no need of a server that resumes. */
static bool start_again(struct remote_stream *stream, struct bgd_err *err)
{
    stream->offset = stream->size = 0;
    stream->rest_size = 0;
    return try_again(stream, err);
}

int remote_read(struct remote *remote, const char *name, size_t most, struct file_buffer *buffer, struct bgd_err *err)
{
    assert(most < SIZE_MAX);
    struct remote_stream *stream;
    if (remote_stream_open(remote, name, &stream, err))
        return err->code;
    enum outcome outcome;
    do
        outcome = read_whole(stream, most, buffer, err);
    while (outcome == BROKEN && start_again(stream, err));
    remote_stream_close(stream);
    return outcome == ENDED ? 0 : err->code;
}
