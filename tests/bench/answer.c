// The least that a server does: `answer SOCKET` reads what comes and answers 204, on one connection
// after the other. How long that takes is what the machine, and not a VMM, makes a caller wait.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char response[] = "HTTP/1.1 204 \r\n\r\n";

int main(int argc, char** argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "answer SOCKET\n");
        return 2;
    }
    strcpy(address.sun_path, argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
        listen(listener, 8) != 0) {
        perror(argv[1]);
        return 1;
    }
    puts("listening");
    fflush(stdout);
    for (;;) {
        char request[8192];
        int fd = accept(listener, NULL, NULL);
        while (fd >= 0 && read(fd, request, sizeof request) > 0 &&
               write(fd, response, sizeof response - 1) > 0) {
        }
        close(fd);
    }
}
