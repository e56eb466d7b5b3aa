// Makes code and runs it, in memory that is writable and executable at once. Without an argument:
// what Linux and Shoal do alike; "own-page": an instruction that writes to the page it lies in, which
// only Linux allows.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { page = 4096, large = 2 << 20, both = PROT_READ | PROT_WRITE | PROT_EXEC };

static unsigned char* map(size_t size) {
    void* at = mmap(NULL, size, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return at;
}

// A function that returns the value: mov eax, value; ret.
static void make(unsigned char* at, int value) {
    *at = 0xB8;
    memcpy(at + 1, &value, sizeof value);
    at[5] = 0xC3;
}

static int call(unsigned char* at) {
    return ((int (*)(void))(void*)at)();
}

// Another thread makes functions in the page while this one calls one there.
static void* make_many(void* at) {
    for (int i = 0; i < 1000; ++i) {
        make((unsigned char*)at + 64 * (1 + i % 60), i);
    }
    return NULL;
}

static void in_turns(void) {
    unsigned char* at = map(page);
    long sum = 0;
    for (int i = 0; i < 1000; ++i) {
        make(at, i);
        sum += call(at) + at[0];
    }
    printf("in turns: %ld\n", sum);
    // Over the whole of 8 MiB, first all written, then all called.
    unsigned char* wide = map(4 * large);
    for (int i = 0; i < 4 * large / page; i += 7) {
        make(wide + i * page + 100, i);
    }
    sum = 0;
    for (int i = 0; i < 4 * large / page; i += 7) {
        sum += call(wide + i * page + 100);
    }
    printf("8 MiB: %ld\n", sum);
    make(at, 7);
    pthread_t thread;
    pthread_create(&thread, NULL, make_many, at);
    sum = 0;
    for (int i = 0; i < 1000; ++i) {
        sum += call(at);
    }
    pthread_join(thread, NULL);
    printf("two threads: %ld %d\n", sum, call(at + 64));
}

// The kernel writes where code was, and reads it.
static void through_the_kernel(void) {
    unsigned char* at = map(page);
    unsigned char code[6];
    int ends[2];
    make(at, 1);
    make(code, 2);
    if (pipe(ends) != 0 || call(at) != 1 || write(ends[1], code, sizeof code) != sizeof code ||
        read(ends[0], at, sizeof code) != sizeof code) {
        printf("the kernel could not write\n");
    }
    printf("read(2): %d\n", call(at));
    if (write(ends[1], at, sizeof code) != sizeof code || read(ends[0], code, sizeof code) != sizeof code) {
        printf("the kernel could not read\n");
    }
    printf("write(2): %d\n", memcmp(at, code, sizeof code));
    const pid_t child = fork();
    if (child == 0) {
        make(at, call(at) + 1);
        _exit(call(at));
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("fork: %d %d\n", WEXITSTATUS(status), call(at));
}

static void with_rights_taken(void) {
    unsigned char* at = map(2 * page);
    make(at, 1);
    make(at + page, 2);
    mprotect(at, page, PROT_READ | PROT_EXEC);
    printf("read-only code: %d %d\n", call(at), call(at + page));
    mprotect(at, 2 * page, both);
    make(at, 3);
    printf("writable again: %d\n", call(at));
    // A file's pages.
    const int code = memfd_create("code", 0);
    unsigned char bytes[6];
    make(bytes, 5);
    if (write(code, bytes, sizeof bytes) != sizeof bytes) {
        perror("write");
    }
    unsigned char* file = mmap(NULL, page, both, MAP_PRIVATE, code, 0);
    printf("file: %d", call(file));
    make(file, 6);
    printf(" %d\n", call(file));
}

int main(int argc, char** argv) {
    if (argc > 1 && strcmp(argv[1], "own-page") == 0) {
        // mov byte ptr [rip + 1], 2; mov al, 1; ret
        static const unsigned char code[] = {0xC6, 0x05, 1, 0, 0, 0, 2, 0xB0, 1, 0xC3};
        unsigned char* at = map(page);
        memcpy(at, code, sizeof code);
        printf("own page: %d\n", call(at) & 0xFF);
        return 0;
    }
    in_turns();
    through_the_kernel();
    with_rights_taken();
    return 0;
}
