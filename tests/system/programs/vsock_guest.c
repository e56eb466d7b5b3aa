// Vsock sockets, from a microVM's side:
//     vsock_guest echo PORT COUNT        an epoll server that sends everything back, for COUNT
//     connections vsock_guest call PORT BYTES        sends so many to the host's port, and compares
//     what comes back vsock_guest refused PORT           what the host's port answers when nobody
//     listens there vsock_guest reset PORT HOST_PORT   one connection each way, twice: how each
//     ends
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm_sockets.h"

static char bytes[64 * 1024];

static void check(int is_true, const char* what) {
    if (!is_true) {
        printf("%s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static struct sockaddr_vm address(unsigned cid, unsigned port) {
    struct sockaddr_vm name = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    return name;
}

static void wait_for(int fd, short events) {
    struct pollfd entry = {.fd = fd, .events = events};
    check(poll(&entry, 1, -1) == 1, "poll");
}

static void send_all(int fd, const char* from, size_t size) {
    while (size > 0) {
        ssize_t count = send(fd, from, size, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) {
            wait_for(fd, POLLOUT);
            continue;
        }
        if (count < 0) {
            return;  // the peer is gone, and the next read says so
        }
        from += count;
        size -= (size_t)count;
    }
}

// Whether the connection has ended.
static int echo(int fd) {
    for (;;) {
        ssize_t count = read(fd, bytes, sizeof bytes);
        if (count < 0 && errno == EAGAIN) {
            return 0;
        }
        if (count <= 0) {
            shutdown(fd, SHUT_WR);
            return 1;
        }
        send_all(fd, bytes, (size_t)count);
    }
}

static void accept_all(int listener, int epoll) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    }
    check(errno == EAGAIN, "accept4");
}

static int serve(unsigned port, int count) {
    int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_vm name = address(VMADDR_CID_ANY, port);
    check(bind(listener, (struct sockaddr*)&name, sizeof name) == 0, "bind");
    check(listen(listener, 128) == 0, "listen");
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0, "epoll_ctl");
    puts("listening");
    fflush(stdout);
    while (count > 0) {
        check(epoll_wait(epoll, &event, 1, -1) == 1, "epoll_wait");
        if (event.data.fd == listener) {
            accept_all(listener, epoll);
        } else if (echo(event.data.fd)) {
            close(event.data.fd);
            --count;
        }
    }
    return 0;
}

static int connect_to(unsigned port) {
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm name = address(VMADDR_CID_HOST, port);
    check(connect(fd, (struct sockaddr*)&name, sizeof name) == 0, "connect");
    return fd;
}

static void print_names(int fd) {
    struct sockaddr_vm own, peer;
    socklen_t size = sizeof own;
    check(getsockname(fd, (struct sockaddr*)&own, &size) == 0, "getsockname");
    check(getpeername(fd, (struct sockaddr*)&peer, &size) == 0, "getpeername");
    unsigned cid = 0;
    int device = open("/dev/vsock", O_RDONLY);
    check(device >= 0 && ioctl(device, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0, "/dev/vsock");
    check(cid == own.svm_cid, "the address of /dev/vsock");
    printf("from %u to %u:%u\n", own.svm_cid, peer.svm_cid, peer.svm_port);
}

// The host answers when it has everything.
static int call(unsigned port, size_t size) {
    int fd = connect_to(port);
    print_names(fd);
    for (size_t i = 0; i < sizeof bytes; ++i) {
        bytes[i] = (char)(i % 251);
    }
    for (size_t done = 0; done < size; done += sizeof bytes) {
        send_all(fd, bytes, sizeof bytes);
    }
    check(shutdown(fd, SHUT_WR) == 0, "shutdown");
    char answer[128];
    ssize_t count = recv(fd, answer, sizeof answer, MSG_WAITALL);
    check(count >= 0, "recv");
    printf("%.*s\n", (int)count, answer);
    return 0;
}

static int be_refused(unsigned port) {
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm name = address(VMADDR_CID_HOST, port);
    check(connect(fd, (struct sockaddr*)&name, sizeof name) == -1, "it connects");
    printf("blocking: %s\n", strerror(errno));
    fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    check(connect(fd, (struct sockaddr*)&name, sizeof name) == -1, "it connects");
    printf("non-blocking: %s\n", strerror(errno));
    wait_for(fd, POLLOUT);
    int error = 0;
    socklen_t size = sizeof error;
    check(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0, "getsockopt");
    printf("SO_ERROR: %s\n", strerror(error));
    return 0;
}

static void print_end(const char* which, int fd) {
    const ssize_t count = read(fd, bytes, sizeof bytes);
    printf("%s: %s\n", which, count < 0 ? strerror(errno) : count > 0 ? "data" : "end");
    fflush(stdout);
    close(fd);
}

static int be_reset(unsigned port, unsigned host_port) {
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm name = address(VMADDR_CID_ANY, port);
    check(bind(listener, (struct sockaddr*)&name, sizeof name) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    for (int count = 0; count < 2; ++count) {
        puts("listening");
        fflush(stdout);
        const int in = accept(listener, NULL, NULL);
        check(in >= 0, "accept");
        const int out = connect_to(host_port);
        puts("open");
        fflush(stdout);
        print_end("in", in);
        print_end("out", out);
    }
    return 0;
}

int main(int count, char** words) {
    check(count >= 3,
          "vsock_guest echo PORT COUNT | call PORT BYTES | refused PORT | reset PORT HOST_PORT");
    const unsigned port = (unsigned)atoi(words[2]);
    if (strcmp(words[1], "echo") == 0) {
        return serve(port, atoi(words[3]));
    }
    if (strcmp(words[1], "reset") == 0) {
        return be_reset(port, (unsigned)atoi(words[3]));
    }
    return strcmp(words[1], "call") == 0 ? call(port, (size_t)atol(words[3])) : be_refused(port);
}
