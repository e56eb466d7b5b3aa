// wall_clock COUNT: prints CLOCK_REALTIME in nanoseconds, so many times in a row.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
    for (int left = argc == 2 ? atoi(argv[1]) : 0; left > 0; left--) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        printf("%jd\n", (intmax_t)now.tv_sec * 1000000000 + now.tv_nsec);
        fflush(stdout);
    }
    return 0;
}
