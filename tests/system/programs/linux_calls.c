// System calls whose answers on the host and in the unikernel are compared: futexes by hand, what a
// signal interrupts, ids, limits, sockets of TCP. One line for each answer.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// As in <linux/futex.h>, which musl-gcc does not find.
enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAKE_OP = 5,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
    FUTEX_OP_SET = 0,
    FUTEX_OP_ADD,
    FUTEX_OP_OR,
    FUTEX_OP_ANDN,
    FUTEX_OP_XOR,
    FUTEX_OP_OPARG_SHIFT = 8,
    FUTEX_OP_CMP_EQ = 0,
    FUTEX_OP_CMP_NE,
    FUTEX_OP_CMP_LT,
    FUTEX_OP_CMP_LE,
    FUTEX_OP_CMP_GT,
    FUTEX_OP_CMP_GE,
};
#define FUTEX_BITSET_MATCH_ANY 0xFFFFFFFF

static void say(const char* what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static long futex(uint32_t* word, int operation, uint32_t value, const void* timeout,
                  uint32_t* other, uint32_t more) {
    return syscall(SYS_futex, word, operation, value, timeout, other, more);
}

// ---- futexes ----

static uint32_t words[2];

static void wake_op(const char* what, uint32_t start, unsigned operation, unsigned operand,
                    unsigned compare, unsigned compared) {
    const uint32_t encoded =
        operation << 28 | compare << 24 | (operand & 0xFFF) << 12 | (compared & 0xFFF);
    words[1] = start;
    say(what, futex(&words[0], FUTEX_WAKE_OP, 1, (void*)1, &words[1], encoded));
    printf("word %#x\n", words[1]);
}

static void* wait_on_second(void* unused) {
    (void)unused;
    futex(&words[1], FUTEX_WAIT, 7, NULL, NULL, 0);
    return NULL;
}

// How many FUTEX_WAKE_OP wakes at the second word when its old value is compared.
static void wake_op_wakes(const char* what, unsigned compare, unsigned compared) {
    pthread_t thread;
    words[1] = 7;
    pthread_create(&thread, NULL, wait_on_second, NULL);
    const uint32_t encoded = FUTEX_OP_ADD << 28 | compare << 24 | (compared & 0xFFF);
    // Until it waits there.
    while (futex(&words[1], FUTEX_CMP_REQUEUE, 0, (void*)1, &words[1], 7) == 0) {
        sched_yield();
    }
    say(what, futex(&words[0], FUTEX_WAKE_OP, 1, (void*)1, &words[1], encoded));
    futex(&words[1], FUTEX_WAKE, 1, NULL, NULL, 0);
    pthread_join(thread, NULL);
}

static void futexes(void) {
    const struct timespec wrong = {0, 1000000000};
    const struct timespec none = {0, 0};
    uint32_t word = 3;
    say("another value", futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0));
    say("no time", futex(&word, FUTEX_WAIT, 3, &none, NULL, 0));
    say("a time that is none", futex(&word, FUTEX_WAIT, 3, &wrong, NULL, 0));
    say("no bits", futex(&word, FUTEX_WAIT_BITSET, 3, NULL, NULL, 0));
    say("no bits to wake", futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    say("nobody", futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    say("not aligned", futex((uint32_t*)((char*)words + 2), FUTEX_WAIT, 0, &none, NULL, 0));
    say("nowhere", futex((uint32_t*)16, FUTEX_WAIT, 0, &none, NULL, 0));
    say("compared", futex(&word, FUTEX_CMP_REQUEUE, 1, (void*)1, &words[0], 4));
    wake_op("set", 1, FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 1);
    wake_op("set less than 0", 1, FUTEX_OP_SET, -2U, FUTEX_OP_CMP_EQ, 1);
    wake_op("add less than 0", 10, FUTEX_OP_ADD, -1U, FUTEX_OP_CMP_EQ, 10);
    wake_op("or", 0x10, FUTEX_OP_OR, -0x100U, FUTEX_OP_CMP_NE, 0);
    wake_op("and not", 0xFFFFFFFF, FUTEX_OP_ANDN, 0xF0, FUTEX_OP_CMP_NE, 0);
    wake_op("xor", 0xFF, FUTEX_OP_XOR, -1U, FUTEX_OP_CMP_NE, 0);
    wake_op("a bit", 0, FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 31, FUTEX_OP_CMP_EQ, 0);
    wake_op_wakes("equal", FUTEX_OP_CMP_EQ, 7);
    wake_op_wakes("not equal", FUTEX_OP_CMP_EQ, 8);
    wake_op_wakes("more than one below 0", FUTEX_OP_CMP_GT, -1U);
    wake_op_wakes("less than one below 0", FUTEX_OP_CMP_LT, -1U);
}

// ---- what a signal interrupts ----

static volatile int handled;

static void on_alarm(int number) {
    handled += number == SIGALRM;
}

// In a moment, and again and again, since it may come before the call that it is for.
static void start_alarms(int flags) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    const struct itimerval soon = {{0, 20000}, {0, 20000}};
    sigaction(SIGALRM, &action, NULL);
    handled = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void stop_alarms(const char* what, long result) {
    const struct itimerval never = {{0, 0}, {0, 0}};
    const int error = errno;
    setitimer(ITIMER_REAL, &never, NULL);
    errno = error;
    say(what, result);
    printf("handled: %d\n", handled > 0);
}

static int listener_at(struct sockaddr_in* address) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof *address;
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr*)address, size) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr*)address, &size) != 0) {
        exit(2);
    }
    return fd;
}

static void pair_of_tcp(int ends[2]) {
    struct sockaddr_in address;
    const int listener = listener_at(&address);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (struct sockaddr*)&address, sizeof address) != 0) {
        exit(3);
    }
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void interrupted_receive(const char* what, int fd, int option) {
    const struct timeval limit = {10, 0};
    char byte;
    setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit);
    start_alarms(SA_RESTART);
    stop_alarms(what, recv(fd, &byte, 1, 0));
}

static void interruptions(void) {
    const struct timespec long_time = {10, 0};
    const struct timeval limit = {10, 0};
    uint32_t word = 0;
    int ends[2];
    int pair[2];
    struct sockaddr_in address;
    struct timespec end;
    static char much[1 << 16];
    start_alarms(SA_RESTART);
    stop_alarms("futex with a time", futex(&word, FUTEX_WAIT, 0, &long_time, NULL, 0));
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 10;
    start_alarms(SA_RESTART);
    stop_alarms("futex until a time",
                futex(&word, FUTEX_WAIT_BITSET, 0, &end, NULL, FUTEX_BITSET_MATCH_ANY));
    start_alarms(0);
    stop_alarms("futex", futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0));
    pair_of_tcp(ends);
    interrupted_receive("recv of TCP with a time", ends[0], SO_RCVTIMEO);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    interrupted_receive("recv of a pair with a time", pair[0], SO_RCVTIMEO);
    start_alarms(SA_RESTART);
    stop_alarms("read with a time", read(pair[0], much, 1));
    const int listener = listener_at(&address);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    start_alarms(SA_RESTART);
    stop_alarms("accept with a time", accept(listener, NULL, NULL));
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    while (send(pair[0], much, sizeof much, MSG_DONTWAIT) > 0) {
    }
    start_alarms(SA_RESTART);
    stop_alarms("send with a time", send(pair[0], much, 1, 0));
    // The first call after a connection stands tells so, and only the first.
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    say("connect", connect(client, (struct sockaddr*)&address, sizeof address));
    struct pollfd entry = {client, POLLOUT, 0};
    say("poll", poll(&entry, 1, 5000));
    say("connect again", connect(client, (struct sockaddr*)&address, sizeof address));
    say("and again", connect(client, (struct sockaddr*)&address, sizeof address));
    say("a connected one", connect(ends[0], (struct sockaddr*)&address, sizeof address));
}

// ---- TCP: ends of streams, and what is asked of a socket ----

static void show_poll(const char* what, int fd) {
    struct pollfd entry = {fd, POLLIN | POLLRDHUP, 0};
    const int count = poll(&entry, 1, 5000);
    printf("%s: %d %x\n", what, count, (unsigned)entry.revents);
}

static void show_epoll(const char* what, int epoll) {
    struct epoll_event event = {0};
    const int count = epoll_wait(epoll, &event, 1, 5000);
    printf("%s: %d %x\n", what, count, event.events);
}

static void streams(void) {
    int ends[2];
    int on = 1;
    int number = -1;
    pair_of_tcp(ends);
    const int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &event);
    send(ends[0], "x", 1, 0);
    show_epoll("a byte, epoll", epoll);
    shutdown(ends[0], SHUT_WR);
    show_epoll("the end, epoll", epoll);
    show_poll("the end", ends[1]);
    char byte;
    recv(ends[1], &byte, 1, 0);
    show_poll("the end, read", ends[1]);
    shutdown(ends[1], SHUT_RD);
    show_poll("shut", ends[1]);
    close(ends[1]);
    close(ends[0]);

    pair_of_tcp(ends);
    say("FIOASYNC", ioctl(ends[0], FIOASYNC, &on));
    say("flags", fcntl(ends[0], F_GETFL));
    on = 0;
    say("FIOASYNC off", ioctl(ends[0], FIOASYNC, &on));
    say("flags", fcntl(ends[0], F_GETFL));
    say("SIOCOUTQ", ioctl(ends[0], TIOCOUTQ, &number));
    printf("%d\n", number);
    int pipes[2];
    on = 1;
    pipe(pipes);
    say("FIOASYNC of a pipe", ioctl(pipes[0], FIOASYNC, &on));
    say("F_SETOWN", fcntl(ends[0], F_SETOWN, getpid()));
    // A byte that was sent is not acknowledged at once, and is some time.
    send(ends[0], "x", 1, 0);
    recv(ends[1], &byte, 1, 0);
    do {
        say("SIOCOUTQ", ioctl(ends[0], TIOCOUTQ, &number) < 0 ? -1 : 0);
    } while (0);
    while (number != 0) {
        ioctl(ends[0], TIOCOUTQ, &number);
    }
}

// ---- who the program is, and what it may have ----

static void ids(void) {
    unsigned a = 9, b = 9, c = 9;
    say("getresuid", syscall(SYS_getresuid, &a, &b, &c));
    printf("%u %u %u\n", a, b, c);
    say("getresgid", syscall(SYS_getresgid, &a, &b, &c));
    printf("%u %u %u\n", a, b, c);
    say("getresuid to nowhere", syscall(SYS_getresuid, 16, &b, &c));
    say("setreuid", syscall(SYS_setreuid, -1L, 0L));
    say("setregid", syscall(SYS_setregid, 0L, -1L));
    const unsigned groups[] = {0};
    say("setgroups", syscall(SYS_setgroups, 1, groups));
    say("setfsuid", syscall(SYS_setfsuid, 0));
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    struct {
        uint32_t effective, permitted, inheritable;
    } data[2] = {0};
    say("capget", syscall(SYS_capget, &header, data));
    say("capset", syscall(SYS_capset, &header, data[0].permitted != 0 ? data : NULL));
    header.version = 1;
    say("capget of another version", syscall(SYS_capget, &header, data));
    printf("version %#x\n", header.version);
    header.version = 1;
    say("the version", syscall(SYS_capget, &header, NULL));
    say("sync_file_range", syscall(SYS_sync_file_range, 99, 0, 0, 2));
    const int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    const int fd = file >= 0 ? file : memfd_create("bytes", 0);
    say("of a file", syscall(SYS_sync_file_range, fd, 0, 4096, 2));
    say("with other flags", syscall(SYS_sync_file_range, fd, 0, 4096, 8));
    say("before the start", syscall(SYS_sync_file_range, fd, -1L, 4096L, 2));
    int pipes[2];
    pipe(pipes);
    say("of a pipe", syscall(SYS_sync_file_range, pipes[0], 0, 4096, 2));
}

// ---- what takes time, and whose ----

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_used(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void spin(double seconds) {
    const double end = seconds_of(CLOCK_THREAD_CPUTIME_ID) + seconds;
    while (seconds_of(CLOCK_THREAD_CPUTIME_ID) < end) {
    }
}

static void* spin_a_while(void* unused) {
    (void)unused;
    spin(0.1);
    return NULL;
}

// A busy host makes it more, since it counts as the program's what it takes from a vCPU.
static void show_range(const char* what, double value, double least, double most) {
    if (value >= least && value < most) {
        printf("%s: right\n", what);
    } else {
        printf("%s: %f, not from %f to %f\n", what, value, least, most);
    }
}

static void cpu_time(void) {
    struct timespec pause = {0, 200000000};
    double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    nanosleep(&pause, NULL);
    show_range("asleep", seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before, 0, 0.05);
    before = seconds_used(RUSAGE_SELF);
    const double wall = seconds_of(CLOCK_MONOTONIC);
    spin(0.2);
    show_range("computing", seconds_used(RUSAGE_SELF) - before, 0.18, 2);
    show_range("of this time", seconds_of(CLOCK_MONOTONIC) - wall, 0.18, 60);
    struct tms times_before, times_after;
    times(&times_before);
    pthread_t thread;
    clockid_t of_thread;
    before = seconds_used(RUSAGE_SELF);
    pthread_create(&thread, NULL, spin_a_while, NULL);
    printf("its clock: %d\n", pthread_getcpuclockid(thread, &of_thread));
    nanosleep(&pause, NULL);
    pthread_join(thread, NULL);
    show_range("a thread's", seconds_used(RUSAGE_SELF) - before, 0.09, 2);
    show_range("not this one's", seconds_used(RUSAGE_SELF) - seconds_used(RUSAGE_THREAD), 0.09, 2);
    times(&times_after);
    show_range("ticks",
               (double)(times_after.tms_utime + times_after.tms_stime - times_before.tms_utime -
                        times_before.tms_stime),
               8, 200);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        spin(0.1);
        _exit(0);
    }
    struct rusage usage = {0};
    show_range("children before", seconds_used(RUSAGE_CHILDREN), 0, 0.001);
    wait4(child, NULL, 0, &usage);
    show_range("children", seconds_used(RUSAGE_CHILDREN), 0.09, 2);
    show_range("this child", (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6, 0.09,
               1);
    FILE* file = fopen("/proc/self/stat", "r");
    unsigned long utime = 0, stime = 0;
    printf("fields: %d\n",
           file == NULL
               ? -1
               : fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime,
                        &stime));
    show_range("/proc/self/stat", (double)(utime + stime), 28, 400);
}

// ---- limits ----

static void limits(void) {
    for (int fd = 3; fd < 200; ++fd) {
        close(fd);  // of the sections before
    }
    struct rlimit limit = {20, 1024};
    say("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
    int last = 0;
    for (int fd; (fd = dup(0)) >= 0;) {
        last = fd;
    }
    say("one too many", -1);
    printf("the last: %d\n", last);
    say("dup2 beyond", dup2(0, 20));
    say("dup from beyond", fcntl(0, F_DUPFD, 20));
    say("open", open("/", O_RDONLY));
    int pipes[2];
    say("pipe", pipe(pipes));
    say("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        getrlimit(RLIMIT_NOFILE, &limit);
        printf("a child's: %d\n", (int)limit.rlim_cur);
        limit.rlim_cur = 30;
        say("its own", setrlimit(RLIMIT_NOFILE, &limit));
        say("which counts", dup2(0, 25));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("not its parent's: %d\n", (int)limit.rlim_cur);
    close(last);
    say("again", dup(0));
    limit = (struct rlimit){2, 1};
    say("soft above hard", setrlimit(RLIMIT_CORE, &limit));
    say("no such limit", syscall(SYS_prlimit64, 0, 99, NULL, &limit));
    say("no such process", syscall(SYS_prlimit64, 12345678, RLIMIT_NOFILE, NULL, &limit));
    struct sysinfo info;
    say("sysinfo", sysinfo(&info));
    printf("sound: %d\n", info.totalram >= info.freeram && info.freeram > 0 && info.mem_unit > 0 &&
                              info.procs > 0);
    char name[16] = "";
    say("PR_SET_NAME", prctl(PR_SET_NAME, "a name that is too long"));
    say("PR_GET_NAME", prctl(PR_GET_NAME, name));
    puts(name);
    say("PR_SET_NAME from nowhere", prctl(PR_SET_NAME, 16));
    say("PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    say("no such prctl", prctl(12345, 0, 0, 0, 0));
}

// ---- locks ----

static void show_locks(const char* what, int fd, int type, long start, long size) {
    struct flock lock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
    say(what, fcntl(fd, F_GETLK, &lock));
    printf("type %d, from %ld, %ld bytes, a process: %d\n", lock.l_type, (long)lock.l_start,
           (long)lock.l_len, lock.l_type == F_UNLCK ? -1 : lock.l_pid > 0);
}

static long lock_part(int fd, int command, int type, long start, long size) {
    struct flock lock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
    return fcntl(fd, command, &lock);
}

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif
#define LOCK_SH 1
#define LOCK_EX 2
#define LOCK_NB 4
#define LOCK_UN 8
static long lock_all(int fd, int operation) {
    return syscall(SYS_flock, fd, operation);
}

static void locks(void) {
    char path[] = "/tmp/locks-XXXXXX";
    const int first = mkstemp(path);
    const int second = open(path, O_RDWR);
    const int reader = open(path, O_RDONLY);
    char byte;
    int gate[2], answer[2];
    say("shared", lock_all(first, LOCK_SH));
    say("shared by another", lock_all(second, LOCK_SH | LOCK_NB));
    say("exclusive", lock_all(first, LOCK_EX | LOCK_NB));
    say("unlock", lock_all(second, LOCK_UN));
    say("exclusive again", lock_all(first, LOCK_EX | LOCK_NB));
    say("shared beside it", lock_all(second, LOCK_SH | LOCK_NB));
    const int copy = dup(first);
    close(first);
    say("a descriptor less", lock_all(second, LOCK_SH | LOCK_NB));
    close(copy);
    say("and the last", lock_all(second, LOCK_SH | LOCK_NB));
    say("no operation", lock_all(second, 3));
    say("no file", lock_all(99, LOCK_SH));

    say("a part", lock_part(second, F_SETLK, F_WRLCK, 100, 100));
    say("for a reader", lock_part(reader, F_SETLK, F_WRLCK, 0, 1));
    say("of the open file", lock_part(reader, F_OFD_SETLK, F_RDLCK, 150, 10));
    say("of the open file, beside", lock_part(reader, F_OFD_SETLK, F_RDLCK, 300, 10));
    say("before the start", lock_part(second, F_SETLK, F_WRLCK, -5, 1));
    pipe(gate);
    pipe(answer);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const int fd = open(path, O_RDWR);
        show_locks("the parent's", fd, F_WRLCK, 0, 0);
        show_locks("behind it", fd, F_WRLCK, 200, 50);
        show_locks("the open file's", fd, F_WRLCK, 250, 0);
        show_locks("beside the open file's", fd, F_RDLCK, 250, 0);
        say("taken", lock_part(fd, F_SETLK, F_RDLCK, 120, 1));
        fflush(stdout);
        write(answer[1], "x", 1);
        read(gate[0], &byte, 1);
        say("split", lock_part(fd, F_SETLK, F_RDLCK, 120, 1));
        show_locks("the rest", fd, F_RDLCK, 121, 0);
        fflush(stdout);
        write(answer[1], "x", 1);
        say("waited", lock_part(fd, F_SETLKW, F_WRLCK, 0, 0) == 0);
        say("waited", lock_all(fd, LOCK_EX));
        fflush(stdout);
        _exit(0);
    }
    read(answer[0], &byte, 1);
    say("unlock a part", lock_part(second, F_SETLK, F_UNLCK, 110, 20));
    fflush(stdout);
    write(gate[1], "x", 1);
    read(answer[0], &byte, 1);
    lock_part(reader, F_OFD_SETLK, F_UNLCK, 0, 0);
    close(open(path, O_RDONLY));  // any close of the file gives the process's locks away
    lock_all(second, LOCK_UN);
    waitpid(child, NULL, 0);
    show_locks("nobody's", second, F_WRLCK, 0, 0);
    unlink(path);
}

// ---- a stack that is too small ----

static void on_fault(int number) {
    static const char text[] = "on the other stack\n";
    write(1, text, sizeof text - 1);
    _exit(number == SIGSEGV ? 7 : 8);
}

static int recurse(volatile char* before) {
    volatile char bytes[4096];
    bytes[0] = *before;
    return (bytes[0] != 0 ? recurse(bytes) : 0) + bytes[0];
}

static int overflow_stack(void) {
    static char other[65536];
    const stack_t stack = {.ss_sp = other, .ss_size = sizeof other};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    struct rlimit limit = {1 << 20, 1 << 20};
    char start = 1;
    setrlimit(RLIMIT_STACK, &limit);
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    return recurse(&start);
}

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const char* what = argv[i];
        puts(what);
        if (strcmp(what, "futexes") == 0) {
            futexes();
        } else if (strcmp(what, "interruptions") == 0) {
            interruptions();
        } else if (strcmp(what, "streams") == 0) {
            streams();
        } else if (strcmp(what, "ids") == 0) {
            ids();
        } else if (strcmp(what, "cpu-time") == 0) {
            cpu_time();
        } else if (strcmp(what, "limits") == 0) {
            limits();
        } else if (strcmp(what, "locks") == 0) {
            locks();
        } else if (strcmp(what, "overflow") == 0) {
            fflush(stdout);
            return overflow_stack();
        } else {
            return 1;
        }
    }
    return 0;
}
