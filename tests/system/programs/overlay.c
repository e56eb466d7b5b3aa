// Changes the files of the working directory in the ways that a layered file system gets wrong, and
// prints what it sees.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *what, int result) {
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path) {
    char *names[256];
    int count = 0;
    DIR *directory = opendir(path);
    say(path, directory ? 0 : -1);
    if (directory == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL && count < 256;) {
        names[count++] = strdup(entry->d_name);
    }
    closedir(directory);
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; ++i) {
        printf("  %s\n", names[i]);
    }
}

static void show(const char *path) {
    struct stat status;
    char bytes[64];
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) < 0) {
        say(path, -1);
        return;
    }
    ssize_t count = read(fd, bytes, sizeof bytes);
    printf("%s: %o, %ld links, %ld bytes: %.*s\n", path, status.st_mode, (long)status.st_nlink,
           (long)status.st_size, (int)count, bytes);
    close(fd);
}

static void put(const char *path, int flags, const char *text) {
    int fd = open(path, flags | O_WRONLY, 0644);
    say(path, fd < 0 ? -1 : (int)write(fd, text, strlen(text)));
    close(fd);
}

static void change_files(void) {
    put("dir/append", O_APPEND, "+more");
    show("dir/append");
    put("dir/cut", O_TRUNC, "cut");
    show("dir/cut");
    put("dir/new", O_CREAT | O_EXCL, "new");
    put("dir/cut", O_CREAT | O_EXCL, "no");
    put("linked", 0, "L");
    show("linked");
    show("dir/linked-too");
    say("chmod", chmod("dir/append", 0600));
    show("dir/append");
    say("unlink", unlink("dir/gone"));
    show("dir/gone");
    put("dir/gone", O_CREAT | O_EXCL, "again");
    say("link", link("dir/cut", "sub/link"));
    say("unlink", unlink("dir/cut"));
    show("sub/link");
    list("dir");
}

static void change_directories(void) {
    say("rmdir of a full one", rmdir("sub"));
    say("rename into itself", rename("sub", "sub/deep/x"));
    say("rename onto a full one", rename("dir", "sub"));
    say("rename", rename("sub", "moved"));
    list("moved");
    list("moved/deep");
    show("moved/deep/file");
    say("mkdir", mkdir("sub", 0750));
    list("sub");
    say("rename over a file", rename("moved/deep/file", "dir/gone"));
    show("dir/gone");
    say("rmdir", rmdir("moved/deep"));
    say("symlink", symlink("dir/new", "way"));
    show("way");
    list("moved");
    list("empty");
    say("rmdir", rmdir("empty"));
}

// Removes what it lists while it lists, as rm -r does.
static void empty_large(void) {
    int count = 0;
    DIR *directory = opendir("large");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.') {
            count += unlinkat(dirfd(directory), entry->d_name, 0) == 0;
        }
    }
    closedir(directory);
    printf("removed %d\n", count);
    list("large");
    say("rmdir", rmdir("large"));
}

static void map_and_write(void) {
    int fd = open("mapped", O_RDWR);
    const char *bytes = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    char *own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    printf("mapped: %c %c %d\n", bytes[0], own[4096], bytes[8191]);
    own[4096] = 'O';
    char byte = 0;
    say("pread", (int)pread(fd, &byte, 1, 4096));
    printf("%c %c\n", byte, own[4096]);
    say("pwrite", (int)pwrite(fd, "W", 1, 5000));
    say("pread", (int)pread(fd, &byte, 1, 5000));
    printf("%c\n", byte);
    close(fd);
}

int main(void) {
    change_files();
    change_directories();
    empty_large();
    map_and_write();
    list(".");
    return 0;
}
