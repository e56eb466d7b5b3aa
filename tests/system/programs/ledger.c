/* Counts aloud as tally does, and keeps a ledger of it twice: each count goes to a block of /dev/vda and to the memory's
   table of blocks. Before it writes a block it looks whether that one, and another, are as the table has them.
   Usage: ledger [BLOCKS-PER-COUNT] */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { blocks = 2048, words = 4096 / 8 };
static uint64_t table[blocks];
static uint64_t content[words] __attribute__((aligned(4096)));
static int disk;

static uint64_t read_block(uint64_t block) {
    if (pread(disk, content, sizeof content, (off_t)(block * sizeof content)) != (ssize_t)sizeof content) {
        printf("broken: block %llu cannot be read\n", (unsigned long long)block);
    }
    for (int idx = 1; idx < words; ++idx) {
        if (content[idx] != content[0]) {
            printf("broken: block %llu is torn\n", (unsigned long long)block);
        }
    }
    return content[0];
}

static void check(uint64_t block) {
    const uint64_t found = read_block(block);
    if (found != table[block]) {
        printf("broken: block %llu has %llu and not %llu\n", (unsigned long long)block, (unsigned long long)found,
               (unsigned long long)table[block]);
    }
}

static void write_block(uint64_t block, uint64_t count) {
    for (int idx = 0; idx < words; ++idx) {
        content[idx] = count;
    }
    if (pwrite(disk, content, sizeof content, (off_t)(block * sizeof content)) != (ssize_t)sizeof content) {
        printf("broken: block %llu cannot be written\n", (unsigned long long)block);
    }
    table[block] = count;
}

int main(int argc, char **argv) {
    const struct timespec pause = {0, 20000000};
    const int at_once = argc > 1 ? atoi(argv[1]) : 4;
    uint64_t state = 1;
    disk = open("/dev/vda", O_RDWR);
    uint64_t newest = 0;
    for (uint64_t block = 0; block < blocks; ++block) {
        table[block] = read_block(block);
        newest = table[block] > newest ? table[block] : newest;
    }
    printf("begins with %llu\n", (unsigned long long)newest);
    for (uint64_t count = newest + 1;; ++count) {
        for (int idx = 0; idx < at_once; ++idx) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const uint64_t block = (state >> 33) % blocks;
            check(block);
            check((state >> 13) % blocks);
            write_block(block, count);
        }
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        printf("count=%llu\nalive %lld%09ld\n", (unsigned long long)count, (long long)now.tv_sec, now.tv_nsec);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
}
