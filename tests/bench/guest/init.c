// The first program of a guest whose boot is timed: says so, and does nothing more.
#include <unistd.h>

int main(void) {
    static const char word[] = "INIT\n";
    if (write(1, word, sizeof word - 1) < 0) {
        return 1;
    }
    for (;;) {
        pause();
    }
}
