// A guest's vsock program. `vsock listen PORT`: echoes what each connection sends, until it stops.
// `vsock connect PORT`: stdin to the host's port, and what comes back to stdout.
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static void copy(int from, int to) {
    static char data[65536];
    ssize_t count;
    while ((count = read(from, data, sizeof data)) > 0) {
        for (ssize_t done = 0; done < count;) {
            ssize_t written = write(to, data + done, (size_t)(count - done));
            if (written < 0) {
                fail("write");
            }
            done += written;
        }
    }
    if (count < 0) {
        fail("read");
    }
}

int main(int argc, char** argv) {
    if (argc != 3) {
        return 2;
    }
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = (unsigned)atoi(argv[2])};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0) {
        fail("socket");
    }
    if (strcmp(argv[1], "connect") == 0) {
        address.svm_cid = VMADDR_CID_HOST;
        if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0) {
            fail("connect");
        }
        pid_t child = fork();
        if (child == 0) {
            copy(0, fd);
            shutdown(fd, SHUT_WR);
            return 0;
        }
        copy(fd, 1);
        waitpid(child, NULL, 0);
        return 0;
    }
    address.svm_cid = VMADDR_CID_ANY;
    if (bind(fd, (struct sockaddr*)&address, sizeof address) != 0 || listen(fd, 128) != 0) {
        fail("listen");
    }
    for (;;) {
        int connection = accept(fd, NULL, NULL);
        if (connection < 0) {
            fail("accept");
        }
        if (fork() == 0) {
            close(fd);
            copy(connection, connection);
            shutdown(connection, SHUT_WR);
            return 0;
        }
        close(connection);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}
