// A template for clones: fills MIB of its memory, waits at /dev/clone, says "answer" and ends, or
// with a second word, "stay", stays. With "vsock" it says that to who connects to vsock port 7; with
// "serve" it tells everybody who connects its own name, again and again.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int listen_vsock(void) {
    const struct sockaddr_vm address = {
        .svm_family = AF_VSOCK, .svm_port = 7, .svm_cid = VMADDR_CID_ANY};
    const int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    return bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0
               ? fd
               : -1;
}

static int serve(int listener, const char *name) {
    for (;;) {
        const int client = accept(listener, NULL, NULL);
        if (client < 0 || write(client, name, strlen(name)) < 0) {
            return 1;
        }
        close(client);
    }
}

int main(int argc, char **argv) {
    const size_t size = argc > 1 ? (size_t)atoi(argv[1]) << 20 : 0;
    volatile uint64_t *memory = malloc(size + 8);
    for (size_t idx = 0; memory != NULL && idx < size / 8; ++idx) {
        memory[idx] = idx * 0x9E3779B97F4A7C15 + 1;
    }
    const int serves = argc > 2 && strcmp(argv[2], "serve") == 0;
    const int is_server = serves || (argc > 2 && strcmp(argv[2], "vsock") == 0);
    const int listener = is_server ? listen_vsock() : 1;
    const int fd = open("/dev/clone", O_RDONLY);
    char words[64] = {0};
    if (memory == NULL || fd < 0 || listener < 0 || read(fd, words, sizeof words - 1) < 0) {
        return 1;
    }
    if (serves) {
        return serve(listener, words);
    }
    const int to = is_server ? accept(listener, NULL, NULL) : 1;
    if (write(to, "answer\n", 7) != 7) {
        return 1;
    }
    if (argc > 2 && !is_server) {
        pause();
    }
    return 0;
}
