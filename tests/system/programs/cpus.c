// Several CPUs, one scene after the other, each with one line of output that is the same on any
// Linux with two CPUs.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static void run_two(void* (*one)(void*), void* (*other)(void*)) {
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, one, (void*)0L);
    pthread_create(&threads[1], NULL, other, (void*)1L);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

// How many CPUs there are, as three sources say.
static void count(void) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    int processors = 0;
    char line[1024];
    FILE* file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        processors += strncmp(line, "processor\t", 10) == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    const int counts = CPU_COUNT(&set);
    printf("CPUs: %s, the same in /proc/cpuinfo: %s, online: %s\n", counts >= 2 ? "several" : "one",
           processors == counts ? "yes" : "no",
           sysconf(_SC_NPROCESSORS_ONLN) == counts ? "yes" : "no");
}

static long long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

// Two threads that do not enter the kernel answer each other. On one CPU each answer takes a turn,
// some milliseconds; a hundred of them in 10 ms are those of two. The host's CPUs may be busy, so
// there is time for that to happen once: as many milliseconds as the argument says.
#define ANSWERS 100
#define ANSWERS_MS 10
static long patience_ms;
static atomic_long said[2];
static atomic_int is_parallel;
static atomic_int is_over;

static void* answer(void* argument) {
    const long self = (long)argument;
    const long long start = now_ms();
    long long before = start;
    for (long i = 1; !atomic_load(&is_over); ++i) {
        atomic_store(&said[self], i);
        while (atomic_load(&said[!self]) < i && !atomic_load(&is_over)) {
        }
        if (self == 0 && i % ANSWERS == 0) {
            const long long now = now_ms();
            atomic_store(&is_parallel, now - before < ANSWERS_MS);
            atomic_store(&is_over, atomic_load(&is_parallel) || now - start >= patience_ms);
            before = now;
        }
    }
    return NULL;
}

static void at_the_same_time(void) {
    run_two(answer, answer);
    printf("two threads compute at the same time: %s\n", atomic_load(&is_parallel) ? "yes" : "no");
}

// A mutex, and a condition variable that hands a turn to and fro.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter;
static long turn;

static void* add(void* unused) {
    (void)unused;
    for (int i = 0; i < 100000; ++i) {
        pthread_mutex_lock(&mutex);
        ++counter;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void* take_turns(void* argument) {
    for (int i = 0; i < 1000; ++i) {
        pthread_mutex_lock(&mutex);
        while (turn != (long)argument) {
            pthread_cond_wait(&changed, &mutex);
        }
        turn = !turn;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void locks(void) {
    run_two(add, add);
    run_two(take_turns, take_turns);
    printf("counter: %ld, turn: %ld\n", counter, turn);
}

// One thread takes pages away or makes them read-only while another writes to them: from the moment
// on when the call has returned, no write gets through, and each that does not is a fault.
static _Atomic(volatile char*) place;
static atomic_int is_closed;  // the call has returned
static atomic_long late_writes;
static atomic_long faults;
static __thread sigjmp_buf after_fault;

static void on_fault(int number) {
    (void)number;
    atomic_fetch_add(&faults, 1);
    siglongjmp(after_fault, 1);
}

static void* write_on(void* unused) {
    (void)unused;
    while (!atomic_load(&is_over)) {
        if (sigsetjmp(after_fault, 1) != 0) {
            continue;
        }
        volatile char* at = atomic_load(&place);
        const int was_closed = atomic_load(&is_closed);
        if (at != NULL) {
            *at = 1;
            if (was_closed && atomic_load(&is_closed) && atomic_load(&place) == at) {
                atomic_fetch_add(&late_writes, 1);
            }
        }
    }
    return NULL;
}

#define ROUNDS 40

static void* close_pages(void* unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; ++i) {
        // Now a small page, now a part of a large one.
        const size_t size = i % 4 < 2 ? PAGE : 4096 * PAGE;
        char* pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char* page = pages + size / 2 / PAGE * PAGE;
        *page = 0;
        const long before = atomic_load(&faults);
        atomic_store(&is_closed, 0);
        atomic_store(&place, page);
        while (*(volatile char*)page == 0) {  // the other one is at it
            sched_yield();
        }
        if (i % 2 == 0) {
            mprotect(page, PAGE, PROT_READ);
        } else {
            munmap(page, PAGE);
        }
        atomic_store(&is_closed, 1);
        while (atomic_load(&faults) == before) {
            sched_yield();
        }
        atomic_store(&place, NULL);
        munmap(pages, size);
    }
    atomic_store(&is_over, 1);
    return NULL;
}

static void closed_pages(void) {
    signal(SIGSEGV, on_fault);
    atomic_store(&is_over, 0);
    run_two(close_pages, write_on);
    signal(SIGSEGV, SIG_DFL);
    printf("pages closed %d times: %ld late writes, faults: %s\n", ROUNDS,
           atomic_load(&late_writes), atomic_load(&faults) >= ROUNDS ? "each time" : "too few");
}

// Signals reach threads that compute, on whichever CPU.
static atomic_long taken;

static void on_signal(int number) {
    (void)number;
    atomic_fetch_add(&taken, 1);
}

static void* compute(void* unused) {
    (void)unused;
    while (!atomic_load(&is_over)) {
    }
    return NULL;
}

static void signals(void) {
    signal(SIGUSR1, on_signal);
    atomic_store(&is_over, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, compute, NULL);
    for (long i = 1; i <= 100; ++i) {
        pthread_kill(thread, SIGUSR1);
        while (atomic_load(&taken) < i) {
        }
    }
    atomic_store(&is_over, 1);
    pthread_join(thread, NULL);
    printf("signals to a thread that computes: %ld\n", atomic_load(&taken));
}

// Many threads come and go on all CPUs, with memory of their own.
static void* come_and_go(void* argument) {
    const size_t size = 64 * PAGE;
    char* pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(pages, (int)(long)argument, size);
    long sum = 0;
    for (size_t i = 0; i < size; i += PAGE) {
        sum += pages[i];
    }
    munmap(pages, size);
    return (void*)sum;
}

static void many(void) {
    long sum = 0;
    for (int round = 0; round < 8; ++round) {
        pthread_t threads[8];
        for (long i = 0; i < 8; ++i) {
            pthread_create(&threads[i], NULL, come_and_go, (void*)i);
        }
        for (int i = 0; i < 8; ++i) {
            void* result = NULL;
            pthread_join(threads[i], &result);
            sum += (long)result;
        }
    }
    printf("threads with memory of their own: %ld\n", sum);
}

// A thread that computes does not outlive the program.
int main(int argc, char** argv) {
    patience_ms = argc == 2 ? atol(argv[1]) : 0;
    count();
    at_the_same_time();
    locks();
    closed_pages();
    signals();
    many();
    fflush(stdout);
    atomic_store(&is_over, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, compute, NULL);
    return 7;
}
