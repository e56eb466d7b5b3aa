// Asks an API on a unix socket: `call SOCKET COUNT PAUSE_US METHOD PATH [BODY]`. On one connection,
// COUNT times, with a pause before each request; prints the microseconds that each answer took.
// Fails when an answer's status is none of 2xx. Answers fit into one read: the API sends them so.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int connect_to(const char* path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "call: %s is too long\n", path);
        exit(1);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0) {
        fail(path);
    }
    return fd;
}

static double ask(int fd, const char* request, size_t length) {
    char answer[65536];
    double begin = now_us();
    if (write(fd, request, length) != (ssize_t)length) {
        fail("write");
    }
    ssize_t count = read(fd, answer, sizeof answer - 1);
    double end = now_us();
    if (count <= 0) {
        fail("read");
    }
    answer[count] = 0;
    if (strncmp(answer, "HTTP/1.1 2", 10) != 0) {
        fprintf(stderr, "call: %s\n", answer);
        exit(1);
    }
    return end - begin;
}

int main(int argc, char** argv) {
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "call SOCKET COUNT PAUSE_US METHOD PATH [BODY]\n");
        return 2;
    }
    char request[8192];
    const char* body = argc == 7 ? argv[6] : "";
    int length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", argv[4],
                          argv[5], strlen(body), body);
    if (length < 0 || (size_t)length >= sizeof request) {
        fprintf(stderr, "call: the request is too long\n");
        return 1;
    }
    int fd = connect_to(argv[1]);
    for (long left = atol(argv[2]); left > 0; left--) {
        usleep((useconds_t)atol(argv[3]));
        printf("%.1f\n", ask(fd, request, (size_t)length));
    }
    return 0;
}
