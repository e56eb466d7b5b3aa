// Threads read the same disk at once, each at random places: says how many reads gave what was written
// there. Every 8 bytes of the disk are their own offset.
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 6
#define BYTES 4096

static const char* path;
static int reads;
static off_t blocks;
static atomic_int good;

static void* read_blocks(void* seed) {
    const int fd = open(path, O_RDONLY);
    unsigned state = (unsigned)(uintptr_t)seed;
    static _Thread_local uint64_t words[BYTES / 8];
    for (int i = 0; i < reads; ++i) {
        const off_t at = rand_r(&state) % blocks * BYTES;
        if (pread(fd, words, BYTES, at) != BYTES) {
            continue;
        }
        int same = 1;
        for (int word = 0; word < BYTES / 8; ++word) {
            same &= words[word] == (uint64_t)at + 8 * (uint64_t)word;
        }
        good += same;
    }
    close(fd);
    return NULL;
}

int main(int argc, char** argv) {
    path = argc > 1 ? argv[1] : "";
    reads = argc > 2 ? atoi(argv[2]) : 300;
    const int fd = open(path, O_RDONLY);
    blocks = lseek(fd, 0, SEEK_END) / BYTES;
    if (fd < 0 || blocks <= 0) {
        perror("open");
        return 1;
    }
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; ++i) {
        pthread_create(&threads[i], NULL, read_blocks, (void*)(i + 1));
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], NULL);
    }
    printf("%d of %d reads are right\n", good, THREADS * reads);
    return 0;
}
