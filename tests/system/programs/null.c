// Dereferences null, after some output that must not be lost.
#include <stdio.h>

int main(void) {
    printf("before\n");
    fflush(stdout);
    volatile int *nothing = 0;
    *nothing = 1;
    printf("after\n");
    return 0;
}
