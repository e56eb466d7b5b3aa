// Times a server from its start to the first byte of its first answer.
//
//   first_answer NETNS ADDRESS PORT REQUEST PROGRAM ARGS...
//
// The server is started in the network namespace NETNS (a path), the client stays in ours. Prints the
// microseconds and ends the server. A request that nobody takes is tried again at once: what is lost
// before the server is there would cost TCP a second.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { limit_s = 60, try_us = 500, answer_ms = 5000 };

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void fail(const char *what) {
    fprintf(stderr, "first_answer: %s: %s\n", what, strerror(errno));
    exit(2);
}

static pid_t start(const char *netns, char **words) {
    const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    const int other = open(netns, O_RDONLY | O_CLOEXEC);
    if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) != 0) {
        fail(netns);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    errno = posix_spawn(&pid, words[0], &actions, NULL, words, environ);
    if (errno != 0) {
        fail(words[0]);
    }
    if (setns(own, CLONE_NEWNET) != 0) {
        fail("setns");
    }
    return pid;
}

// A connection, or -1 if there was none soon.
static int try_connect(const struct sockaddr_in *address) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    const struct timespec limit = {.tv_nsec = try_us * 1000};
    int error = 0;
    socklen_t size = sizeof error;
    if (fd < 0) {
        fail("socket");
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno != EINPROGRESS) {
        close(fd);
        ppoll(NULL, 0, &limit, NULL);
        return -1;
    }
    if (ppoll(&ready, 1, &limit, NULL) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

static int is_answered(int fd, const char *request) {
    char first;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    const int is = send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
                   poll(&ready, 1, answer_ms) == 1 && recv(fd, &first, 1, 0) == 1;
    close(fd);
    return is;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: first_answer NETNS ADDRESS PORT REQUEST PROGRAM ARGS...\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) {
        errno = EINVAL;
        fail(argv[2]);
    }
    const double begin = now_us();
    const pid_t pid = start(argv[1], argv + 5);
    int code = 1;
    while (now_us() - begin < limit_s * 1e6 && waitpid(pid, NULL, WNOHANG) == 0) {
        const int fd = try_connect(&address);
        if (fd >= 0 && is_answered(fd, argv[4])) {
            printf("%.1f\n", now_us() - begin);
            code = 0;
            break;
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return code;
}
