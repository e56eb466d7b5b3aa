// posix_spawn(3), which shares memory until exec instead of copying page tables.
#include "controlplane/node/process/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "controlplane/node/process/run_folder.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::node {
namespace {

void check_spawn(int error, const char* what) {
    if (error != 0) {
        host::throw_os_error(what, error);
    }
}

class Actions {
public:
    Actions() { check_spawn(::posix_spawn_file_actions_init(&actions_), "posix_spawn"); }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }

    void duplicate(int fd, int to) {
        check_spawn(::posix_spawn_file_actions_adddup2(&actions_, fd, to), "posix_spawn");
    }
    void change_folder(int fd) {
        check_spawn(::posix_spawn_file_actions_addfchdir_np(&actions_, fd), "posix_spawn");
    }
    void open_null(int to) {
        check_spawn(::posix_spawn_file_actions_addopen(&actions_, to, "/dev/null", O_RDWR, 0),
                    "posix_spawn");
    }
    void close_from(int fd) {
        check_spawn(::posix_spawn_file_actions_addclosefrom_np(&actions_, fd), "posix_spawn");
    }
    [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

class Attributes {
public:
    Attributes() {
        check_spawn(::posix_spawnattr_init(&attributes_), "posix_spawn");
        sigset_t set;
        sigemptyset(&set);
        ::posix_spawnattr_setsigmask(&attributes_, &set);
        sigfillset(&set);
        ::posix_spawnattr_setsigdefault(&attributes_, &set);
        constexpr int flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        ::posix_spawnattr_setflags(&attributes_, flags);
    }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }

    [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

// Its number is none of those that the child shall have.
host::UniqueFd out_of_the_way(int fd) {
    return host::UniqueFd{
        host::check_os(::fcntl(fd, F_DUPFD_CLOEXEC, ready_fd + 1), "fcntl(F_DUPFD_CLOEXEC)")};
}

}  // namespace

Spawned spawn_supervisor(const std::vector<std::string>& words, int folder, host::UniqueFd lock) {
    host::Pipe ready = host::make_pipe();
    const host::UniqueFd lock_copy = out_of_the_way(lock.get());
    const host::UniqueFd ready_copy = out_of_the_way(ready.write.get());
    const host::UniqueFd folder_copy = out_of_the_way(folder);
    Actions actions;
    actions.change_folder(folder_copy.get());
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        actions.open_null(fd);
    }
    actions.duplicate(lock_copy.get(), lock_fd);
    actions.duplicate(ready_copy.get(), ready_fd);
    // Asio's sockets are not closed by exec: a client would wait for a shoald that is dead.
    actions.close_from(ready_fd + 1);

    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (const std::string& word : words) {
        argv.push_back(const_cast<char*>(word.c_str()));  // posix_spawn does not write there
    }
    argv.push_back(nullptr);
    const Attributes attributes;
    pid_t pid = 0;
    check_spawn(
        ::posix_spawn(&pid, argv.front(), actions.get(), attributes.get(), argv.data(), environ),
        ("cannot run " + words.front()).c_str());
    // Our child until it is waited for: the pid is nobody else's.
    host::UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!process) {
        const int error = errno;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        host::throw_os_error("pidfd_open", error);
    }
    return {std::move(process), std::move(ready.read)};
}

}  // namespace shoal::node
