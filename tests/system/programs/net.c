// One end of connections, for the tests of the network: `net VERB HOST PORT [MORE]`. HOST is an
// address, of IPv4 or IPv6. Prints what the tests look at; see main().
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static unsigned char data[256 << 10];

static void fail(const char* what) {
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static socklen_t parse(const char* host, const char* port, struct sockaddr_storage* to) {
    struct sockaddr_in* v4 = (struct sockaddr_in*)to;
    struct sockaddr_in6* v6 = (struct sockaddr_in6*)to;
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)atoi(port));
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) {
        fail("address");
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)atoi(port));
    return sizeof *v6;
}

static int connected(const char* host, const char* port) {
    struct sockaddr_storage to;
    socklen_t size = parse(host, port, &to);
    int fd = socket(to.ss_family, SOCK_STREAM, 0);
    if (fd < 0) {
        fail("socket");
    }
    if (connect(fd, (struct sockaddr*)&to, size) != 0) {
        fail("connect");
    }
    return fd;
}

// -1 when the address is taken.
static int listener_with(int option, const char* host, const char* port) {
    struct sockaddr_storage to;
    int on = 1;
    socklen_t size = parse(host, port, &to);
    int fd = socket(to.ss_family, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, option, &on, sizeof on) != 0) {
        fail("socket");
    }
    if (bind(fd, (struct sockaddr*)&to, size) == 0 && listen(fd, 255) == 0) {
        return fd;
    }
    if (errno != EADDRINUSE) {
        fail("listen");
    }
    close(fd);
    return -1;
}

static void say_listening(void) {
    puts("listening");
    fflush(stdout);
}

static int listening(const char* host, const char* port) {
    int fd = listener_with(SO_REUSEADDR, host, port);
    if (fd < 0) {
        fail("listen");
    }
    say_listening();
    return fd;
}

static void send_all(int fd, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t sent = send(fd, data + done, count - done, 0);
        if (sent <= 0) {
            fail("send");
        }
        done += (size_t)sent;
    }
}

static uint64_t sum_of(uint64_t sum, const unsigned char* bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        sum = (sum ^ bytes[i]) * 1099511628211ULL;
    }
    return sum;
}

static uint64_t state = 1;
static void fill(size_t count) {
    for (size_t i = 0; i < count; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        data[i] = (unsigned char)(state >> 56);
    }
}

static void send_pattern(int fd, uint64_t bytes) {
    uint64_t sum = 14695981039346656037ULL;
    for (uint64_t done = 0; done < bytes;) {
        size_t count = bytes - done < sizeof data ? (size_t)(bytes - done) : sizeof data;
        fill(count);
        sum = sum_of(sum, data, count);
        send_all(fd, count);
        done += count;
    }
    shutdown(fd, SHUT_WR);
    printf("sent %llu %016llx\n", (unsigned long long)bytes, (unsigned long long)sum);
}

static void receive_pattern(int fd) {
    uint64_t sum = 14695981039346656037ULL;
    uint64_t bytes = 0;
    ssize_t got;
    while ((got = recv(fd, data, sizeof data, 0)) > 0) {
        sum = sum_of(sum, data, (size_t)got);
        bytes += (uint64_t)got;
    }
    if (got < 0) {
        fail("recv");
    }
    printf("received %llu %016llx\n", (unsigned long long)bytes, (unsigned long long)sum);
}

static void echo(int fd) {
    ssize_t got;
    while ((got = recv(fd, data, sizeof data, 0)) > 0) {
        send_all(fd, (size_t)got);
    }
    close(fd);
}

static int accepted(int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        fail("accept");
    }
    return fd;
}

struct Sharer {
    pthread_t thread;
    int listener;
    char name;
    int count;
};

// Tells so many connections who has accepted them.
static void* answer(void* argument) {
    const struct Sharer* sharer = argument;
    for (int i = 0; i < sharer->count; ++i) {
        int fd = accepted(sharer->listener);
        if (send(fd, &sharer->name, 1, 0) != 1) {
            fail("send");
        }
        close(fd);
    }
    close(sharer->listener);
    printf("%c has ended\n", sharer->name);
    fflush(stdout);
    return NULL;
}

// Two threads listen at one address, each with a socket of its own. The second accepts twice as
// many connections as the first.
static void serve_shared(const char* host, const char* port, int count) {
    struct Sharer sharers[2];
    for (int i = 0; i < 2; ++i) {
        sharers[i] = (struct Sharer){.listener = listener_with(SO_REUSEPORT, host, port),
                                     .name = (char)('a' + i),
                                     .count = (i + 1) * count};
        if (sharers[i].listener < 0) {
            fail("SO_REUSEPORT");
        }
    }
    if (listener_with(SO_REUSEADDR, host, port) >= 0) {
        fail("a socket without SO_REUSEPORT listens there, too");
    }
    say_listening();
    for (int i = 0; i < 2; ++i) {
        pthread_create(&sharers[i].thread, NULL, answer, &sharers[i]);
    }
    for (int i = 0; i < 2; ++i) {
        pthread_join(sharers[i].thread, NULL);
    }
    if (listener_with(SO_REUSEADDR, host, port) < 0) {
        fail("nobody listens there any more");
    }
}

// All connections are held open until all are there.
static void hold_many(int listener, int count) {
    static int fds[1024];
    for (int i = 0; i < count; ++i) {
        fds[i] = accepted(listener);
    }
    printf("holding %d\n", count);
    fflush(stdout);
    for (int i = 0; i < count; ++i) {
        echo(fds[i]);
    }
}

static void udp_echo(const char* host, const char* port, int count) {
    struct sockaddr_storage at;
    socklen_t size = parse(host, port, &at);
    int fd = socket(at.ss_family, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr*)&at, size) != 0) {
        fail("bind");
    }
    say_listening();
    while (count-- > 0) {
        struct sockaddr_storage from;
        socklen_t from_size = sizeof from;
        ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr*)&from, &from_size);
        if (got < 0 ||
            sendto(fd, data, (size_t)got, 0, (struct sockaddr*)&from, from_size) != got) {
            fail("udp");
        }
    }
}

static int udp_socket_to(const char* host, const char* port) {
    struct sockaddr_storage to;
    socklen_t size = parse(host, port, &to);
    int fd = socket(to.ss_family, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr*)&to, size) != 0) {
        fail("connect");
    }
    return fd;
}

static void say(const char* what, ssize_t result) {
    printf("%s %zd %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void wait_for_error(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int count = poll(&poll_fd, 1, -1);
    printf("poll %d %#x\n", count, (unsigned)poll_fd.revents);
}

// What a program is told of datagrams to a port where nobody listens.
static void udp_refused(const char* host, const char* port) {
    struct sockaddr_storage to;
    socklen_t size = parse(host, port, &to);
    int connected_fd = udp_socket_to(host, port);
    int idle_fd = udp_socket_to(host, port);
    int free_fd = socket(to.ss_family, SOCK_DGRAM, 0);
    say("free sendto", sendto(free_fd, "a", 1, 0, (struct sockaddr*)&to, size));
    say("send", send(connected_fd, "b", 1, 0));
    say("recv", recv(connected_fd, data, 1, 0));
    say("recv again", recv(connected_fd, data, 1, MSG_DONTWAIT));
    say("send", send(connected_fd, "c", 1, 0));
    wait_for_error(connected_fd);
    say("send", send(connected_fd, "d", 1, 0));
    say("send", send(connected_fd, "e", 1, 0));
    wait_for_error(connected_fd);
    int error = 0;
    socklen_t error_size = sizeof error;
    getsockopt(connected_fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    printf("SO_ERROR %s\n", strerror(error));
    getsockopt(connected_fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    printf("SO_ERROR %d\n", error);
    // Refused before any of those, and not told.
    say("free recv", recv(free_fd, data, 1, MSG_DONTWAIT));
    say("idle recv", recv(idle_fd, data, 1, MSG_DONTWAIT));
}

static void loopback(const char* host, const char* port) {
    int listener = listening(host, port);
    int client = connected(host, port);
    int server = accepted(listener);
    send(client, "there", 5, 0);
    if (recv(server, data, 5, MSG_WAITALL) != 5 || memcmp(data, "there", 5) != 0) {
        fail("there");
    }
    send(server, "and back", 8, 0);
    if (recv(client, data, 8, MSG_WAITALL) != 8 || memcmp(data, "and back", 8) != 0) {
        fail("back");
    }
    close(server);
    printf("end %zd\n", recv(client, data, 1, 0));
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void drain(int fd) {
    while (recv(fd, data, sizeof data, 0) > 0) {
    }
}

// One byte there and back, or bytes one way, for so many seconds.
static void load(char verb, int fd, double seconds) {
    uint64_t begin = now_us();
    uint64_t sum = 0;
    while (now_us() - begin < seconds * 1e6) {
        ssize_t got = 0;
        if (verb == 's') {
            got = send(fd, data, sizeof data, 0);
        } else if (verb == 'r') {
            got = recv(fd, data, sizeof data, 0);
        } else {
            got = send(fd, data, 1, 0) == 1 ? recv(fd, data, 1, 0) : -1;
        }
        if (got <= 0) {
            fail("load");
        }
        sum += (uint64_t)got;
    }
    if (verb == 's') {
        shutdown(fd, SHUT_WR);
        drain(fd);
    }
    printf("%llu %llu\n", (unsigned long long)sum, (unsigned long long)(now_us() - begin));
}

int main(int argc, char** argv) {
    if (argc < 4) {
        return 2;
    }
    const char* verb = argv[1];
    const char* host = argv[2];
    const char* port = argv[3];
    const char* more = argc > 4 ? argv[4] : "1";
    if (strcmp(verb, "send") == 0) {
        send_pattern(connected(host, port), strtoull(more, NULL, 10));
    } else if (strcmp(verb, "receive") == 0) {
        receive_pattern(connected(host, port));
    } else if (strcmp(verb, "serve-receive") == 0) {
        receive_pattern(accepted(listening(host, port)));
    } else if (strcmp(verb, "serve-echo") == 0) {
        int listener = listening(host, port);
        for (int i = atoi(more); i > 0; --i) {
            echo(accepted(listener));
        }
    } else if (strcmp(verb, "serve-many") == 0) {
        hold_many(listening(host, port), atoi(more));
    } else if (strcmp(verb, "serve-shared") == 0) {
        serve_shared(host, port, atoi(more));
    } else if (strcmp(verb, "serve-udp") == 0) {
        udp_echo(host, port, atoi(more));
    } else if (strcmp(verb, "udp-refused") == 0) {
        udp_refused(host, port);
    } else if (strcmp(verb, "loopback") == 0) {
        loopback(host, port);
    } else if (strcmp(verb, "connect") == 0) {
        connected(host, port);
        puts("connected");
    } else if (strcmp(verb, "wait") == 0) {
        int fd = connected(host, port);
        struct timeval limit = {.tv_sec = atoi(more)};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        send_all(fd, 1);
        ssize_t got = recv(fd, data, 1, 0);
        printf("recv %zd %s\n", got, got < 0 ? strerror(errno) : "");
    } else if (strcmp(verb, "keep-alive") == 0) {
        int fd = connected(host, port);
        int one = 1;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &one, sizeof one);
        send_all(fd, 1);
        if (recv(fd, data, 1, 0) != 1) {
            fail("answer");
        }
        ssize_t got = recv(fd, data, 1, 0);
        printf("recv %zd %s\n", got, got < 0 ? strerror(errno) : "");
    } else if (strncmp(verb, "load-", 5) == 0) {
        int fd = connected(host, port);
        if (send(fd, verb + 5, 1, 0) != 1) {
            fail("verb");
        }
        load(verb[5], fd, atof(more));
    } else {
        return 2;
    }
    return 0;
}
