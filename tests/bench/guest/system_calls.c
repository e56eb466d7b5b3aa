// Cycles of system calls, the least of many batches: what nobody disturbed.
//
//   system_calls
//
// Prints "NAME CYCLES" lines: calls through the C library, as programs make them, and one through an
// instruction that the unikernel leaves as it is.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { batch = 500, batches = 60 };

static int zeros;
static int null;
static char byte[1];

static void by_getpid(void) {
    syscall(SYS_getpid);
}

static void by_read(void) {
    if (read(zeros, byte, 1) != 1) {
        _exit(1);
    }
}

static void by_write(void) {
    if (write(null, byte, 1) != 1) {
        _exit(1);
    }
}

static void by_clock_gettime(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
}

// With a nop behind it, which is too short to be replaced.
static void by_instruction(void) {
    long result = SYS_getpid;
    __asm__ volatile("syscall; nop; nop" : "+a"(result) : : "rcx", "r11", "memory");
}

static double least(void (*call)(void)) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < batches; ++i) {
        const uint64_t start = __rdtsc();
        for (int j = 0; j < batch; ++j) {
            call();
        }
        const uint64_t took = __rdtsc() - start;
        best = took < best ? took : best;
    }
    return (double)best / batch;
}

int main(void) {
    zeros = open("/dev/zero", O_RDONLY);
    null = open("/dev/null", O_WRONLY);
    if (zeros < 0 || null < 0) {
        return 1;
    }
    printf("getpid %.1f\n", least(by_getpid));
    printf("read %.1f\n", least(by_read));
    printf("write %.1f\n", least(by_write));
    printf("clock_gettime %.1f\n", least(by_clock_gettime));
    printf("getpid,unchanged %.1f\n", least(by_instruction));
    return 0;
}
