/* Counts aloud, some 50 times a second, for ever, each time with the wall clock in ns; and renews a part of a pattern
   that fills 4 MiB, having checked the part that it wrote longest ago. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { parts = 64, words = 8192 };
static uint64_t memory[parts][words];

int main(void) {
    const struct timespec pause = {0, 20000000};
    for (uint64_t count = 1;; ++count) {
        uint64_t* part = memory[count % parts];
        const uint64_t expected = count > parts ? count - parts : 0;
        for (int idx = 0; idx < words; ++idx) {
            if (part[idx] != expected) {
                printf("broken\n");
            }
            part[idx] = count;
        }
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        printf("count=%llu\nalive %lld%09ld\n", (unsigned long long)count, (long long)now.tv_sec, now.tv_nsec);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
}
