// Takes memory, says so, frees it when a line comes, says so, and takes it again after the next line.
// The arguments are "large" (one mapping) or "small" (files of a memory file system, small pages), and how many MiB.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILES 50

static size_t taken;

static void wait_for_line(const char* what) {
    puts(what);
    fflush(stdout);
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL) {
        exit(2);
    }
}

static const char* file_name(int number) {
    static char name[32];
    snprintf(name, sizeof name, "/tmp/file-%d", number);
    return name;
}

static void take_files(char value) {
    static char block[1 << 16];
    memset(block, value, sizeof block);
    for (int i = 0; i < FILES; ++i) {
        FILE* file = fopen(file_name(i), "w");
        for (size_t size = 0; file != NULL && size < taken / FILES; size += sizeof block) {
            if (fwrite(block, 1, sizeof block, file) != sizeof block) {
                exit(3);
            }
        }
        if (file == NULL || fclose(file) != 0) {
            exit(3);
        }
    }
}

static int files_hold(char value) {
    for (int i = 0; i < FILES; ++i) {
        FILE* file = fopen(file_name(i), "r");
        fseek(file, -1, SEEK_END);
        if (fgetc(file) != value) {
            return 0;
        }
        fclose(file);
    }
    return 1;
}

static void* take_mapping(char value) {
    void* at = mmap(NULL, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        exit(3);
    }
    const char* bytes = at;
    for (size_t i = 0; i < taken; i += 512) {
        if (bytes[i] != 0) {
            puts("not zero");
            exit(4);
        }
    }
    return memset(at, value, taken);
}

int main(int argc, char** argv) {
    const int large = argc > 1 && strcmp(argv[1], "large") == 0;
    taken = (argc > 2 ? strtoul(argv[2], NULL, 10) : 200) << 20;
    for (char value = 1; value <= 2; ++value) {
        void* mapping = NULL;
        if (large) {
            mapping = take_mapping(value);
        } else {
            take_files(value);
        }
        wait_for_line("taken");
        if (large) {
            munmap(mapping, taken);
        } else {
            if (!files_hold(value)) {
                return 5;
            }
            for (int i = 0; i < FILES; ++i) {
                unlink(file_name(i));
            }
        }
        wait_for_line("freed");
    }
    return 0;
}
