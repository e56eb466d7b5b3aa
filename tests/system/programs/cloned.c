// A template for clones: says "ready", waits at /dev/clone, and prints what it was told and random
// bytes. With the argument "again" it waits for a second load afterwards.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    return 1;
}

// One clone's words on a line, and random bytes from both of their sources.
static int tell(void) {
    char words[65536];
    int fd = open("/dev/clone", O_RDONLY);
    if (fd < 0) {
        return fail("/dev/clone");
    }
    struct pollfd watched = {fd, POLLIN, 0};
    if (poll(&watched, 1, 0) != 0) {
        return fail("/dev/clone is readable before there is a clone");
    }
    ssize_t size = 0;
    for (ssize_t count = 1; count > 0; size += count) {
        count = read(fd, words + size, sizeof words - (size_t)size);
        if (count < 0) {
            return fail("read");
        }
    }
    close(fd);
    unsigned char bytes[16];
    fd = open("/dev/urandom", O_RDONLY);
    if (fd < 0 || getrandom(bytes, 8, 0) != 8 || read(fd, bytes + 8, 8) != 8) {
        return fail("random bytes");
    }
    close(fd);
    char line[65536 + 64];
    size_t used = 0;
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(words + at) + 1) {
        used += (size_t)snprintf(line + used, sizeof line - used, "%s ", words + at);
    }
    for (int i = 0; i < 16; ++i) {
        used += (size_t)snprintf(line + used, sizeof line - used, "%02x", bytes[i]);
    }
    printf("%s %ld\n", line, (long)time(NULL));
    return 0;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    unsigned char early[8];
    if (getrandom(early, sizeof early, 0) != sizeof early) {  // so that the generator has a state
        return fail("getrandom");
    }
    printf("ready\n");
    if (argc > 1 && strcmp(argv[1], "again") == 0) {
        return tell() || tell();
    }
    return tell();
}
