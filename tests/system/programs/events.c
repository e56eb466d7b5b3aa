// eventfd, timerfd, signalfd and epoll: what is ready when, and how often it is told.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void show_number(const char *what, int fd) {
    uint64_t number = 0;
    say(what, read(fd, &number, sizeof number));
    printf("number %llu\n", (unsigned long long)number);
}

static void put_number(const char *what, int fd, uint64_t number) {
    say(what, write(fd, &number, sizeof number));
}

static void show_events(const char *what, int epoll, int timeout_ms) {
    struct epoll_event events[8];
    const int count = epoll_wait(epoll, events, 8, timeout_ms);
    printf("%s: %d", what, count);
    for (int i = 0; i < count; ++i) {
        printf(" %x for %llu", events[i].events, (unsigned long long)events[i].data.u64);
    }
    printf("\n");
}

static int change(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, operation, fd, &event);
}

static void use_eventfd(void) {
    const int event = eventfd(3, EFD_NONBLOCK);
    show_number("all", event);
    show_number("nothing", event);
    put_number("add", event, 5);
    put_number("add the most", event, UINT64_MAX - 1 - 5);
    put_number("too much", event, 1);
    put_number("never", event, UINT64_MAX);
    struct pollfd entry = {event, POLLIN | POLLOUT, 0};
    say("poll", poll(&entry, 1, 0));
    printf("events %x\n", entry.revents);
    say("short read", read(event, &entry, 4));
    close(event);
    const int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    show_number("one", semaphore);
    show_number("another", semaphore);
    show_number("no more", semaphore);
    close(semaphore);
}

static void use_timerfd(void) {
    const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec spec = {{0, 0}, {0, 20000000}}, old;
    say("set", timerfd_settime(timer, 0, &spec, &old));
    printf("before %ld.%ld\n", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
    struct pollfd entry = {timer, POLLIN, 0};
    say("poll too early", poll(&entry, 1, 0));
    say("poll", poll(&entry, 1, -1));
    show_number("expired", timer);
    spec.it_interval.tv_nsec = 5000000;
    spec.it_value.tv_nsec = 1;
    timerfd_settime(timer, 0, &spec, NULL);
    show_number("at once", timer);
    uint64_t count = 0;
    for (int turn = 0; turn < 3; ++turn) {
        uint64_t more;
        read(timer, &more, sizeof more);
        count += more;
    }
    printf("at least three more: %d\n", count >= 3);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int wall = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    spec.it_interval.tv_nsec = 0;
    spec.it_value = now;
    say("set in the past", timerfd_settime(wall, TFD_TIMER_ABSTIME, &spec, NULL));
    entry.fd = wall;
    say("poll", poll(&entry, 1, 1000));
    show_number("expired", wall);
    show_number("not again", wall);
    spec.it_value.tv_nsec = 1000000000;
    say("wrong time", timerfd_settime(wall, 0, &spec, NULL));
    say("wrong clock", timerfd_create(77, 0));
    close(timer);
    close(wall);
}

static void use_signalfd(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const int fd = signalfd(-1, &set, SFD_NONBLOCK);
    const int epoll = epoll_create1(0);
    change(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 7);
    show_events("no signal", epoll, 0);
    struct signalfd_siginfo info[3];
    say("read", read(fd, info, sizeof info));
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR1);
    show_events("signals", epoll, -1);
    const long got = read(fd, info, sizeof info);
    say("read", got);
    for (int i = 0; i < got / (long)sizeof info[0]; ++i) {
        printf("signal %u from itself: %d\n", info[i].ssi_signo, info[i].ssi_pid == (uint32_t)getpid());
    }
    show_events("taken", epoll, 0);
    close(fd);
    close(epoll);
}

static void use_triggers(void) {
    int ends[2];
    char byte;
    pipe2(ends, O_NONBLOCK);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    say("level", change(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    show_events("empty", epoll, 0);
    write(ends[1], "ab", 2);
    show_events("once", epoll, -1);
    show_events("twice", epoll, -1);
    say("edge", change(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 2));
    show_events("after the change", epoll, 0);
    show_events("no edge", epoll, 0);
    write(ends[1], "c", 1);
    show_events("an edge", epoll, 0);
    read(ends[0], &byte, 1);
    show_events("no edge", epoll, 0);
    say("one shot", change(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 3));
    show_events("the shot", epoll, 0);
    write(ends[1], "d", 1);
    show_events("no more", epoll, 0);
    say("again", change(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 4));
    show_events("the shot", epoll, 0);
    change(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN, 5);
    say("write end", change(epoll, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLET, 6));
    show_events("both", epoll, 0);
    close(ends[1]);
    show_events("closed", epoll, 0);
    while (read(ends[0], &byte, 1) == 1) {
    }
    show_events("hung up", epoll, 0);
    const int copy = dup(ends[0]);
    close(ends[0]);
    show_events("a copy is open", epoll, 0);
    close(copy);
    show_events("all closed", epoll, 0);
    close(epoll);
}

static void use_nested(void) {
    const int event = eventfd(0, EFD_NONBLOCK);
    const int inner = epoll_create1(0);
    const int outer = epoll_create1(0);
    say("inner", change(inner, EPOLL_CTL_ADD, event, EPOLLIN, 1));
    say("outer", change(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2));
    say("circle", change(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 3));
    show_events("nothing", outer, 0);
    put_number("write", event, 1);
    show_events("outer", outer, -1);
    show_events("inner", inner, 0);
    show_number("read", event);
    show_events("outer", outer, 0);
    close(event);
    close(inner);
    close(outer);
}

static void make_mistakes(void) {
    const int epoll = epoll_create(1);
    const int event = eventfd(0, 0);
    const int file = memfd_create("file", MFD_CLOEXEC);
    say("add", change(epoll, EPOLL_CTL_ADD, event, EPOLLIN, 1));
    say("twice", change(epoll, EPOLL_CTL_ADD, event, EPOLLIN, 1));
    say("itself", change(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 1));
    say("plain file", change(epoll, EPOLL_CTL_ADD, file, EPOLLIN, 1));
    say("closed", change(epoll, EPOLL_CTL_ADD, 99, EPOLLIN, 1));
    say("not an epoll", change(event, EPOLL_CTL_ADD, epoll, EPOLLIN, 1));
    say("operation", change(epoll, 9, event, EPOLLIN, 1));
    say("delete", change(epoll, EPOLL_CTL_DEL, event, 0, 0));
    say("delete again", change(epoll, EPOLL_CTL_DEL, event, 0, 0));
    say("modify", change(epoll, EPOLL_CTL_MOD, event, 0, 0));
    struct epoll_event events;
    say("no room", epoll_wait(epoll, &events, 0, 0));
    say("no address", epoll_ctl(epoll, EPOLL_CTL_ADD, event, NULL));
    say("size", epoll_create(0));
    say("memfd", write(file, "text", 4));
    const int watch = inotify_init1(IN_NONBLOCK);
    say("watch", inotify_add_watch(watch, "/", IN_CREATE));
    say("watch nothing", inotify_add_watch(watch, "/no/such/file", IN_CREATE));
    say("events", read(watch, &events, 1) < 0);
    close(watch);
    close(file);
    close(event);
    close(epoll);
}

int main(void) {
    use_eventfd();
    use_timerfd();
    use_signalfd();
    use_triggers();
    use_nested();
    make_mistakes();
    return 0;
}
