// Loads a network by TCP, both ends of it. `net serve ADDRESS PORT` on the host;
// `net send|receive|echo ADDRESS PORT SECONDS` in the guest, which prints how many bytes went to the
// server or came from it, or how many one-byte questions it answered, and in how many microseconds.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char data[256 << 10];

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int tcp_socket(void) {
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
        fail("socket");
    }
    return fd;
}

static struct sockaddr_in address_of(char** words) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(words[1]))};
    if (inet_pton(AF_INET, words[0], &address.sin_addr) != 1) {
        fprintf(stderr, "net: %s is no address\n", words[0]);
        exit(2);
    }
    return address;
}

static void drain(int fd) {
    while (read(fd, data, sizeof data) > 0) {
    }
}

// The client's first byte is that of its verb: what it is going to do.
static void answer(int fd) {
    char verb = 0;
    if (read(fd, &verb, 1) != 1) {
        return;
    }
    if (verb == 's') {
        drain(fd);
    }
    while (verb == 'r' && write(fd, data, sizeof data) > 0) {
    }
    while (verb == 'e' && read(fd, data, 1) == 1 && write(fd, data, 1) == 1) {
    }
}

static int serve(struct sockaddr_in address) {
    int on = 1;
    int listener = tcp_socket();
    if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 8) != 0) {
        fail("listen");
    }
    signal(SIGCHLD, SIG_IGN);
    puts("listening");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            fail("accept");
        }
        if (fork() == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            answer(fd);
            return 0;
        }
        close(fd);
    }
}

static uint64_t step(int fd, char verb) {
    ssize_t count;
    switch (verb) {
        case 's': count = write(fd, data, sizeof data); break;
        case 'r': count = read(fd, data, sizeof data); break;
        default: count = write(fd, data, 1) == 1 ? read(fd, data, 1) : -1;
    }
    if (count <= 0) {
        fail("the connection");
    }
    return (uint64_t)count;
}

static int load(char verb, struct sockaddr_in address, uint64_t seconds) {
    int fd = tcp_socket();
    if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0 || write(fd, &verb, 1) != 1) {
        fail("connect");
    }
    uint64_t begin = now_us();
    uint64_t sum = 0;
    while (now_us() - begin < seconds * 1000000) {
        sum += step(fd, verb);
    }
    if (verb == 's') {
        // Until the server has read all of it.
        shutdown(fd, SHUT_WR);
        drain(fd);
    }
    printf("%llu %llu\n", (unsigned long long)sum, (unsigned long long)(now_us() - begin));
    return 0;
}

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        return serve(address_of(argv + 2));
    }
    if (argc == 5 && strchr("sre", argv[1][0]) != NULL) {
        return load(argv[1][0], address_of(argv + 2), strtoull(argv[4], NULL, 10));
    }
    fprintf(stderr, "net serve ADDRESS PORT | net send|receive|echo ADDRESS PORT SECONDS\n");
    return 2;
}
