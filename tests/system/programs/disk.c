// Writes a pattern to a raw disk from an odd offset, brings it to the medium and reads it back.
// Usage: disk PATH SEED
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define SIZE (3u << 20)

int main(int argc, char **argv) {
    uint64_t size = 0;
    int fd = open(argv[1], O_RDWR);
    if (argc != 3 || fd < 0) {
        printf("open: %s\n", strerror(errno));
        return 1;
    }
    if (ioctl(fd, BLKGETSIZE64, &size) < 0 || (uint64_t)lseek(fd, 0, SEEK_END) != size) {
        printf("size: %s\n", strerror(errno));
        return 1;
    }
    printf("%llu bytes\n", (unsigned long long)size);
    unsigned char *bytes = malloc(SIZE);
    unsigned char *back = malloc(SIZE);
    uint32_t state = (uint32_t)atoi(argv[2]);
    for (size_t i = 0; i < SIZE; ++i) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(state >> 24);
    }
    if (pwrite(fd, bytes, SIZE, 1000) != SIZE || fsync(fd) < 0) {
        printf("write: %s\n", strerror(errno));
        return 1;
    }
    if (pread(fd, back, SIZE, 1000) != SIZE || memcmp(bytes, back, SIZE) != 0) {
        printf("read: %s\n", strerror(errno));
        return 1;
    }
    const ssize_t beyond = pwrite(fd, "x", 1, (off_t)size);
    printf("the end: %zd, %s\n", beyond, strerror(errno));
    close(fd);
    return 0;
}
