// Says that it runs, then never ends.
#include <unistd.h>

int main(void) {
    if (write(1, "spinning\n", 9) != 9) {
        return 1;
    }
    for (volatile unsigned long turn = 0;; ++turn) {
    }
}
