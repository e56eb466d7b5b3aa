// Threads, one scene after the other, each with one line of output that is the same on any Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT 100

static _Thread_local long own = 7;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;
static long sum;

static void* add_up(void* argument) {
    own += (long)argument;
    pthread_mutex_lock(&mutex);
    sum += own;
    pthread_mutex_unlock(&mutex);
    return (void*)own;
}

static void many(void) {
    pthread_t threads[COUNT];
    long joined = 0;
    int failed = 0;
    for (long i = 0; i < COUNT; ++i) {
        failed += pthread_create(&threads[i], NULL, add_up, (void*)i) != 0;
    }
    for (int i = 0; i < COUNT; ++i) {
        void* result = NULL;
        failed += pthread_join(threads[i], &result) != 0;
        joined += (long)result;
    }
    printf("%d threads: %d failed, sum %ld, joined %ld, own %ld\n", COUNT, failed, sum, joined, own);
}

static void* pong(void* unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 1000; ++i) {
        while (turn != 1) {
            pthread_cond_wait(&changed, &mutex);
        }
        turn = 0;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void ping_pong(void) {
    pthread_t other;
    pthread_create(&other, NULL, pong, NULL);
    pthread_mutex_lock(&mutex);
    int turns = 0;
    for (; turns < 1000; ++turns) {
        turn = 1;
        pthread_cond_broadcast(&changed);
        while (turn != 0) {
            pthread_cond_wait(&changed, &mutex);
        }
    }
    pthread_mutex_unlock(&mutex);
    pthread_join(other, NULL);
    printf("ping-pong: %d turns\n", turns);
}

static pthread_barrier_t barrier;
static int passed, last_ones;

static void* meet(void* unused) {
    (void)unused;
    for (int i = 0; i < 100; ++i) {
        const int result = pthread_barrier_wait(&barrier);
        __atomic_fetch_add(&passed, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&last_ones, result == PTHREAD_BARRIER_SERIAL_THREAD, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void barriers(void) {
    pthread_t threads[7];
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 7; ++i) {
        pthread_create(&threads[i], NULL, meet, NULL);
    }
    meet(NULL);
    for (int i = 0; i < 7; ++i) {
        pthread_join(threads[i], NULL);
    }
    printf("barrier: %d passed, %d times the last\n", passed, last_ones);
}

static pthread_mutex_t robust;

static void* die_with_lock(void* unused) {
    (void)unused;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void owner_dies(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_t other;
    pthread_create(&other, NULL, die_with_lock, NULL);
    pthread_join(other, NULL);
    const int first = pthread_mutex_lock(&robust);
    pthread_mutex_consistent(&robust);
    pthread_mutex_unlock(&robust);
    printf("robust mutex: %s, then %d\n", first == EOWNERDEAD ? "EOWNERDEAD" : "not told",
           pthread_mutex_lock(&robust));
}

static volatile int stop, seen_by;
static sem_t ready;

static void on_signal(int number) {
    (void)number;
    seen_by = (int)syscall(SYS_gettid);
    stop = 1;
}

// Makes no system call until the signal stops it. The vector registers are the computer's own.
static void* compute(void* argument) {
    *(int*)argument = (int)syscall(SYS_gettid);
    sem_post(&ready);
    volatile double value = 1;
    while (!stop) {
        value = value * 1.0000001 + 0.5;
    }
    return value > 1 ? argument : NULL;
}

static void preempted(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sem_init(&ready, 0, 0);
    pthread_t other;
    int id = 0;
    pthread_create(&other, NULL, compute, &id);
    sem_wait(&ready);
    // Sleeping beside a thread that computes.
    struct timespec before, after, nap = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    int slept = nanosleep(&nap, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    const double took = after.tv_sec - before.tv_sec + (after.tv_nsec - before.tv_nsec) / 1e9;
    pthread_kill(other, SIGUSR1);
    void* result = NULL;
    pthread_join(other, &result);
    printf("beside a computing thread: slept %d, %s; its signal went to %s, result %s\n", slept,
           took >= 0.02 && took < 5 ? "in time" : "not in time",
           seen_by == id ? "it" : "another", result == &id ? "good" : "bad");
}

static void timed_waits(void) {
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 5000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_nsec -= 1000000000;
        ++soon.tv_sec;
    }
    pthread_mutex_lock(&mutex);
    int result = pthread_cond_timedwait(&changed, &mutex, &soon);
    pthread_mutex_unlock(&mutex);
    printf("a wait with a deadline: %s\n", result == ETIMEDOUT ? "ETIMEDOUT" : "something else");
}

static void* wait_for_ever(void* unused) {
    sem_t never;
    sem_init(&never, 0, 0);
    sem_wait(&never);
    return unused;
}

int main(void) {
    many();
    ping_pong();
    barriers();
    owner_dies();
    preempted();
    timed_waits();
    pthread_t other;
    pthread_create(&other, NULL, wait_for_ever, NULL);
    printf("exit with a thread that waits\n");
    return 3;
}
