/* Counts aloud, once for each byte of its input, and checks a pattern that fills 8 MiB: one thread
 * the lower half, another the upper one. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { words = 1 << 20, half = words / 2 };
static uint64_t memory[words];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t wanted; /* generations that the other thread is to write */
static uint64_t written;
static int is_other_intact = 1;

static uint64_t pattern(uint64_t idx, uint64_t generation) {
    return (idx + generation) * 0x9E3779B97F4A7C15ULL;
}

/* Checks the generation before, if there is one, and writes this one. */
static int renew(uint64_t first, uint64_t generation) {
    int is_intact = 1;
    for (uint64_t idx = first; idx < first + half; ++idx) {
        is_intact &= generation == 0 || memory[idx] == pattern(idx, generation - 1);
        memory[idx] = pattern(idx, generation);
    }
    return is_intact;
}

static void* renew_upper(void* unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (written == wanted) {
            pthread_cond_wait(&changed, &mutex);
        }
        pthread_mutex_unlock(&mutex);
        const int is_intact = renew(half, written);
        pthread_mutex_lock(&mutex);
        is_other_intact &= is_intact;
        ++written;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

static int renew_all(uint64_t generation) {
    pthread_mutex_lock(&mutex);
    wanted = generation + 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    int is_intact = renew(0, generation);
    pthread_mutex_lock(&mutex);
    while (written != wanted) {
        pthread_cond_wait(&changed, &mutex);
    }
    is_intact &= is_other_intact;
    pthread_mutex_unlock(&mutex);
    return is_intact;
}

int main(void) {
    pthread_t other;
    pthread_create(&other, NULL, renew_upper, NULL);
    double floating = 0;
    for (uint64_t generation = 0;; ++generation) {
        if (!renew_all(generation)) {
            printf("broken after %llu\n", (unsigned long long)generation);
            return 1;
        }
        floating += 0.5;
        printf("count %llu %.1f\n", (unsigned long long)generation, floating);
        fflush(stdout);
        char byte;
        if (read(0, &byte, 1) != 1 || byte == 'q') {
            return 7;
        }
    }
}
