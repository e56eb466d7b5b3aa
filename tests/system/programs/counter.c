/* Counts aloud, once for each byte of its input, and checks a pattern that fills 8 MiB. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { words = 1 << 20 };
static uint64_t memory[words];

static uint64_t pattern(uint64_t idx, uint64_t generation) {
    return (idx + generation) * 0x9E3779B97F4A7C15ULL;
}

static int is_intact(uint64_t generation) {
    for (uint64_t idx = 0; idx < words; ++idx) {
        if (memory[idx] != pattern(idx, generation)) {
            return 0;
        }
    }
    return 1;
}

int main(void) {
    double floating = 0;
    for (uint64_t generation = 0;; ++generation) {
        if (generation > 0 && !is_intact(generation - 1)) {
            printf("broken after %llu\n", (unsigned long long)generation);
            return 1;
        }
        for (uint64_t idx = 0; idx < words; ++idx) {
            memory[idx] = pattern(idx, generation);
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
