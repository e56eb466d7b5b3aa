// direct_io DEVICE MIB: writes random bytes to the beginning of a disk and reads them back into another buffer, both past
// the page cache. Prints the lowest and the highest physical address that the disk was given, in MiB.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum { page_bytes = 4096, call_bytes = 1 << 20 };

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static char* make_buffer(size_t size) {
    char* buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (buffer == MAP_FAILED) {
        fail("mmap");
    }
    return buffer;
}

// /proc/self/pagemap: 8 bytes for each page, bits 0 to 54 are the number of its frame.
static uint64_t physical(int pagemap, const char* at) {
    uint64_t entry = 0;
    if (pread(pagemap, &entry, sizeof entry, (off_t)((uintptr_t)at / page_bytes * sizeof entry)) != sizeof entry) {
        fail("/proc/self/pagemap");
    }
    return (entry & ((1ULL << 55) - 1)) * page_bytes;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        return 2;
    }
    size_t size = (size_t)atoi(argv[2]) << 20;
    int disk = open(argv[1], O_RDWR | O_DIRECT);
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    if (disk < 0 || pagemap < 0) {
        fail("open");
    }
    char* written = make_buffer(size);
    char* back = make_buffer(size);
    for (size_t done = 0; done < size; done += 256) {  // so much comes whole
        if (getrandom(written + done, 256, 0) != 256) {
            fail("getrandom");
        }
    }
    for (size_t done = 0; done < size; done += call_bytes) {
        if (pwrite(disk, written + done, call_bytes, (off_t)done) != call_bytes) {
            fail("write");
        }
    }
    if (fsync(disk) != 0) {
        fail("fsync");
    }
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;
    for (size_t done = 0; done < size; done += call_bytes) {
        if (pread(disk, back + done, call_bytes, (off_t)done) != call_bytes) {
            fail("read");
        }
    }
    for (size_t done = 0; done < size; done += page_bytes) {
        uint64_t places[] = {physical(pagemap, written + done), physical(pagemap, back + done)};
        for (int number = 0; number < 2; ++number) {
            lowest = places[number] < lowest ? places[number] : lowest;
            highest = places[number] > highest ? places[number] : highest;
        }
    }
    if (memcmp(written, back, size) != 0) {
        fprintf(stderr, "other bytes came back\n");
        return 1;
    }
    printf("%llu %llu\n", (unsigned long long)lowest >> 20, (unsigned long long)highest >> 20);
    return 0;
}
