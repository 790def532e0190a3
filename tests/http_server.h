/*
 * An HTTP server for tests, in threads of the test's own process. What it answers is up to a function of the test's, which
 * writes the bytes that it likes, right or wrong. A plain socket on 127.0.0.1: a test needs no other program for it.
 */
#ifndef BGD_TESTS_HTTP_SERVER_H
#define BGD_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_request {
    int number;     /* of this server's requests, from 0 on */
    int connection; /* of its connections */
    char head[16384];
};

/* Answers the request; false: the connection is closed. */
typedef bool http_answer(int socket, const struct http_request *request);

struct http_server {
    int listener, port;
    http_answer *answer;
    atomic_int requests, connections;
};

static inline bool http_send_bytes(int socket, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

__attribute__((format(printf, 2, 3))) static inline bool http_send(int socket, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return http_send_bytes(socket, text, (size_t)size);
}

/* The value of a request's header; "" without it. Good until the thread's next call. */
static inline const char *http_header(const struct http_request *request, const char *name)
{
    static _Thread_local char value[4096];
    for (const char *line = request->head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        size_t n = strlen(name);
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            line += n + 1 + strspn(line + n + 1, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
            return value;
        }
    }
    return "";
}

static inline bool http_receive(int socket, struct http_request *request)
{
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(socket, request->head + size, 1, 0);
        if (got <= 0 || ++size == sizeof request->head)
            return false;
        request->head[size] = 0;
        if (size >= 4 && memcmp(request->head + size - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
}

struct http_connection {
    struct http_server *server;
    int socket;
};

static inline void *http_converse(void *arg)
{
    struct http_connection connection = *(struct http_connection *)arg;
    free(arg);
    struct http_request *request = malloc(sizeof *request);
    request->connection = atomic_fetch_add(&connection.server->connections, 1);
    bool again = true;
    while (again && http_receive(connection.socket, request)) {
        request->number = atomic_fetch_add(&connection.server->requests, 1);
        again = connection.server->answer(connection.socket, request);
    }
    close(connection.socket);
    free(request);
    return NULL;
}

static inline void *http_serve(void *arg)
{
    struct http_server *server = arg;
    for (int socket; (socket = accept(server->listener, NULL, NULL)) >= 0;) {
        struct http_connection *connection = malloc(sizeof *connection);
        *connection = (struct http_connection){server, socket};
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, http_converse, connection), 0);
        pthread_detach(thread);
    }
    return NULL;
}

/* Serves on a free port until the test's process ends. `server` must live as long. */
static inline void http_server_start(struct http_server *server, http_answer *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *server = (struct http_server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answer = answer};
    cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    cr_assert_eq(listen(server->listener, 16), 0);
    server->port = ntohs(address.sin_port);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, http_serve, server), 0);
    pthread_detach(thread);
}

#endif
