// Signals between threads and processes, and what they interrupt. Prints the same on any Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static volatile int last_value, last_code;

static void on_signal(int number, siginfo_t* info, void* context) {
    (void)number;
    (void)context;
    ++count;
    last_value = info->si_value.sival_int;
    last_code = info->si_code;
    // What a handler does to the vector registers is nobody else's business.
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm15, %%xmm15" ::: "xmm0", "xmm15");
}

static void handle(int number, int flags) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    sigaction(number, &action, NULL);
}

static void set_alarm(long after_us, long interval_us) {
    const struct itimerval value = {{0, interval_us}, {0, after_us}};
    setitimer(ITIMER_REAL, &value, NULL);
}

static void interrupted_sleep(void) {
    handle(SIGALRM, SA_RESTART);
    set_alarm(20000, 0);
    struct timespec nap = {5, 0}, left = {0, 0};
    const int result = nanosleep(&nap, &left);
    printf("sleep: %d %s, %s left\n", result, errno == EINTR ? "EINTR" : "?",
           left.tv_sec == 4 ? "4 s" : "not 4 s");
}


static void restarted_wait(int flags, const char* what) {
    handle(SIGALRM, flags);
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        struct timespec nap = {0, 60000000};
        nanosleep(&nap, NULL);
        _exit(3);
    }
    count = 0;
    set_alarm(10000, 0);
    const pid_t ended = waitpid(child, &status, 0);
    printf("%s: %s", what, ended == child ? "the child" : errno == EINTR ? "EINTR" : "?");
    if (ended != child) {
        waitpid(child, &status, 0);
    }
    printf(", %d signals, exit %d\n", (int)count, WEXITSTATUS(status));
}

static void computing(void) {
    handle(SIGALRM, 0);
    count = 0;
    set_alarm(2000, 2000);
    double sums[4] = {0, 0, 0, 0};
    long rounds = 0;
    while (count < 20) {
        for (int i = 0; i < 4; ++i) {
            sums[i] += i + 1;
        }
        ++rounds;
    }
    set_alarm(0, 0);
    int good = 0;
    for (int i = 0; i < 4; ++i) {
        good += sums[i] == (double)rounds * (i + 1);
    }
    printf("signals while computing: 20, sums that are right: %d\n", good);
}

static void queued(void) {
    const int number = SIGRTMIN + 2;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 3; ++i) {
        sigqueue(getpid(), number, (union sigval){.sival_int = 10 + i});
        kill(getpid(), SIGUSR2);
    }
    siginfo_t info;
    const struct timespec none = {0, 0};
    int result = 0;
    while ((result = sigtimedwait(&set, &info, &none)) > 0) {
        printf("waited for: %s", result == number ? "real-time" : "SIGUSR2");
        if (result == number) {
            printf(" %d", info.si_value.sival_int);
        }
        printf("%s\n", info.si_code == SI_QUEUE ? ", queued" : ", by kill");
    }
    printf("then: %s\n", errno == EAGAIN ? "EAGAIN" : "?");
    handle(number, 0);
    sigqueue(getpid(), number, (union sigval){.sival_int = 77});
    sigset_t all;
    sigemptyset(&all);
    count = 0;
    result = sigsuspend(&all);
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    printf("sigsuspend: %d %s, value %d, blocked again: %d\n", result,
           errno == EINTR ? "EINTR" : "?", last_value, sigismember(&now, number));
}

static void posix_timer(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};
    event.sigev_value.sival_int = 99;
    handle(SIGRTMIN + 3, 0);
    count = 0;
    timer_t timer;
    const struct itimerspec value = {{0, 0}, {0, 5000000}};
    int result = timer_create(CLOCK_MONOTONIC, &event, &timer);
    result |= timer_settime(timer, 0, &value, NULL);
    while (count == 0) {
        pause();
    }
    printf("timer_create: %d, value %d, %s, deleted %d\n", result, last_value,
           last_code == SI_TIMER ? "SI_TIMER" : "?", timer_delete(timer));
}

static volatile int taker_done;

static void* take_signal(void* unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (count == 0) {
        usleep(1000);
    }
    taker_done = 1;
    return unused;
}

static void process_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    handle(SIGTERM, 0);
    count = 0;
    pthread_t other;
    pthread_create(&other, NULL, take_signal, NULL);
    kill(getpid(), SIGTERM);
    pthread_join(other, NULL);
    printf("to the process: taken by the thread that does not block it: %d\n", taker_done);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    interrupted_sleep();
    restarted_wait(SA_RESTART, "waitpid with SA_RESTART");
    restarted_wait(0, "waitpid without");
    computing();
    queued();
    posix_timer();
    process_signal();
    return 0;
}
