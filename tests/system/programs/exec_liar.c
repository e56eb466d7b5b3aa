// A guest that answers on the port of exec's agent, and does not keep to the protocol:
//     exec_liar garbage   bytes that are no frame
//     exec_liar huge      a frame of 4 GiB
//     exec_liar early     input, which is for guests
//     exec_liar credit    more credit than there can be
//     exec_liar behind    output behind the last frame
//     exec_liar deaf      never reads, but gives credit for ever
//     exec_liar endless   output for ever
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm_sockets.h"

enum { agent_port = 7432 };

// False when the other side is gone.
static int say(int fd, const char* bytes, size_t size) {
    while (size > 0) {
        ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);
        if (count <= 0) {
            return 0;
        }
        bytes += count;
        size -= (size_t)count;
    }
    return 1;
}

static void serve(int fd, const char* mode) {
    static char output[5 + 65536] = {4, 0, 0, 1, 0};
    static const char window[] = {3, 4, 0, 0, 0, 0, 0, 1, 0};
    if (strcmp(mode, "garbage") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
    } else if (strcmp(mode, "huge") == 0) {
        say(fd, "\4\377\377\377\377", 5);
    } else if (strcmp(mode, "early") == 0) {
        say(fd, "\2\0\0\0\0", 5);
    } else if (strcmp(mode, "credit") == 0) {
        say(fd, "\3\4\0\0\0\377\377\377\377", 9);
    } else if (strcmp(mode, "behind") == 0) {
        say(fd, "\6\1\0\0\0\0\4\1\0\0\0x", 12);
    } else if (strcmp(mode, "deaf") == 0) {
        while (say(fd, window, sizeof window)) {
            usleep(10000);
        }
    } else {
        while (say(fd, output, sizeof output)) {
        }
    }
    pause();
}

int main(int argc, char** argv) {
    struct sockaddr_vm name = {.svm_family = AF_VSOCK, .svm_port = agent_port, .svm_cid = VMADDR_CID_ANY};
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (argc != 2 || bind(listener, (struct sockaddr*)&name, sizeof name) != 0 ||
        listen(listener, 8) != 0) {
        perror("exec_liar");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            serve(fd, argv[1]);
        }
    }
}
