// AF_UNIX: pairs, names, datagrams, passed descriptors, shutdown.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void show_poll(const char *what, int fd) {
    struct pollfd entry = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&entry, 1, 0);
    printf("%s: events %x\n", what, entry.revents);
}

static void show_read(const char *what, int fd, size_t size) {
    char text[64] = {0};
    const long got = recv(fd, text, size, MSG_DONTWAIT);
    say(what, got);
    if (got > 0) {
        printf("[%.*s]\n", (int)got, text);
    }
}

static void use_pair(void) {
    int ends[2];
    say("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
    show_poll("new", ends[0]);
    show_read("empty", ends[0], 10);
    say("write", write(ends[0], "hello ", 6));
    say("write", write(ends[0], "world", 5));
    int waiting = 0;
    say("ioctl", ioctl(ends[1], FIONREAD, &waiting));
    printf("waiting %d\n", waiting);
    char text[16] = {0};
    say("peek", recv(ends[1], text, 8, MSG_PEEK));
    printf("[%s]\n", text);
    show_read("across writes", ends[1], 8);
    show_read("the rest", ends[1], 8);
    say("shutdown", shutdown(ends[0], SHUT_WR));
    show_poll("shut", ends[0]);
    show_poll("its peer", ends[1]);
    show_read("end", ends[1], 8);
    say("other direction", write(ends[1], "back", 4));
    signal(SIGPIPE, SIG_IGN);
    say("write after shutdown", write(ends[0], "x", 1));
    close(ends[1]);
    show_poll("closed peer", ends[0]);
    show_read("left over", ends[0], 8);
    show_read("end", ends[0], 8);
    say("send to nobody", send(ends[0], "x", 1, MSG_NOSIGNAL));
    close(ends[0]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    write(ends[0], "unread", 6);
    close(ends[1]);
    show_read("reset", ends[0], 8);
    show_read("then the end", ends[0], 8);
    close(ends[0]);
}

static void use_packets(int type, const char *name) {
    int ends[2];
    printf("%s\n", name);
    socketpair(AF_UNIX, type, 0, ends);
    say("send", send(ends[0], "first", 5, 0));
    say("send", send(ends[0], "second", 6, 0));
    say("send nothing", send(ends[0], "", 0, 0));
    char text[4];
    struct iovec part = {text, sizeof text};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    say("short", recvmsg(ends[1], &header, 0));
    printf("truncated %d\n", !!(header.msg_flags & MSG_TRUNC));
    show_read("whole", ends[1], 20);
    show_read("nothing", ends[1], 20);
    show_read("no more", ends[1], 20);
    close(ends[1]);
    say("send to a closed one", send(ends[0], "x", 1, MSG_NOSIGNAL));
    close(ends[0]);
}

static void pass_files(void) {
    int ends[2], pipe_ends[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pipe(pipe_ends);
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    char text[8] = "files";
    struct iovec part = {text, 5};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof control.bytes};
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(first), pipe_ends, sizeof pipe_ends);
    say("before", write(ends[0], "12", 2));
    say("sendmsg", sendmsg(ends[0], &header, 0));
    say("after", write(ends[0], "3", 1));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    memset(&control, 0, sizeof control);
    part.iov_len = sizeof text;
    say("recvmsg", recvmsg(ends[1], &header, MSG_CMSG_CLOEXEC));
    first = CMSG_FIRSTHDR(&header);
    printf("control %d length %d flags %d\n", (int)header.msg_controllen, (int)first->cmsg_len,
           header.msg_flags & MSG_CTRUNC);
    show_read("after", ends[1], 8);
    int passed[2];
    memcpy(passed, CMSG_DATA(first), sizeof passed);
    say("close on exec", fcntl(passed[0], F_GETFD));
    say("write", write(passed[1], "through", 7));
    show_read("not a socket", passed[0], 7);
    say("read", read(passed[0], text, 7));
    close(passed[1]);
    say("end", read(passed[0], text, 7));
    close(passed[0]);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int));
    header.msg_controllen = CMSG_SPACE(sizeof(int));
    memcpy(CMSG_DATA(first), &(int){99}, sizeof(int));
    say("send a closed one", sendmsg(ends[0], &header, 0));
    close(ends[0]);
    close(ends[1]);
}

static void show_credentials(void) {
    int ends[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    struct ucred peer;
    socklen_t size = sizeof peer;
    say("SO_PEERCRED", getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &size));
    printf("itself %d user %d\n", peer.pid == getpid(), peer.uid == getuid());
    say("SO_PASSCRED", setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
    write(ends[0], "x", 1);
    char text[4];
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec part = {text, sizeof text};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof control.bytes};
    say("recvmsg", recvmsg(ends[1], &header, 0));
    memcpy(&peer, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof peer);
    printf("type %d itself %d\n", CMSG_FIRSTHDR(&header)->cmsg_type, peer.pid == getpid());
    const pid_t child = fork();
    if (child == 0) {
        _exit(write(ends[0], "y", 1) != 1);
    }
    waitpid(child, NULL, 0);
    header.msg_controllen = sizeof control.bytes;
    say("recvmsg", recvmsg(ends[1], &header, 0));
    memcpy(&peer, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof peer);
    printf("of the child %d\n", peer.pid == child);
    close(ends[0]);
    close(ends[1]);
}

static socklen_t make_address(struct sockaddr_un *address, const char *name, size_t size) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, size);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

static void use_names(const char *what, const char *name, size_t name_size) {
    struct sockaddr_un address, peer;
    const socklen_t size = make_address(&address, name, name_size);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("%s\n", what);
    show_poll("unconnected", listener);
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    say("connect to nobody", connect(client, (struct sockaddr *)&address, size));
    say("listen too early", listen(listener, 1));
    say("bind", bind(listener, (struct sockaddr *)&address, size));
    say("connect too early", connect(client, (struct sockaddr *)&address, size));
    say("listen", listen(listener, 1));
    show_poll("listening", listener);
    say("connect", connect(client, (struct sockaddr *)&address, size));
    show_poll("connected", listener);
    say("write at once", write(client, "early", 5));
    say("connect again", connect(client, (struct sockaddr *)&address, size));
    socklen_t peer_size = sizeof peer;
    const int accepted = accept(listener, (struct sockaddr *)&peer, &peer_size);
    printf("accepted from an address of %d\n", (int)peer_size);
    show_read("early", accepted, 10);
    peer_size = sizeof peer;
    say("getpeername", getpeername(client, (struct sockaddr *)&peer, &peer_size));
    printf("of %d, same %d\n", (int)peer_size, memcmp(&peer, &address, size) == 0);
    peer_size = sizeof peer;
    say("getsockname", getsockname(client, (struct sockaddr *)&peer, &peer_size));
    printf("of %d\n", (int)peer_size);
    const int other = socket(AF_UNIX, SOCK_STREAM, 0);
    say("bind the same", bind(other, (struct sockaddr *)&address, size));
    close(listener);
    say("connect to a closed one", connect(other, (struct sockaddr *)&address, size));
    say("still there", write(accepted, "late", 4));
    show_read("late", client, 10);
    close(other);
    close(accepted);
    close(client);
}

static void use_datagram_names(void) {
    struct sockaddr_un one, other;
    const socklen_t one_size = make_address(&one, "\0shoal-one", 10);
    const socklen_t other_size = make_address(&other, "\0shoal-other", 12);
    const int first = socket(AF_UNIX, SOCK_DGRAM, 0);
    const int second = socket(AF_UNIX, SOCK_DGRAM, 0);
    bind(first, (struct sockaddr *)&one, one_size);
    bind(second, (struct sockaddr *)&other, other_size);
    say("no receiver", send(first, "x", 1, 0));
    say("sendto", sendto(first, "datagram", 8, 0, (struct sockaddr *)&other, other_size));
    struct sockaddr_un from;
    socklen_t size = sizeof from;
    char text[16];
    say("recvfrom", recvfrom(second, text, sizeof text, 0, (struct sockaddr *)&from, &size));
    printf("from the first: %d\n", size == one_size && memcmp(&from, &one, size) == 0);
    say("connect", connect(second, (struct sockaddr *)&one, one_size));
    say("send", send(second, "answer", 6, 0));
    show_read("answer", first, 16);
    const int stream = socket(AF_UNIX, SOCK_STREAM, 0);
    say("wrong type", connect(stream, (struct sockaddr *)&one, one_size));
    close(stream);
    close(first);
    say("send to a closed one", send(second, "x", 1, 0));
    close(second);
}

static void fill(void) {
    int ends[2];
    static char bytes[1 << 20];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
    long sent = 0, got = 0, part;
    while ((part = write(ends[0], bytes, sizeof bytes)) > 0) {
        sent += part;
    }
    say("full", part);
    printf("took 100 KiB: %d\n", sent > 100 << 10);
    show_poll("full", ends[0]);
    while ((part = read(ends[1], bytes, sizeof bytes)) > 0) {
        got += part;
    }
    printf("all came: %d\n", got == sent);
    show_poll("empty", ends[0]);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    use_pair();
    use_packets(SOCK_SEQPACKET, "sequenced packets");
    use_packets(SOCK_DGRAM, "datagrams");
    pass_files();
    show_credentials();
    use_names("abstract", "\0shoal-test", 11);
    use_names("path", "/tmp/socket-of-a-test", 21);
    struct stat status;
    say("stat", stat("/tmp/socket-of-a-test", &status));
    printf("a socket: %d\n", S_ISSOCK(status.st_mode));
    say("open", open("/tmp/socket-of-a-test", O_RDONLY));
    say("unlink", unlink("/tmp/socket-of-a-test"));
    use_datagram_names();
    fill();
    return 0;
}
