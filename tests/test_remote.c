/* Objects over HTTP: what is tried again, what is never believed, and what is signed. */
#include "sources/remote.h"
#include "http_server.h"
#include "scratch.h"

#include <sys/eventfd.h>
#include <time.h>

static struct http_server server;
static struct remote *remote;
static int wake;
static struct file_buffer buffer;
static struct bgd_err err;

static void enter(void)
{
    static const char *const settings[] = {
        "AWS_ACCESS_KEY_ID",   "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",      "http_proxy",        "all_proxy",  "https_proxy",
        "ALL_PROXY",           "HTTPS_PROXY",           "no_proxy",          "NO_PROXY",
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        unsetenv(settings[i]);
    alarm(60); /* a wait that nothing ends */
    wake = eventfd(0, EFD_NONBLOCK);
    cr_assert_eq(remote_open(&wake, &remote, &err), 0, "%s", err.text);
}

static void stop(void)
{
    static const uint64_t one = 1;
    cr_assert_eq(write(wake, &one, sizeof one), sizeof one);
}

static void go_on(void)
{
    uint64_t count;
    if (read(wake, &count, sizeof count) < 0)
        return; /* nobody has stopped */
}

static void leave(void)
{
    free(buffer.data);
    remote_close(remote);
}

TestSuite(remote, .init = enter, .fini = leave);

/* "http://127.0.0.1:PORT" + path. Good until the next call. */
static const char *at(const char *path)
{
    static char name[512];
    snprintf(name, sizeof name, "http://127.0.0.1:%d%s", server.port, path);
    return name;
}

static int fetch(const char *name, size_t most)
{
    return remote_read(remote, name, most, &buffer, &err);
}

static void check_fetched(const char *name, const char *text)
{
    cr_assert_eq(fetch(name, 1 << 20), 0, "%s: %s", name, err.text);
    cr_expect(buffer.size == strlen(text) && memcmp(buffer.data, text, buffer.size) == 0, "%s: %.*s", name, (int)buffer.size,
              (char *)buffer.data);
}

static void check_refused(const char *name, enum bgd_code code, const char *text)
{
    cr_expect_eq(fetch(name, 1 << 20), code, "%s: %s", name, err.text);
    cr_expect_eq(err.code, code);
    cr_expect(strstr(err.text, text), "%s: \"%s\"", name, err.text);
}

static bool asks_for(const struct http_request *request, const char *target)
{
    return strncmp(request->head + strlen("GET "), target, strlen(target)) == 0;
}

static bool send_ok(int socket)
{
    return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncard");
}

/* ---------------------------------------------------------------- whole objects */

Test(remote, knows_its_names)
{
    cr_expect(remote_is("http://a/b") && remote_is("https://a/b") && remote_is("s3://a/b"));
    cr_expect(!remote_is("a.jpg") && !remote_is("/s3/a") && !remote_is("ftp://a/b") && !remote_is("http:/a") && !remote_is(""));
}

static bool answer_by_path(int socket, const struct http_request *request)
{
    cr_expect_str_eq(http_header(request, "User-Agent"), "bgdet/" BGD_VERSION);
    cr_expect_str_eq(http_header(request, "Accept-Encoding"), "");
    if (asks_for(request, "/empty "))
        return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    if (asks_for(request, "/chunked "))
        return http_send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nca\r\n2\r\nrd\r\n0\r\n\r\n");
    if (asks_for(request, "/gzip "))
        return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\ncard");
    if (asks_for(request, "/a%20b/%d0%b9%41?c=d "))
        return send_ok(socket);
    return http_send(socket, "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nnot a card");
}

Test(remote, reads_objects_over_one_connection)
{
    http_server_start(&server, answer_by_path);
    check_fetched(at("/empty"), "");
    check_fetched(at("/chunked"), "card");
    check_fetched(at("/gzip"), "card");                  /* bytes as they are */
    check_fetched(at("/a b/й%41?c=d#fragment"), "card"); /* escaped where no URL has such bytes, and only there */
    check_refused(at("/nothing"), BGD_MISSING, "HTTP 404 Not Found");
    check_fetched(at("/chunked"), "card");
    cr_expect_eq(server.requests, 6);
    cr_expect_eq(server.connections, 1);
}

static bool answer_status(int socket, const struct http_request *request)
{
    return http_send(socket, "HTTP/1.1 %.3s Words\r\nContent-Length: 4\r\n\r\ncard", request->head + strlen("GET /"));
}

Test(remote, an_answer_that_lasts_is_believed_at_once)
{
    http_server_start(&server, answer_status);
    check_fetched(at("/200"), "card");
    check_refused(at("/404"), BGD_MISSING, "HTTP 404 Not Found");
    check_refused(at("/410"), BGD_MISSING, "HTTP 410 Gone");
    check_refused(at("/401"), BGD_UNREADABLE, "HTTP 401 Unauthorized");
    check_refused(at("/403"), BGD_UNREADABLE, "HTTP 403 Forbidden");
    check_refused(at("/302"), BGD_UNREADABLE, "HTTP 302 (a redirect)"); /* to nowhere */
    check_refused(at("/418"), BGD_UNREADABLE, "HTTP 418");
    check_refused(at("/501"), BGD_UNREADABLE, "HTTP 501");
    check_refused(at("/201"), BGD_UNREADABLE, "HTTP 201");
    check_refused(at("/206"), BGD_UNREADABLE, "HTTP 206"); /* a part that nobody asked for */
    cr_expect_eq(server.requests, 10);
}

static bool answer_later(int socket, const struct http_request *request)
{
    static const int statuses[] = {500, 502, 503, 408, 504};
    if (request->number % 2)
        return send_ok(socket);
    return http_send(socket, "HTTP/1.1 %d Words\r\nContent-Length: 4\r\n\r\nbusy", statuses[request->number / 2]);
}

Test(remote, a_failure_that_may_pass_is_tried_again)
{
    http_server_start(&server, answer_later);
    for (int i = 0; i < 5; i++)
        check_fetched(at("/"), "card");
    cr_expect_eq(server.requests, 10);
}

static bool answer_busy(int socket, const struct http_request *request)
{
    (void)request;
    return http_send(socket, "HTTP/1.1 503 Words\r\nContent-Length: 0\r\n\r\n");
}

Test(remote, gives_up_after_five_tries)
{
    http_server_start(&server, answer_busy);
    check_refused(at("/"), BGD_NETWORK, "5 tries, the last: HTTP 503 Service Unavailable");
    cr_expect_eq(server.requests, REMOTE_TRIES);
}

Test(remote, nobody_who_listens_is_the_network)
{
    http_server_start(&server, answer_busy);
    server.port = 1; /* tcpmux: not even root's daemons listen there */
    check_refused(at("/"), BGD_NETWORK, "5 tries, the last: Connection refused");
}

static bool answer_patiently(int socket, const struct http_request *request)
{
    if (request->number > 0)
        return send_ok(socket);
    return http_send(socket, "HTTP/1.1 429 Words\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n");
}

Test(remote, waits_as_long_as_it_is_asked_to)
{
    struct timespec before, after;
    http_server_start(&server, answer_patiently);
    clock_gettime(CLOCK_MONOTONIC, &before);
    check_fetched(at("/"), "card");
    clock_gettime(CLOCK_MONOTONIC, &after);
    double seconds = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    cr_expect_geq(seconds, 2.0, "%g s", seconds); /* however fast or slow the machine is */
}

static bool answer_in_halves(int socket, const struct http_request *request)
{
    switch (request->number) {
    case 0: http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nca"); return false;
    case 1: http_send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nca\r\n"); return false;
    case 2: return false;
    default: return send_ok(socket);
    }
}

Test(remote, half_an_object_is_never_returned)
{
    http_server_start(&server, answer_in_halves);
    check_fetched(at("/"), "card");
    cr_expect_eq(server.requests, 4);
}

static bool answer_with_a_lie(int socket, const struct http_request *request)
{
    bool more = asks_for(request, "/more ");
    http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nthe card", more ? 5000 : 3);
    return false;
}

Test(remote, a_content_length_that_lies_is_found_out)
{
    http_server_start(&server, answer_with_a_lie);
    check_refused(at("/more"), BGD_NETWORK, "5 tries, the last: 8 of 5000 bytes came: ");
    check_fetched(at("/less"), "the"); /* HTTP's own rule: what follows is not this answer's */
}

static bool answer_without_end(int socket, const struct http_request *request)
{
    static const char zeros[1000];
    if (asks_for(request, "/large "))
        return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5001\r\n\r\n0"); /* and never the others */
    if (asks_for(request, "/chunked ")) {
        http_send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (http_send(socket, "3e8\r\n") && http_send_bytes(socket, zeros, 1000) && http_send(socket, "\r\n"))
            ;
    } else if (asks_for(request, "/error ")) {
        http_send(socket, "HTTP/1.1 404 Not Found\r\n\r\n");
        while (http_send_bytes(socket, zeros, 1000))
            ;
    } else if (asks_for(request, "/headers ")) {
        http_send(socket, "HTTP/1.1 200 OK\r\n");
        while (http_send(socket, "X: %0999d\r\n", 0))
            ;
    } else if (asks_for(request, "/header ")) {
        http_send(socket, "HTTP/1.1 200 OK\r\nX: ");
        while (http_send(socket, "%01000d", 0))
            ;
    } else {
        http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
        for (int i = 0; i < 5; i++)
            http_send_bytes(socket, zeros, 1000);
        return true;
    }
    return false;
}

Test(remote, reads_no_more_than_it_may)
{
    http_server_start(&server, answer_without_end);
    cr_expect_eq(fetch(at("/5000"), 5000), 0, "%s", err.text);
    cr_expect_eq(buffer.size, 5000);
    cr_expect_eq(fetch(at("/5000"), 4999), BGD_LIMIT);
    cr_expect(strstr(err.text, "5000 bytes, at most 4999 are read"), "%s", err.text);
    cr_expect_eq(fetch(at("/large"), 5000), BGD_LIMIT, "%s", err.text);
    for (size_t most = 0; most <= 100000; most = most * 10 + 10) { /* also into a buffer that has more room */
        cr_expect_eq(fetch(at("/chunked"), most), BGD_LIMIT, "%s", err.text);
        cr_expect(strstr(err.text, "more than the"), "%s", err.text);
        cr_expect(buffer.size <= most + 1);
    }
    cr_expect_eq(fetch(at("/error"), 100), BGD_MISSING, "%s", err.text);
    cr_expect_eq(fetch(at("/5000"), 5000), 0, "after all that: %s", err.text);
}

Test(remote, headers_without_end_are_the_networks_fault)
{
    http_server_start(&server, answer_without_end);
    check_refused(at("/headers"), BGD_NETWORK, "5 tries");
    check_refused(at("/header"), BGD_NETWORK, "5 tries");
}

static bool answer_elsewhere(int socket, const struct http_request *request)
{
    int left = atoi(request->head + strlen("GET /"));
    if (left > 0)
        return http_send(socket, "HTTP/1.1 302 Words\r\nLocation: %d\r\nContent-Length: 4\r\n\r\nnone", left - 1);
    if (asks_for(request, "/file "))
        return http_send(socket, "HTTP/1.1 301 Words\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
    if (asks_for(request, "/ftp "))
        return http_send(socket, "HTTP/1.1 301 Words\r\nLocation: ftp://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n",
                         server.port);
    return send_ok(socket);
}

Test(remote, redirects_are_followed_for_a_while_and_over_http_alone)
{
    http_server_start(&server, answer_elsewhere);
    check_fetched(at("/5"), "card");
    check_refused(at("/6"), BGD_UNREADABLE, "redirects");
    server.requests = 0;
    check_refused(at("/file"), BGD_UNREADABLE, "rotocol");
    check_refused(at("/ftp"), BGD_UNREADABLE, "rotocol");
    cr_expect_eq(server.requests, 2);
}

static struct http_server other;

static bool answer_other(int socket, const struct http_request *request)
{
    cr_expect_null(strcasestr(request->head, "Authorization"), "%s", request->head);
    cr_expect_null(strcasestr(request->head, "x-amz"), "%s", request->head);
    return send_ok(socket);
}

static bool answer_with_other(int socket, const struct http_request *request)
{
    cr_expect_str_neq(http_header(request, "Authorization"), "");
    return http_send(socket, "HTTP/1.1 307 Words\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n", other.port);
}

static void set_keys(void)
{
    setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 1);
}

Test(remote, credentials_do_not_go_to_another_server)
{
    http_server_start(&server, answer_with_other);
    http_server_start(&other, answer_other);
    char name[100];
    snprintf(name, sizeof name, "http://user:secret@127.0.0.1:%d/", server.port);
    check_fetched(name, "card");
    cr_expect_eq(other.requests, 1);

    set_keys();
    setenv("AWS_SESSION_TOKEN", "token", 1);
    setenv("AWS_ENDPOINT_URL", at(""), 1);
    check_refused("s3://cards/a", BGD_UNREADABLE, "HTTP 307 (a redirect)");
    cr_expect_eq(other.requests, 1);
}

Test(remote, an_address_that_is_none_is_unreadable)
{
    static const char *const none[] = {"http://", "http://[::1", "http://a:999999/", "https://",
                                       "s3://",   "s3://a",      "s3://a/",          "s3:///a"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        check_refused(none[i], BGD_UNREADABLE, "no address: expected ");
    struct remote *refused;
    setenv("AWS_ENDPOINT_URL", "localhost:9000", 1);
    cr_expect_eq(remote_open(NULL, &refused, &err), BGD_ARGUMENT);
    cr_expect(strstr(err.text, "AWS_ENDPOINT_URL") && !refused, "%s", err.text);
}

/* ---------------------------------------------------------------- stop */

static void *stop_it(void *request_number)
{
    while (server.requests <= (int)(intptr_t)request_number)
        usleep(1000);
    usleep(50000);
    stop();
    return NULL;
}

static bool answer_never(int socket, const struct http_request *request)
{
    if (asks_for(request, "/later "))
        return http_send(socket, "HTTP/1.1 503 Words\r\nRetry-After: 9223372036854775807\r\nContent-Length: 0\r\n\r\n");
    if (asks_for(request, "/half "))
        http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nca");
    pause();
    return false;
}

/* Without it, each would last for 20 seconds and more, and say something else. */
static void check_stopped(const char *path)
{
    pthread_t thread;
    go_on();
    cr_assert_eq(pthread_create(&thread, NULL, stop_it, (void *)(intptr_t)server.requests), 0);
    check_refused(at(path), BGD_NETWORK, "stopped");
    pthread_join(thread, NULL);
}

Test(remote, stop_ends_a_wait)
{
    alarm(15);
    http_server_start(&server, answer_never);
    check_stopped("/head");
    check_stopped("/half");
    check_stopped("/later");
    check_refused(at("/head"), BGD_NETWORK, "stopped"); /* and stays */
}

/* ---------------------------------------------------------------- streams */

#define LONG 1000003

static uint8_t long_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 17 + (i >> 16));
}

/* Bytes first..first + n - 1 of the long object. */
static bool send_long(int socket, size_t first, size_t n)
{
    static _Thread_local uint8_t bytes[LONG];
    for (size_t i = 0; i < n; i++)
        bytes[i] = long_byte(first + i);
    return http_send_bytes(socket, bytes, n);
}

static size_t range_of(const struct http_request *request)
{
    const char *range = http_header(request, "Range");
    if (!*range)
        return 0;
    cr_expect_eq(strncmp(range, "bytes=", 6), 0, "%s", range);
    cr_expect_eq(range[strlen(range) - 1], '-', "%s", range);
    return strtoul(range + 6, NULL, 10);
}

/* Reads `n` bytes of the long object, from `*place` on. */
static void check_piece(struct remote_stream *stream, size_t *place, size_t n)
{
    uint8_t *piece = malloc(n + 1);
    size_t expected = n < LONG - *place ? n : LONG - *place;
    int64_t got = remote_stream_read(stream, piece, n, &err);
    cr_assert_eq(got, (int64_t)expected, "%lld of %zu from %zu: %s", (long long)got, n, *place, err.text);
    for (size_t i = 0; i < expected; i++)
        cr_assert_eq(piece[i], long_byte(*place + i), "byte %zu", *place + i);
    *place += expected;
    free(piece);
}

static void check_stream(struct remote_stream *stream)
{
    size_t place = 0;
    for (size_t n = 1; place < LONG; n = n * 3 % 200001)
        check_piece(stream, &place, n);
    cr_expect_eq(remote_stream_read(stream, &place, 8, &err), 0, "the end stays the end");
    cr_expect_eq(remote_stream_read(stream, &place, 8, &err), 0);
}

static bool answer_long(int socket, const struct http_request *request)
{
    if (asks_for(request, "/card"))
        return send_ok(socket);
    if (asks_for(request, "/chunked "))
        return http_send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", LONG) &&
               send_long(socket, 0, LONG) && http_send(socket, "\r\n0\r\n\r\n");
    return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LONG) && send_long(socket, 0, LONG);
}

Test(remote, a_stream_gives_every_byte_in_pieces_of_any_size)
{
    http_server_start(&server, answer_long);
    struct remote_stream *stream;
    cr_assert_eq(remote_stream_open(remote, at("/"), &stream, &err), 0, "%s", err.text);
    cr_expect_eq(remote_stream_size(stream), LONG);
    check_stream(stream);
    remote_stream_close(stream);
    cr_assert_eq(remote_stream_open(remote, at("/chunked"), &stream, &err), 0, "%s", err.text);
    cr_expect_eq(remote_stream_size(stream), 0);
    check_stream(stream);
    remote_stream_close(stream);
    cr_expect_eq(server.connections, 1);
    cr_expect_eq(remote_stream_open(remote, "http://", &stream, &err), BGD_UNREADABLE);
    cr_expect_null(stream);
    remote_stream_close(NULL);
}

Test(remote, streams_of_one_remote_do_not_mix)
{
    http_server_start(&server, answer_long);
    struct remote_stream *a, *b;
    size_t a_place = 0, b_place = 0;
    cr_assert_eq(remote_stream_open(remote, at("/"), &a, &err), 0, "%s", err.text);
    cr_assert_eq(remote_stream_open(remote, at("/chunked"), &b, &err), 0, "%s", err.text);
    while (a_place < LONG || b_place < LONG) {
        check_piece(a, &a_place, 70000);
        check_fetched(at("/card"), "card");
        check_piece(b, &b_place, 50001);
    }
    remote_stream_close(a);
    remote_stream_close(b);
    cr_assert_eq(remote_stream_open(remote, at("/"), &a, &err), 0, "%s", err.text);
    remote_stream_close(a); /* long before its end */
}

static const char *validator = "ETag: \"v1\"";

/* The long object, of which the connection breaks after every 140,000 bytes. */
static bool answer_in_parts(int socket, const struct http_request *request)
{
    size_t first = range_of(request), n = LONG - first < 140000 ? LONG - first : 140000;
    if (request->number % 3 == 1) /* at times it does not answer at all */
        return false;
    cr_expect_eq(first % 140000, 0, "nothing is fetched twice");
    if (first == 0)
        http_send(socket, "HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n", validator, LONG);
    else {
        cr_expect_str_eq(http_header(request, "If-Range"), strchr(validator, ' ') + 1);
        http_send(socket, "HTTP/1.1 206 Words\r\n%s\r\nContent-Range: bytes %zu-%d/%d\r\nContent-Length: %zu\r\n\r\n",
                  validator, first, LONG - 1, LONG, LONG - first);
    }
    return send_long(socket, first, n) && first + n == LONG;
}

Test(remote, a_stream_goes_on_where_it_broke_off)
{
    static const char *const validators[] = {"ETag: \"v1\"", "Last-Modified: Fri, 24 May 2013 00:00:00 GMT"};
    http_server_start(&server, answer_in_parts);
    for (int i = 0; i < 2; i++) {
        validator = validators[i];
        struct remote_stream *stream;
        cr_assert_eq(remote_stream_open(remote, at("/"), &stream, &err), 0, "%s", err.text);
        check_stream(stream);
        cr_expect_eq(remote_stream_size(stream), LONG);
        remote_stream_close(stream);
    }
}

/* An object of 8 bytes that breaks off after 4, and what then comes in place of the rest. */
static const char *head = "ETag: \"v1\"\r\n", *then;

static bool answer_then(int socket, const struct http_request *request)
{
    if (request->number > 0)
        http_send(socket, "HTTP/1.1 %s", then);
    else
        http_send(socket, "HTTP/1.1 200 OK\r\n%sContent-Length: 8\r\n\r\ncard", head);
    return false;
}

static void check_resumed(const char *rest, int requests, const char *text)
{
    char piece[16];
    struct remote_stream *stream;
    server.requests = 0;
    then = rest;
    cr_assert_eq(remote_stream_open(remote, at("/"), &stream, &err), 0, "%s", err.text);
    int64_t got = remote_stream_read(stream, piece, sizeof piece, &err);
    if (text) {
        cr_expect(got == BGD_NETWORK && err.code == BGD_NETWORK && strstr(err.text, text), "%s: %s", rest, err.text);
        cr_expect_eq(remote_stream_read(stream, piece, sizeof piece, &err), BGD_NETWORK, "an error stays one");
    } else
        cr_expect(got == 8 && memcmp(piece, "cardrest", 8) == 0, "%s: %s", rest, err.text);
    cr_expect_eq(server.requests, requests, "%s: %d requests", rest, server.requests);
    remote_stream_close(stream);
}

Test(remote, a_stream_never_goes_on_with_another_object)
{
    static const char changed[] = "4 bytes came: it changed meanwhile, or the server cannot resume";
    http_server_start(&server, answer_then);
    check_resumed("206 Words\r\nETag: \"v1\"\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nrest", 2, NULL);
    check_resumed("206 Words\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nrest", 2, NULL);
    check_resumed("206 Words\r\nETag: \"v2\"\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nrest", 2, changed);
    check_resumed("206 Words\r\nETag: \"v1\"\r\nContent-Range: bytes 0-3/8\r\nContent-Length: 4\r\n\r\ncard", 2, changed);
    check_resumed("206 Words\r\nETag: \"v1\"\r\nContent-Range: bytes 4-8/9\r\nContent-Length: 5\r\n\r\nrest!", 2, changed);
    check_resumed("206 Words\r\nETag: \"v1\"\r\nContent-Length: 4\r\n\r\nrest", 2, changed);
    check_resumed("206 Words\r\nETag: \"v1\"\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 0\r\n\r\n", 2, changed);
    check_resumed("200 OK\r\nETag: \"v2\"\r\nContent-Length: 8\r\n\r\nCARDREST", 2, changed);
    check_resumed("200 OK\r\nETag: \"v1\"\r\nContent-Length: 4\r\n\r\ncard", 2, changed);
    check_resumed("416 Words\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n", 2, changed);
    check_resumed("206 Words\r\nETag: \"v1\"\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\n", REMOTE_TRIES,
                  "5 tries, the last: 4 of 8 bytes came"); /* nothing wrong came, but nothing */
    static const char never[] = "cannot be resumed (no strong ETag, no Last-Modified): 4 of 8 bytes came";
    head = "";
    check_resumed("", 1, never);
    head = "ETag: W/\"v1\"\r\n";
    check_resumed("", 1, never);
}

/* ---------------------------------------------------------------- s3:// */

/* The second that the signatures in fixtures/s3.txt are of. libcurl asks this function, too. */
static bool clock_stands;

time_t time(time_t *result)
{
    struct timespec now = {.tv_sec = 1369353600}; /* 2013-05-24 00:00:00 UTC */
    if (!clock_stands)
        clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

/* A line of the fixture, and the server that it is held against: libcurl takes it for its proxy, so that the host's name can be
 * the fixture's. */
static struct {
    char endpoint[100], region[100], token[100], if_range[100], name[200], target[400], authorization[600];
} golden;

static void fill_golden(char *line)
{
    char *const fields[] = {golden.endpoint, golden.region, golden.token,        golden.if_range,
                            golden.name,     golden.target, golden.authorization};
    static const size_t room[] = {sizeof golden.endpoint,     sizeof golden.region, sizeof golden.token,
                                  sizeof golden.if_range,     sizeof golden.name,   sizeof golden.target,
                                  sizeof golden.authorization};
    for (int i = 0; i < 7; i++) {
        const char *field = strsep(&line, "\t\n");
        cr_assert(field && strlen(field) < room[i]);
        strcpy(fields[i], strcmp(field, "-") ? field : "");
    }
}

static bool answer_signed(int socket, const struct http_request *request)
{
    if (*golden.if_range && !*http_header(request, "If-Range")) {
        http_send(socket, "HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: 8\r\n\r\ncard", golden.if_range);
        return false;
    }
    char target[500];
    const char *host = golden.endpoint + strlen("http://");
    int length = (int)strcspn(host, "/");
    snprintf(target, sizeof target, "GET http://%.*s%s HTTP/1.1\r\n", length, host, golden.target);
    cr_expect(strncmp(request->head, target, strlen(target)) == 0, "%s\nnot\n%s", request->head, target);
    snprintf(target, sizeof target, "%.*s", length, host);
    cr_expect_str_eq(http_header(request, "Host"), target);
    cr_expect_str_eq(http_header(request, "X-Amz-Date"), "20130524T000000Z");
    cr_expect_str_eq(http_header(request, "X-Amz-Security-Token"), golden.token);
    cr_expect_str_eq(http_header(request, "If-Range"), golden.if_range);
    cr_expect_str_eq(http_header(request, "Authorization"), golden.authorization, "%s\n%s", golden.name, request->head);
    if (*golden.if_range)
        return http_send(socket, "HTTP/1.1 206 Words\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nrest");
    return send_ok(socket);
}

static void read_golden(void)
{
    struct remote_stream *stream;
    char bytes[9] = "";
    setenv("AWS_ENDPOINT_URL", golden.endpoint, 1);
    setenv("AWS_REGION", golden.region, 1);
    setenv("AWS_SESSION_TOKEN", golden.token, 1);
    cr_assert_eq(remote_stream_open(remote, golden.name, &stream, &err), 0, "%s: %s", golden.name, err.text);
    cr_expect_geq(remote_stream_read(stream, bytes, 8, &err), 0, "%s", err.text);
    cr_expect_str_eq(bytes, *golden.if_range ? "cardrest" : "card");
    remote_stream_close(stream);
}

Test(remote, signs_s3_requests_as_botocore_does)
{
    http_server_start(&server, answer_signed);
    setenv("http_proxy", at(""), 1);
    set_keys();
    clock_stands = true;
    FILE *file = fopen(BGDET_SOURCE_DIR "/tests/fixtures/s3.txt", "r");
    cr_assert(file);
    char line[2000];
    int lines = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        fill_golden(line);
        read_golden();
    }
    fclose(file);
    cr_expect_eq(lines, 10);
}

static bool answer_unsigned(int socket, const struct http_request *request)
{
    cr_expect(asks_for(request, "/root/cards/a%2Bb "), "%s", request->head);
    cr_expect_null(strcasestr(request->head, "Authorization"), "%s", request->head);
    cr_expect_null(strcasestr(request->head, "x-amz"), "%s", request->head);
    return send_ok(socket);
}

Test(remote, without_a_key_s3_is_read_unsigned)
{
    http_server_start(&server, answer_unsigned);
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1);
    setenv("AWS_ENDPOINT_URL_S3", at("/root/"), 1); /* goes before the other; may have a path */
    setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "", 1);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    check_fetched("s3://cards/a+b", "card");
}

static char connected[200];

static bool answer_connect(int socket, const struct http_request *request)
{
    snprintf(connected, sizeof connected, "%.*s", (int)strcspn(request->head, "\r"), request->head);
    stop(); /* there is no TLS here: the name of the host is enough */
    http_send(socket, "HTTP/1.1 503 Words\r\nContent-Length: 0\r\n\r\n");
    return false;
}

static void check_host(const char *name, const char *host)
{
    char line[300];
    go_on();
    check_refused(name, BGD_NETWORK, "stopped");
    snprintf(line, sizeof line, "CONNECT %s:443 HTTP/1.1", host);
    cr_expect_str_eq(connected, line);
}

Test(remote, without_an_endpoint_a_bucket_is_a_host_of_amazons)
{
    http_server_start(&server, answer_connect);
    setenv("https_proxy", at(""), 1);
    check_host("s3://cards/a", "cards.s3.us-east-1.amazonaws.com");
    check_host("s3://my.cards/a", "s3.us-east-1.amazonaws.com"); /* no certificate is for two labels */
    check_host("s3://evil.example%2f/a", "s3.us-east-1.amazonaws.com");
    setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
    check_host("s3://cards-2/a", "cards-2.s3.eu-west-1.amazonaws.com");
    setenv("AWS_REGION", "eu-central-1", 1);
    check_host("s3://cards/a", "cards.s3.eu-central-1.amazonaws.com");
}

static bool answer_forbidden(int socket, const struct http_request *request)
{
    (void)request;
    return http_send(socket, "HTTP/1.1 403 AKIAIOSFODNN7EXAMPLE\r\nContent-Length: 6\r\n\r\nsecret");
}

Test(remote, an_error_shows_no_credentials)
{
    http_server_start(&server, answer_forbidden);
    set_keys();
    setenv("AWS_SESSION_TOKEN", "token", 1);
    setenv("AWS_ENDPOINT_URL", at(""), 1);
    cr_expect_eq(fetch("s3://cards/a", 10), BGD_UNREADABLE);
    cr_expect_str_eq(err.text, "HTTP 403 Forbidden");
    setenv("AWS_ENDPOINT_URL", "http://user:secret@[", 1);
    cr_expect_eq(fetch("s3://cards/a", 10), BGD_UNREADABLE);
    cr_expect_null(strstr(err.text, "secret"), "%s", err.text);
    char name[100];
    snprintf(name, sizeof name, "http://user:secret@127.0.0.1:%d/", server.port);
    cr_expect_eq(fetch(name, 10), BGD_UNREADABLE);
    cr_expect_null(strstr(err.text, "secret"), "%s", err.text);
}
