// The vDSO's functions against the system calls. Without an argument: all of them, from threads and
// processes, alike on Linux and Shoal. "count N": N looks at each clock and nothing else. "watch": a
// line for each byte of input, whether time went on and both agree.
#define _GNU_SOURCE
#include <elf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int (*vdso_clock_gettime)(clockid_t, struct timespec*);
static int (*vdso_clock_getres)(clockid_t, struct timespec*);
static int (*vdso_gettimeofday)(struct timeval*, void*);
static time_t (*vdso_time)(time_t*);
static int (*vdso_getcpu)(unsigned*, unsigned*, void*);

// As a C library looks it up: by the hash table's count, name and version.
static void* find(const char* name) {
    const char* base = (const char*)getauxval(AT_SYSINFO_EHDR);
    if (base == NULL) {
        return NULL;
    }
    const Elf64_Ehdr* header = (const void*)base;
    const Elf64_Phdr* segment = (const void*)(base + header->e_phoff);
    const char* load = base;
    const Elf64_Dyn* dynamic = NULL;
    for (int i = 0; i < header->e_phnum; ++i) {
        if (segment[i].p_type == PT_LOAD) {
            load = base + segment[i].p_offset - segment[i].p_vaddr;
        } else if (segment[i].p_type == PT_DYNAMIC) {
            dynamic = (const void*)(base + segment[i].p_offset);
        }
    }
    const void* tables[DT_NUM] = {0};
    const uint16_t* versions = NULL;
    const Elf64_Verdef* definitions = NULL;
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; ++dynamic) {
        const void* at = load + dynamic->d_un.d_ptr;
        if (dynamic->d_tag < DT_NUM) {
            tables[dynamic->d_tag] = at;
        } else if (dynamic->d_tag == DT_VERSYM) {
            versions = at;
        } else if (dynamic->d_tag == DT_VERDEF) {
            definitions = at;
        }
    }
    const char* strings = tables[DT_STRTAB];
    const Elf64_Sym* symbols = tables[DT_SYMTAB];
    const uint32_t* hash = tables[DT_HASH];
    for (uint32_t i = 0; hash != NULL && i < hash[1]; ++i) {
        if (symbols[i].st_shndx == SHN_UNDEF || strcmp(strings + symbols[i].st_name, name) != 0) {
            continue;
        }
        for (const Elf64_Verdef* version = definitions;; version = (const void*)((const char*)version + version->vd_next)) {
            const Elf64_Verdaux* aux = (const void*)((const char*)version + version->vd_aux);
            if (version->vd_ndx == (versions[i] & 0x7FFF) && strcmp(strings + aux->vda_name, "LINUX_2.6") == 0) {
                return (void*)(load + symbols[i].st_value);
            }
            if (version->vd_next == 0) {
                break;
            }
        }
    }
    return NULL;
}

static int64_t ns_of(const struct timespec* time) {
    return time->tv_sec * 1000000000 + time->tv_nsec;
}

static int64_t by_call(clockid_t clock) {
    struct timespec time;
    return syscall(SYS_clock_gettime, clock, &time) == 0 ? ns_of(&time) : -1;
}

static int64_t by_vdso(clockid_t clock) {
    struct timespec time;
    return vdso_clock_gettime(clock, &time) == 0 ? ns_of(&time) : -1;
}

// Each reading lies between those before and after it, whoever took them.
static int agrees(clockid_t clock) {
    for (int i = 0; i < 2000; ++i) {
        const int64_t before = by_call(clock);
        const int64_t between = by_vdso(clock);
        const int64_t after = by_call(clock);
        if (before < 0 || between < before || after < between) {
            printf("%d: %lld %lld %lld\n", clock, (long long)before, (long long)between, (long long)after);
            return 0;
        }
    }
    return 1;
}

static int others_agree(void) {
    for (int i = 0; i < 2000; ++i) {
        struct timeval before, between, after;
        time_t seconds = 0;
        syscall(SYS_gettimeofday, &before, NULL);
        vdso_gettimeofday(&between, NULL);
        syscall(SYS_gettimeofday, &after, NULL);
        const time_t told = vdso_time(&seconds);
        const time_t last = syscall(SYS_time, NULL);
        // time(2) may lag behind by a tick of Linux's.
        if (timercmp(&between, &before, <) || timercmp(&after, &between, <) || told != seconds ||
            told < before.tv_sec - 1 || told > last + 1) {
            return 0;
        }
    }
    unsigned cpu = 99, node = 99;
    return vdso_getcpu(&cpu, &node, NULL) == 0 && cpu < 99 && node < 99 && vdso_getcpu(NULL, NULL, NULL) == 0;
}

enum { threads = 4, rounds = 50000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t last_seen;
static int went_back;

static void* look(void* unused) {
    for (int i = 0; i < rounds; ++i) {
        pthread_mutex_lock(&lock);
        const int64_t now = by_vdso(CLOCK_MONOTONIC);
        went_back += now < last_seen;
        last_seen = now;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static int in_child(void) {
    const int64_t before = by_vdso(CLOCK_MONOTONIC);
    const pid_t child = fork();
    if (child == 0) {
        const int fine = agrees(CLOCK_MONOTONIC) && by_vdso(CLOCK_MONOTONIC) >= before;
        // Its own from now on.
        char* page = (char*)getauxval(AT_SYSINFO_EHDR);
        if (mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0) {
            memset(page, 0xCC, 4096);
        }
        _exit(fine ? 7 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) == 7 && agrees(CLOCK_MONOTONIC);
}

static void count(long number) {
    struct timespec time;
    struct timeval day;
    for (long i = 0; i < number; ++i) {
        clock_gettime(CLOCK_MONOTONIC, &time);
        clock_gettime(CLOCK_REALTIME, &time);
        gettimeofday(&day, NULL);
        vdso_time(NULL);
        vdso_getcpu(NULL, NULL, NULL);
    }
    printf("counted\n");
}

static void watch(void) {
    int64_t before = 0;
    char byte = 0;
    do {
        const int64_t now = by_vdso(CLOCK_MONOTONIC);
        printf("watch %d %d\n", now > before, agrees(CLOCK_MONOTONIC) && agrees(CLOCK_REALTIME));
        fflush(stdout);
        before = now;
    } while (read(0, &byte, 1) == 1 && byte != 'q');
}

int main(int argc, char** argv) {
    vdso_clock_gettime = find("__vdso_clock_gettime");
    vdso_clock_getres = find("__vdso_clock_getres");
    vdso_gettimeofday = find("__vdso_gettimeofday");
    vdso_time = find("__vdso_time");
    vdso_getcpu = find("__vdso_getcpu");
    if (!vdso_clock_gettime || !vdso_clock_getres || !vdso_gettimeofday || !vdso_time || !vdso_getcpu) {
        printf("there is no vDSO, or not all of it\n");
        return 1;
    }
    if (argc > 2 && strcmp(argv[1], "count") == 0) {
        count(atol(argv[2]));
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "watch") == 0) {
        watch();
        return 7;
    }
    printf("clocks: %d %d %d %d %d\n", agrees(CLOCK_MONOTONIC), agrees(CLOCK_REALTIME), agrees(CLOCK_MONOTONIC_RAW),
           agrees(CLOCK_BOOTTIME), agrees(CLOCK_TAI));
    printf("of their own: %d %d\n", agrees(CLOCK_PROCESS_CPUTIME_ID), agrees(CLOCK_THREAD_CPUTIME_ID));
    struct timespec time = {-1, -1};
    printf("unknown: %d %d\n", vdso_clock_gettime(77, &time), vdso_clock_gettime(-77, &time) < 0);
    const int known = vdso_clock_getres(CLOCK_MONOTONIC, &time);
    printf("resolution: %d %ld %ld\n", known, (long)time.tv_sec, time.tv_nsec);
    printf("others: %d\n", others_agree());
    pthread_t all[threads];
    for (int i = 0; i < threads; ++i) {
        pthread_create(&all[i], NULL, look, NULL);
    }
    for (int i = 0; i < threads; ++i) {
        pthread_join(all[i], NULL);
    }
    printf("threads: %d\n", went_back);
    printf("child: %d\n", in_child());
    return 0;
}
