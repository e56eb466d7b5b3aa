/* answer: whoever connects to vsock port 1024 and sends a line gets it back with this microVM's name (SHOAL_NAME in
   the environment) and how many it has answered before, which only a microVM that kept its memory knows. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* <linux/vm_sockets.h>, which musl-gcc does not find. */
#define VMADDR_CID_ANY (-1U)
struct sockaddr_vm {
    sa_family_t svm_family;
    unsigned short svm_reserved1;
    unsigned svm_port;
    unsigned svm_cid;
    unsigned char svm_zero[4];
};

int main(void) {
    const struct sockaddr_vm here = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 1024};
    const char* name = getenv("SHOAL_NAME");
    unsigned long answered = 0;
    const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr*)&here, sizeof here) != 0 || listen(listener, 64) != 0) {
        perror("vsock");
        return 1;
    }
    for (;;) {
        char line[256];
        char reply[512];
        const int client = accept(listener, NULL, NULL);
        const ssize_t size = client < 0 ? -1 : read(client, line, sizeof line - 1);
        if (size > 0) {
            line[size] = 0;
            const int length = snprintf(reply, sizeof reply, "%s %lu %s", name ? name : "?", answered++, line);
            if (write(client, reply, (size_t)length) < 0) {
                --answered;
            }
        }
        close(client);
    }
}
