// Tries what memory allows. Without an argument: what Linux and Shoal do alike; with one, a single
// thing that only Shoal refuses, or that must kill the program.
#define _GNU_SOURCE
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int expecting;  // a fault now is one that was asked for
static volatile uintptr_t fault_address;
static volatile int handled;

static void on_fault(int number, siginfo_t* info, void* context) {
    (void)context;
    if (!expecting) {
        _exit(3);
    }
    expecting = 0;
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(back, number);
}

static void on_user(int number) {
    handled += number;
}

static const char* name(int number) {
    return number == 0 ? "fine" : number == SIGSEGV ? "SIGSEGV" : number == SIGBUS ? "SIGBUS" : "other";
}

static int try_read(volatile char* at) {
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        expecting = 1;
        (void)*at;
        expecting = 0;
    }
    return number;
}

static int try_write(volatile char* at) {
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        expecting = 1;
        *at = 1;
        expecting = 0;
    }
    return number;
}

static int try_call(char* at) {
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        expecting = 1;
        ((void (*)(void))at)();
        expecting = 0;
    }
    return number;
}

static char* map(size_t size, int protection) {
    char* at = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return at;
}

// What is written to a file shows in its shared mappings.
static void mapped_file(void) {
    const int file = memfd_create("file", 0);
    char bytes[8192];
    memset(bytes, 1, sizeof bytes);
    pwrite(file, bytes, 6000, 0);
    char* shared = mmap(NULL, 5 * 4096, PROT_READ, MAP_SHARED, file, 0);
    printf("shared: %d %d, behind the end: %s\n", shared[0], shared[4096], name(try_read(shared + 8192)));
    pwrite(file, "\2", 1, 10);
    pwrite(file, "\3", 1, 6500);
    printf("written: %d %d, between: %d\n", shared[10], shared[6500], shared[6400]);
    pwrite(file, "\4", 1, 16000);
    printf("a hole: %d, behind it: %d\n", shared[9000], shared[16000]);
    pwrite(file, "\5", 1, 9000);
    printf("no hole: %d\n", shared[9000]);
    ftruncate(file, 5000);
    printf("shorter: %d, gone: %s\n", shared[4500], name(try_read(shared + 8192)));
    ftruncate(file, 20000);
    printf("longer: %d %d %d\n", shared[4500], shared[6500], shared[9000]);
    pwrite(file, "\6", 1, 9001);
    printf("again: %d\n", shared[9001]);
    printf("not to be written: %s %d\n", name(try_write(shared)), mprotect(shared, 4096, PROT_READ));
    close(file);
    printf("closed: %d\n", shared[10]);
    munmap(shared, 5 * 4096);
}

// mremap moves pages with their rights, small and large, a part of a large one, and none.
static void moved_parts(void) {
    const size_t page = 4096;
    const size_t large = 2 << 20;
    char* from = map(6 * large, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < 4 * large; i += page) {
        from[i] = (char)(i / page % 100 + 1);
    }
    mprotect(from + large, page, PROT_READ);
    char* to = map(8 * large, PROT_READ | PROT_WRITE);
    char* moved = mremap(from + large, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    printf("a page: %d %d, its rights: %s %s\n", moved == to, to[0] == (char)(512 % 100 + 1), name(try_read(to)),
           name(try_write(to)));
    printf("its place: %s, its neighbours: %d %d\n", name(try_read(from + large)), from[large - page],
           from[large + page]);
    moved = mremap(from + 2 * large, 3 * large, 3 * large, MREMAP_MAYMOVE | MREMAP_FIXED, to + large + page);
    int same = 1;
    for (size_t i = 0; i < 2 * large; i += page) {
        same &= moved[i] == (char)((2 * large + i) / page % 100 + 1);
    }
    printf("aside: %d, behind: %d, its place: %s\n", same, moved[2 * large], name(try_read(from + 3 * large)));
    printf("to be written: %s %s\n", name(try_write(moved + page)), name(try_write(moved + 3 * large - 1)));
    printf("overlapping: %d\n", mremap(from, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, from + page) == MAP_FAILED);
    munmap(from, 6 * large);
    munmap(to, 8 * large);
}

static void common(void) {
    const size_t page = 4096;
    const size_t large = 2 << 20;
    char* code = map(page, PROT_READ | PROT_WRITE);
    code[0] = (char)0xC3;  // ret
    printf("call writable: %s\n", name(try_call(code)));
    mprotect(code, page, PROT_READ | PROT_EXEC);
    printf("call executable: %s\n", name(try_call(code)));
    printf("write executable: %s\n", name(try_write(code)));
    printf("at the right address: %d\n", fault_address == (uintptr_t)code);
    mprotect(code, page, PROT_NONE);
    printf("read nothing: %s\n", name(try_read(code)));
    mprotect(code, page, PROT_READ);
    printf("read again: %s %d\n", name(try_read(code)), code[0] == (char)0xC3);
    munmap(code, page);
    printf("read unmapped: %s\n", name(try_read(code)));

    char* big = map(8 * large, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < 8 * large; i += page) {
        big[i] = (char)(i / page);
    }
    munmap(big + 3 * page, page);
    mprotect(big + 4 * page, page, PROT_READ);
    printf("hole: %s, neighbours %s %s, read-only %s\n", name(try_write(big + 3 * page)),
           name(try_write(big + 2 * page)), name(try_write(big + 5 * page)), name(try_write(big + 4 * page)));
    printf("kept: %d %d\n", big[4 * page] == 4, big[5 * large] == (char)(5 * large / page));
    madvise(big + 4 * large, large, MADV_DONTNEED);
    printf("discarded: %d\n", big[4 * large + 5 * page]);
    char* moved = mremap(big + 4 * large, 4 * large, 32 * large, MREMAP_MAYMOVE);
    printf("moved: %d %d\n", moved[large] == (char)(5 * large / page), moved[31 * large]);
    munmap(moved, 32 * large);
    // By the system call: musl's sbrk() refuses.
    char* top = (char*)syscall(SYS_brk, 0);
    printf("heap grows: %d\n", (char*)syscall(SYS_brk, top + (1 << 16)) == top + (1 << 16));
    memset(top, 7, 1 << 16);
    printf("heap shrinks: %d\n", (char*)syscall(SYS_brk, top) == top);
    syscall(SYS_brk, top + (1 << 16));
    printf("heap is zero again: %d\n", top[0] + top[(1 << 16) - 1]);

    mapped_file();
    moved_parts();
    const int unknown[] = {MADV_NORMAL, MADV_WILLNEED, MADV_FREE, 18 /* MADV_WIPEONFORK */, 12345};
    char* advised = map(page, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 5; ++i) {
        printf("advice %d: %d\n", unknown[i], i == 3 ? -1 : madvise(advised, page, unknown[i]));
    }

    signal(SIGUSR1, on_user);
    raise(SIGUSR1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    printf("blocked: %d\n", handled == SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("delivered: %d\n", handled == 2 * SIGUSR1);
    volatile double a = 1.5;
    volatile double b = a * 2;
    raise(SIGUSR1);
    printf("floating point survives: %d\n", a * 2 == b);
}

// Instructions that UMIP keeps from ring 3.
static int try_umip(const char* what) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    char bytes[16];
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (c & 1 << 2) == 0) {
        puts("no UMIP");
    } else if (strcmp(what, "sgdt") == 0) {
        __asm__ volatile("sgdt %0" : "=m"(bytes));
    } else if (strcmp(what, "sidt") == 0) {
        __asm__ volatile("sidt %0" : "=m"(bytes));
    } else if (strcmp(what, "str") == 0) {
        __asm__ volatile("str %0" : "=r"(a));
    } else if (strcmp(what, "smsw") == 0) {
        __asm__ volatile("smsw %0" : "=r"(a));
    }
    return 0;
}

int main(int argc, char** argv) {
    const char* what = argc > 1 ? argv[1] : "";
    if (*what == '\0') {
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGBUS, &action, NULL);
        common();
    } else if (strcmp(what, "nub") == 0) {
        *(volatile char*)0x7F8000100000 = 1;
    } else if (strcmp(what, "page-tables") == 0) {
        *(volatile char*)0x7F80001F0000 = 1;
    } else if (strcmp(what, "kernel-text") == 0) {
        for (volatile char* at = (char*)0x7F8000110000;; at += 4096) {
            *at = *at;  // some page of it is text or a table
        }
    } else if (strcmp(what, "read-nub") == 0) {
        (void)*(volatile char*)0x7F8000100000;
    } else if (strcmp(what, "execute-data") == 0) {
        static char code[] = {(char)0xC3};  // ret
        ((void (*)(void))(void*)code)();
    } else if (strcmp(what, "execute-stack") == 0) {
        volatile char code[] = {(char)0xC3};
        ((void (*)(void))(void*)code)();
    } else if (strcmp(what, "write-code") == 0) {
        *(volatile char*)(void*)&main = 1;
    } else if (strcmp(what, "wrmsr") == 0) {
        __asm__ volatile("wrmsr" : : "c"(0xC0000082), "a"(0), "d"(0));
    } else if (strcmp(what, "load-cr3") == 0) {
        __asm__ volatile("mov %0, %%cr3" : : "r"(0UL));
    } else if (strcmp(what, "hlt") == 0) {
        __asm__ volatile("hlt");
    } else if (what[0] == 's') {
        return try_umip(what);
    } else if (strcmp(what, "below-stack") == 0) {
        char here;
        *(volatile char*)((uintptr_t)&here - (9 << 20)) = 1;  // below its 8 MiB
    } else if (strcmp(what, "port") == 0) {
        __asm__ volatile("outb %b0, %w1" : : "a"(0xFE), "d"(0x64));
    } else if (strcmp(what, "fill") == 0 && argc > 3) {
        // Reads a file, so that it is cached, and then takes so many MiB.
        static char bytes[1 << 16];
        FILE* file = fopen(argv[2], "r");
        while (file != NULL && fread(bytes, 1, sizeof bytes, file) == sizeof bytes) {
        }
        for (int left = 16 * atoi(argv[3]); left > 0; --left) {
            memset(malloc(1 << 16), 1, 1 << 16);
        }
        puts("filled");
    } else if (strcmp(what, "move") == 0 && argc > 2) {
        // More than half of the memory goes elsewhere, page by page.
        const size_t size = (size_t)atoi(argv[2]) << 20;
        char* at = map(size, PROT_READ | PROT_WRITE);
        memset(at, 7, size);
        char* target = map(size + 8192, PROT_NONE);
        at = mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target + 4096);
        if (at == MAP_FAILED) {
            return 1;
        }
        for (size_t i = 0; i < size; i += 4096) {
            if (at[i] != 7 || at[i + 4095] != 7) {
                return 2;
            }
        }
        puts("moved");
    } else if (strcmp(what, "exhaust") == 0) {
        for (;;) {
            char* block = malloc(1 << 20);
            if (block == NULL) {
                return 0;
            }
            memset(block, 1, 1 << 20);
        }
    }
    return 0;
}
