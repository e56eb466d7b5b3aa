// A template for clones: fills MIB of its memory, waits at /dev/clone, says "answer" and ends, or
// with a second word stays.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const size_t size = argc > 1 ? (size_t)atoi(argv[1]) << 20 : 0;
    volatile uint64_t *memory = malloc(size + 8);
    for (size_t idx = 0; memory != NULL && idx < size / 8; ++idx) {
        memory[idx] = idx * 0x9E3779B97F4A7C15 + 1;
    }
    const int fd = open("/dev/clone", O_RDONLY);
    char words[64];
    if (memory == NULL || fd < 0 || read(fd, words, sizeof words) < 0 ||
        write(1, "answer\n", 7) != 7) {
        return 1;
    }
    if (argc > 2) {
        pause();
    }
    return 0;
}
