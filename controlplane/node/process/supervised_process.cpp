// Every event leads to the same look at the folder.
#include "controlplane/node/process/supervised_process.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <system_error>
#include <utility>

#include "devices/host/log.h"
#include "devices/host/os_error.h"

namespace shoal::node {
namespace {

using boost::system::error_code;

// How long the kernel may take to end a VMM whose supervisor is gone, between two looks.
constexpr std::chrono::milliseconds retry_delay{10};
// What a supervisor gets beyond its VMM's grace before it is killed itself.
constexpr std::chrono::seconds supervisor_grace{5};

void send_signal(int process, int number, std::chrono::milliseconds grace) {
    siginfo_t info{};
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_int = static_cast<int>(grace.count());
    // Fails when it is gone, which its pidfd tells too.
    static_cast<void>(::syscall(SYS_pidfd_send_signal, process, number, &info, 0));
}

host::UniqueFd copy_of(const host::UniqueFd& fd) {
    host::UniqueFd copy{::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)};
    if (!copy) {
        host::throw_os_error("cannot start a process");
    }
    return copy;
}

}  // namespace

SupervisedProcess::SupervisedProcess(boost::asio::io_context& context, const std::string& path,
                                     Changed changed)
    : folder_{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)},
      changed_{std::move(changed)},
      ready_{context},
      process_{context},
      retry_{context},
      kill_{context} {
    if (!folder_) {
        host::throw_os_error("cannot open " + path);
    }
}

void SupervisedProcess::start(const std::vector<std::string>& words, const std::string& request,
                              int cgroup) {
    host::UniqueFd lock = try_lock(folder_.get());
    if (!lock) {
        host::throw_os_error("the run folder is in use", EBUSY);
    }
    if (!request.empty()) {
        write_whole(folder_.get(), request_file, request);
    }
    // For the two that are needed once it runs: then it is too late to be out of descriptors.
    std::array<host::UniqueFd, 2> spare{copy_of(folder_), copy_of(folder_)};
    Spawned spawned = spawn_supervisor(words, folder_.get(), std::move(lock), cgroup);
    observation_.state = AttemptState::starting;
    spare = {};
    ready_.assign(::fcntl(spawned.ready.get(), F_DUPFD_CLOEXEC, 0));
    ready_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
        if (!error) {
            self->ready_.close();
            self->look();
        }
    });
    watch_process(std::move(spawned.process));
}

void SupervisedProcess::adopt() {
    observation_.state = AttemptState::starting;
    look();
}

void SupervisedProcess::watch_process(host::UniqueFd process) {
    process_.assign(::fcntl(process.get(), F_DUPFD_CLOEXEC, 0));
    process_.async_wait(Descriptor::wait_read, [self =
                                                    shared_from_this()](const error_code& error) {
        if (!error) {
            siginfo_t info{};
            // ECHILD: it is an earlier shoald's child.
            static_cast<void>(::waitid(P_PIDFD, static_cast<id_t>(self->process_.native_handle()),
                                       &info, WEXITED | WNOHANG));
            self->is_over_ = true;
            self->look();
        }
    });
    if (kill_at_) {
        send_stop();
    }
}

// Out of descriptors, say: what is there stays there, and is seen later.
void SupervisedProcess::look() {
    try {
        look_at_folder();
    } catch (const std::system_error& error) {
        host::log(host::LogLevel::error, error.what());
        look_again();
    }
}

void SupervisedProcess::look_at_folder() {
    const auto text = read_whole(folder_.get(), supervisor_file);
    const auto supervision = text ? supervision_in(*text) : std::nullopt;
    if (supervision) {
        observation_.state = AttemptState::running;
        observation_.started_ms = supervision->started_ms;
    }
    if (supervision && !process_.is_open()) {  // an earlier shoald has started it
        if (host::UniqueFd process = open_process(supervision->supervisor)) {
            watch_process(std::move(process));
        }
    }
    if (is_over_ || !process_.is_open()) {
        if (!try_lock(folder_.get())) {
            return look_again();
        }
        conclude();
    }
    changed_();
}

void SupervisedProcess::look_again() {
    retry_.expires_after(retry_delay);
    retry_.async_wait([self = shared_from_this()](const error_code& error) {
        if (!error) {
            self->look();
        }
    });
}

void SupervisedProcess::conclude() {
    is_over_ = true;
    const bool was_started = observation_.state == AttemptState::running;
    const auto text = read_whole(folder_.get(), exit_file);
    observation_.exit = text ? exit_in(*text) : std::nullopt;
    observation_.state = AttemptState::ended;
    if (!observation_.exit && was_started) {
        observation_.exit = Exit{128 + SIGKILL, wall_clock_ms(), "its supervisor was killed"};
    }
    kill_.cancel();
}

void SupervisedProcess::stop(std::chrono::milliseconds grace) {
    const auto at = Clock::now() + grace;
    if (kill_at_ && *kill_at_ <= at) {
        return;
    }
    kill_at_ = at;
    if (process_.is_open()) {
        send_stop();
    }
}

void SupervisedProcess::send_stop() {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::max(*kill_at_ - Clock::now(), Clock::duration::zero()));
    send_signal(process_.native_handle(), SIGTERM, left);
    kill_.expires_after(left + supervisor_grace);
    kill_.async_wait([self = shared_from_this()](const error_code& error) {
        if (!error && self->process_.is_open() && !self->is_over_) {
            host::log(host::LogLevel::warn, "a supervisor does not end its microVM: it is killed");
            send_signal(self->process_.native_handle(), SIGKILL, {});
        }
    });
}

void SupervisedProcess::close() noexcept {
    changed_ = [] {};
    error_code ignored;
    ready_.close(ignored);
    process_.close(ignored);
    retry_.cancel();
    kill_.cancel();
}

}  // namespace shoal::node
