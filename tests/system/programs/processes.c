// Processes: fork, vfork, posix_spawn with pipes, wait. Prints the same on any Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;
static int value = 1;
static volatile sig_atomic_t children;

static void on_child(int number) {
    (void)number;
    ++children;
}

static void print_status(const char* what, int status) {
    if (WIFEXITED(status)) {
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    } else {
        printf("%s: signal %d\n", what, WTERMSIG(status));
    }
    fflush(stdout);
}

static void forked(void) {
    char* heap = malloc(100000);
    strcpy(heap, "the parent's");
    int ends[2], status = 0;
    if (pipe(ends) != 0) {
        exit(9);
    }
    const pid_t child = fork();
    if (child == 0) {
        value = 2;
        strcpy(heap, "the child's");
        dprintf(ends[1], "value %d, heap %s, parent %s", value, heap,
                getppid() == 1 || getppid() > 1 ? "there" : "gone");
        _exit(42);
    }
    close(ends[1]);
    const pid_t ended = waitpid(child, &status, 0);
    char text[100] = "";
    const ssize_t size = read(ends[0], text, sizeof text - 1);
    printf("child said: %.*s\nparent: value %d, heap %s, waited %s\n", (int)size, text, value, heap,
           ended == child ? "for it" : "for nothing");
    print_status("fork", status);
    close(ends[0]);
    free(heap);
}

static void vforked(void) {
    int status = 0;
    const pid_t child = vfork();
    if (child == 0) {
        value = 3;
        _exit(7);
    }
    waitpid(child, &status, 0);
    printf("vfork: value %d\n", value);
    print_status("vfork", status);
}

static void killed(void) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    print_status("killed", status);
    const pid_t crashed = fork();
    if (crashed == 0) {
        raise(SIGSEGV);
    }
    waitpid(crashed, &status, 0);
    print_status("crashed", status);
    printf("no more: %d %s\n", (int)waitpid(-1, &status, 0), strerror(errno));
}

static void spawned(const char* self) {
    int ends[2], status = 0;
    if (pipe(ends) != 0) {
        exit(9);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    char* words[] = {(char*)self, "child", "a word", NULL};
    pid_t child = 0;
    const int failed = posix_spawn(&child, self, &actions, NULL, words, environ);
    close(ends[1]);
    waitpid(child, &status, 0);
    char text[100] = "";
    const ssize_t size = read(ends[0], text, sizeof text - 1);
    printf("posix_spawn: %d, said: %.*s\n", failed, (int)size, text);
    print_status("posix_spawn", status);
    printf("posix_spawn of nothing: %s\n",
           strerror(posix_spawn(&child, "/no/such", NULL, NULL, words, environ)));
    close(ends[0]);
}

int main(int count, char** words) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count > 2 && strcmp(words[1], "child") == 0) {
        printf("I am the child with %s", words[2]);
        return 5;
    }
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    forked();
    vforked();
    killed();
    spawned(words[0]);
    printf("SIGCHLD: %s\n", children >= 1 ? "came" : "did not come");
    return 0;
}
