// A C program on musl: arguments, environment, memory and files in the working directory.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void show_error(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
}

static void use_memory(void) {
    unsigned long sum = 0;
    for (size_t size = 1; size < (16u << 20); size *= 3) {
        unsigned char *block = malloc(size);
        memset(block, (int)(size & 0xFF), size);
        block = realloc(block, size * 2);
        sum += block[size - 1];
        free(block);
    }
    unsigned char *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; at < 1 << 20; at += 4096) {
        sum += map[at];
        map[at] = 1;
    }
    const int protected = mprotect(map, 4096, PROT_READ);
    sum += map[0];
    printf("memory %lu %d %d\n", sum, protected, munmap(map, 1 << 20));
}

static void use_files(void) {
    mkdir("folder", 0755);
    FILE *file = fopen("folder/a", "w+");
    for (int line = 0; line < 1000; ++line) {
        fprintf(file, "line %d of 1000, %.3f\n", line, line / 7.0);
    }
    fseek(file, 100, SEEK_SET);
    char text[32];
    printf("at 100: %s", fgets(text, sizeof text, file));
    fclose(file);
    rename("folder/a", "folder/b");
    int fd = open("folder/b", O_RDWR);
    struct stat status;
    fstat(fd, &status);
    printf("size %lld mode %o\n", (long long)status.st_size, status.st_mode);
    ftruncate(fd, 64);
    char first[10] = {0}, second[10] = {0};
    struct iovec parts[2] = {{first, 9}, {second, 9}};
    printf("readv %zd [%s] [%s]\n", readv(fd, parts, 2), first, second);
    printf("pread %zd end %lld\n", pread(fd, text, sizeof text, 60), (long long)lseek(fd, 0, SEEK_END));
    close(fd);
    DIR *dir = opendir("folder");
    int names = 0;
    while (readdir(dir) != NULL) {
        ++names;
    }
    closedir(dir);
    printf("names %d rmdir %d", names, rmdir("folder"));
    show_error("");
    unlink("folder/b");
    printf("rmdir %d\n", rmdir("folder"));
    if (open("missing", O_RDONLY) < 0) {
        show_error("missing");
    }
    if (write(99, "x", 1) < 0) {
        show_error("descriptor 99");
    }
}

int main(int argc, char **argv) {
    for (int idx = 1; idx < argc; ++idx) {
        printf("argument %d [%s]\n", idx, argv[idx]);
    }
    const char *word = getenv("WORD");
    printf("WORD [%s]\n", word == NULL ? "none" : word);
    use_memory();
    use_files();
    fprintf(stderr, "this goes to stderr\n");
    return 42;
}
