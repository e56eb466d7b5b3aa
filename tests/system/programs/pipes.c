// Pipes, and waiting for them with poll and select: what is ready when, and for how long.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void poll_both(const char *what, const int ends[2], int timeout_ms) {
    struct pollfd list[3] = {{ends[0], POLLIN | POLLRDNORM, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    const int ready = poll(list, 3, timeout_ms);
    printf("%s: %d read end %x write end %x\n", what, ready, list[0].revents, list[1].revents);
}

static void on_signal(int number) {
    printf("signal %d\n", number);
}

static void fill_and_drain(void) {
    int ends[2];
    static char bytes[200000];
    pipe2(ends, O_NONBLOCK);
    poll_both("empty", ends, 0);
    say("read of nothing", read(ends[0], bytes, 1));
    say("write", write(ends[1], bytes, sizeof bytes));
    poll_both("full", ends, 0);
    say("write when full", write(ends[1], bytes, 1));
    say("read", read(ends[0], bytes, 5000));
    poll_both("less", ends, 0);
    say("larger", fcntl(ends[1], F_SETPIPE_SZ, 100000));
    say("size", fcntl(ends[0], F_GETPIPE_SZ));
    say("too small", fcntl(ends[0], F_SETPIPE_SZ, 4096));
    say("read all", read(ends[0], bytes, sizeof bytes));
    close(ends[1]);
    struct pollfd alone = {ends[0], POLLIN, 0};
    say("poll without writers", poll(&alone, 1, -1));
    printf("events %x\n", alone.revents);
    say("end", read(ends[0], bytes, 1));
    close(ends[0]);
}

static void break_it(void) {
    int ends[2];
    pipe(ends);
    close(ends[0]);
    signal(SIGPIPE, on_signal);
    say("write without readers", write(ends[1], "x", 1));
    struct pollfd alone = {ends[1], POLLOUT, 0};
    say("poll without readers", poll(&alone, 1, 0));
    printf("events %x\n", alone.revents);
    close(ends[1]);
}

static void wait_a_while(void) {
    int ends[2];
    pipe(ends);
    struct pollfd reader = {ends[0], POLLIN, 0};
    long start = now_ms();
    say("poll", poll(&reader, 1, 30));
    printf("waited long enough: %d\n", now_ms() - start >= 30);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(ends[0], &readable);
    struct timeval time = {0, 20000};
    start = now_ms();
    say("select", select(ends[0] + 1, &readable, NULL, NULL, &time));
    printf("waited long enough: %d\n", now_ms() - start >= 20);
    FD_SET(ends[0], &readable);
    FD_SET(ends[1], &writable);
    say("select both", select(ends[1] + 1, &readable, &writable, NULL, NULL));
    printf("readable %d writable %d\n", !!FD_ISSET(ends[0], &readable), !!FD_ISSET(ends[1], &writable));
    close(ends[0]);
    FD_SET(ends[0], &readable);
    say("select of a closed one", select(ends[1] + 1, &readable, NULL, NULL, NULL));
    close(ends[1]);
}

static void wait_with_a_mask(void) {
    int ends[2];
    pipe(ends);
    sigset_t blocked, before, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    struct pollfd reader = {ends[0], POLLIN, 0};
    struct timespec time = {0, 1000000};
    say("ppoll with the signal blocked", ppoll(&reader, 1, &time, NULL));
    say("ppoll with it let through", ppoll(&reader, 1, NULL, &none));
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    printf("still blocked: %d\n", sigismember(&blocked, SIGUSR1));
    raise(SIGUSR1);
    say("pselect with it let through", pselect(0, NULL, NULL, NULL, NULL, &none));
    raise(SIGUSR1);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    fill_and_drain();
    break_it();
    wait_a_while();
    wait_with_a_mask();
    return 0;
}
