/* generations MIB MB_PER_S [DISK] [:PORT] [xTHREADS]: fills so much memory with a pattern of generation numbers, at that
   rate (0: once), checks it for ever, and ticks aloud every 5 ms. "broken ..." and exit code 1 when a word is not
   what was written. A line on stdin is answered with "gap N", the longest time in us between two looks at
   the clock since the last answer, so that a standstill shows; c with "checked" once each page has been checked
   since; q ends it. With a disk of 4 MiB, each tick also writes a block and reads another, and checks what was read
   64 ticks before. With a port, who connects there is sent a number of 8 bytes each millisecond, the next one each
   time. Several threads share memory and rate; the first one does the rest. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { page_words = 512, page_bytes = 4096, tick_us = 5000, number_us = 1000, disk_blocks = 1024, slots = 64, most_threads = 8 };

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t pattern(uint64_t idx, uint64_t generation) {
    return (idx + 1) * 0x9E3779B97F4A7C15ULL ^ generation;
}

/* Every word of a page has its generation; those of a page are equal. */
static void write_page(volatile uint64_t* page, uint64_t first, uint64_t generation) {
    for (uint64_t idx = 0; idx < page_words; ++idx) {
        page[idx] = pattern(first + idx, generation);
    }
}

static int is_intact(const volatile uint64_t* page, uint64_t first, uint64_t generation) {
    for (uint64_t idx = 0; idx < page_words; ++idx) {
        if (page[idx] != pattern(first + idx, generation)) {
            return 0;
        }
    }
    return 1;
}

static uint64_t longest_gap_us;
static uint64_t last_look_us;

static uint64_t look(void) {
    const uint64_t now = now_us();
    if (last_look_us != 0 && now - last_look_us > longest_gap_us) {
        longest_gap_us = now - last_look_us;
    }
    return last_look_us = now;
}

/* What one thread writes and checks. */
struct part {
    uint64_t* memory;
    uint32_t* generations;
    uint64_t first, pages; /* page numbers, in all the memory */
    uint64_t start_us, written;
    volatile uint64_t checked;
    uint64_t asked; /* what `checked` was when the answer was asked for */
};

static struct part parts[most_threads];
static uint64_t threads = 1;
static uint64_t bytes_per_us; /* MB a second, of all threads */

static int is_asked;

static void answer_once_checked(void) {
    for (uint64_t idx = 0; idx < threads; ++idx) {
        if (!is_asked || parts[idx].checked < parts[idx].asked + parts[idx].pages) {
            return;
        }
    }
    is_asked = 0;
    printf("checked\n");
    fflush(stdout);
}

static void answer(void) {
    struct pollfd input = {0, POLLIN, 0};
    char byte;
    if (poll(&input, 1, 0) <= 0) {
        return;
    }
    if (read(0, &byte, 1) != 1 || byte == 'q') {
        exit(7);
    }
    if (byte == '\n') {
        printf("gap %llu\n", (unsigned long long)longest_gap_us);
        fflush(stdout);
        longest_gap_us = 0;
    } else if (byte == 'c') {
        is_asked = 1;
        for (uint64_t idx = 0; idx < threads; ++idx) {
            parts[idx].asked = parts[idx].checked + 1; /* that page may have been looked at before */
        }
    }
}

static _Alignas(4096) uint64_t to_write[page_words];
static _Alignas(4096) uint64_t read_before[slots][page_words];
static uint64_t block_in[slots], generation_in[slots];
static uint64_t on_disk[disk_blocks];

static void use_disk(int disk, uint64_t tick) {
    const uint64_t slot = tick % slots;
    if (tick >= slots && !is_intact(read_before[slot], block_in[slot] * page_words, generation_in[slot])) {
        printf("broken at disk block %llu\n", (unsigned long long)block_in[slot]);
        exit(1);
    }
    const uint64_t written = tick * 7 % disk_blocks;
    write_page(to_write, written * page_words, ++on_disk[written]);
    const uint64_t other = tick < disk_blocks ? written : tick * 31 % disk_blocks;
    if (pwrite(disk, to_write, page_bytes, (off_t)(written * page_bytes)) != page_bytes ||
        pread(disk, read_before[slot], page_bytes, (off_t)(other * page_bytes)) != page_bytes) {
        printf("broken disk\n");
        exit(1);
    }
    block_in[slot] = other;
    generation_in[slot] = on_disk[other];
}

static int listen_at(const char* port) {
    const struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    return bind(listener, (const struct sockaddr*)&here, sizeof here) == 0 && listen(listener, 1) == 0 ? listener : -1;
}

/* What the peer has not made room for is not left out: it is sent later. */
static void send_number(int listener, uint64_t now) {
    static int peer = -1;
    static uint64_t number, next_us;
    if (peer < 0) {
        const int one = 1;
        peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    } else if (now >= next_us) {
        if (send(peer, &number, sizeof number, MSG_NOSIGNAL) == sizeof number) {
            ++number;
        }
        next_us = now + number_us;
    }
}

static void write_pages(struct part* part, int count) {
    while (count-- > 0) {
        const uint64_t idx = part->written++ % part->pages;
        write_page(part->memory + idx * page_words, (part->first + idx) * page_words, ++part->generations[idx]);
    }
}

static void check_page(struct part* part) {
    const uint64_t idx = part->checked % part->pages;
    if (!is_intact(part->memory + idx * page_words, (part->first + idx) * page_words, part->generations[idx])) {
        printf("broken at page %llu, generation %u\n", (unsigned long long)(part->first + idx), part->generations[idx]);
        fflush(stdout);
        _exit(1);
    }
    ++part->checked;
}

/* Checks a page, and writes some, or checks more and sleeps. */
static void work(struct part* part, uint64_t now) {
    check_page(part);
    const uint64_t wanted = (now - part->start_us) * bytes_per_us / threads, done = part->written * page_bytes;
    if (done >= wanted) {
        for (int count = 0; count < 3; ++count) {
            check_page(part);
        }
        const struct timespec nap = {0, 200000};
        nanosleep(&nap, NULL);
        return;
    }
    if (wanted - done > bytes_per_us * 20000 / threads) {
        part->written = wanted / page_bytes; /* behind by a standstill: it does not make up for it */
    }
    write_pages(part, 16);
}

static void* work_for_ever(void* part) {
    for (;;) {
        work(part, now_us());
    }
    return NULL;
}

static int fill(struct part* part, uint64_t idx, uint64_t pages) {
    part->first = pages * idx / threads;
    part->pages = pages * (idx + 1) / threads - part->first;
    part->memory = malloc(part->pages * page_bytes);
    part->generations = calloc(part->pages, sizeof *part->generations);
    if (part->pages == 0 || part->memory == NULL || part->generations == NULL) {
        return 0;
    }
    for (uint64_t page = 0; page < part->pages; ++page) {
        write_page(part->memory + page * page_words, (part->first + page) * page_words, 0);
    }
    part->start_us = now_us();
    return 1;
}

int main(int argc, char** argv) {
    int listener = -1, disk = -1;
    for (int idx = 3; idx < argc; ++idx) {
        if (argv[idx][0] == 'x') {
            threads = strtoull(argv[idx] + 1, NULL, 10);
        } else if ((argv[idx][0] == ':' ? (listener = listen_at(argv[idx] + 1)) : (disk = open(argv[idx], O_RDWR))) < 0) {
            return 2;
        }
    }
    if (argc < 3 || threads < 1 || threads > most_threads) {
        return 2;
    }
    bytes_per_us = strtoull(argv[2], NULL, 10);
    for (uint64_t idx = 0; idx < threads; ++idx) {
        if (!fill(parts + idx, idx, strtoull(argv[1], NULL, 10) * 256)) {
            return 3;
        }
    }
    for (uint64_t idx = 1; idx < threads; ++idx) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work_for_ever, parts + idx) != 0) {
            return 4;
        }
    }
    uint64_t ticks = 0, next_tick_us = look();
    for (;;) {
        const uint64_t now = look();
        if (listener >= 0) {
            send_number(listener, now);
        }
        if (now >= next_tick_us) {
            if (disk >= 0) {
                use_disk(disk, ticks);
            }
            printf("tick %llu\n", (unsigned long long)ticks++);
            fflush(stdout);
            next_tick_us = now + tick_us;
            answer();
            answer_once_checked();
        }
        work(parts, now);
    }
}
