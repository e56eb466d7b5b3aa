// Counts in one thread while another reads a slow file, by read(2) ("read") or by touching its pages
// ("map"): says whether the counting went on, and the sum of the bytes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SIZE (1UL << 20)

static volatile unsigned long count;
static volatile int stop;

static void* count_up(void* unused) {
    (void)unused;
    while (!stop) {
        ++count;
    }
    return NULL;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char** argv) {
    const int fd = argc > 2 ? open(argv[2], O_RDONLY) : -1;
    if (fd < 0) {
        perror("open");
        return 1;
    }
    // As fast as it counts alone.
    pthread_t other;
    pthread_create(&other, NULL, count_up, NULL);
    double start = now();
    struct timespec tenth = {0, 100000000};
    nanosleep(&tenth, NULL);
    const double alone = (double)count / (now() - start);
    start = now();
    const unsigned long before = count;
    unsigned long sum = 0;
    if (strcmp(argv[1], "read") == 0) {
        static unsigned char bytes[SIZE];
        size_t done = 0;
        while (done < SIZE) {
            const ssize_t got = read(fd, bytes + done, 65536);
            if (got <= 0) {
                perror("read");
                return 1;
            }
            done += (size_t)got;
        }
        for (size_t i = 0; i < SIZE; ++i) {
            sum += bytes[i];
        }
    } else {
        const unsigned char* bytes = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
        for (size_t i = 0; i < SIZE; ++i) {
            sum += bytes[i];
        }
    }
    const double seconds = now() - start;
    const double meanwhile = (double)(count - before) / seconds;
    stop = 1;
    pthread_join(other, NULL);
    printf("sum %lu, slow %d, counted on %d\n", sum, seconds > 0.5, meanwhile > alone / 2);
    fprintf(stderr, "%.2f s, %.2f of the speed alone\n", seconds, meanwhile / alone);
    return 0;
}
