/* witness [LABEL [MS]]: says LABEL and the wall clock in ns, every MS milliseconds (20), for ever: when it ran and when
   it stood still can be told from what it said. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
    const struct timespec pause = {0, (argc > 2 ? atoi(argv[2]) : 20) * 1000000L};
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        printf("%s %lld%09ld\n", argc > 1 ? argv[1] : "alive", (long long)now.tv_sec, now.tv_nsec);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
}
