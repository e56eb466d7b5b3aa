// Times one process from posix_spawn to its end, with nothing in between.
//
//   spawn PROGRAM ARGS...
//
// Prints the microseconds and how it ended (exit code, or 128 + signal). The process has /dev/null
// for stdin and stdout, and our stderr.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "spawn: which program?\n");
        return 2;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status;
    const double start = now_us();
    const int error = posix_spawn(&pid, argv[1], &actions, NULL, argv + 1, environ);
    if (error != 0) {
        fprintf(stderr, "spawn: cannot run %s: %s\n", argv[1], strerror(error));
        return 2;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    const double end = now_us();
    printf("%.1f %d\n", end - start,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
