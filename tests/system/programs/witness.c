/* witness [LABEL]: says LABEL and the wall clock in ns, some 50 times a second, for ever: when it ran and when it
   stood still can be told from what it said. */
#include <stdio.h>
#include <time.h>

int main(int argc, char** argv) {
    const struct timespec pause = {0, 20000000};
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        printf("%s %lld%09ld\n", argc > 1 ? argv[1] : "alive", (long long)now.tv_sec, now.tv_nsec);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
}
