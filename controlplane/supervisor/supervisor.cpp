// signalfd, timerfd and the output's pipe in one poll.
#include "controlplane/supervisor/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "controlplane/node/process/console_input.h"
#include "devices/host/oom_score.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::supervisor {
namespace {

constexpr std::chrono::milliseconds default_grace{10'000};
constexpr int exit_code_of_time_limit = 124;  // as timeout(1)
constexpr int exit_code_of_exec = 126;

sigset_t watched_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) {
        sigaddset(&set, number);
    }
    return set;
}

// In the child: whatever fails is told through `errors`.
[[noreturn]] void become(const std::vector<char*>& words, int output, int errors, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    static_cast<void>(host::set_oom_order(host::OomOrder::first));
    const int input = ::open(node::console_input_file, O_RDWR | O_CLOEXEC);
    const bool is_ready = ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::dup2(input, 0) == 0 &&
                          ::dup2(output, 1) == 1 && ::dup2(output, 2) == 2 && ::chdir("/") == 0 &&
                          ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
    if (::getppid() != parent) {  // It died before it could be seen to.
        ::_exit(1);
    }
    if (is_ready) {
        ::execv(words.front(), words.data());
    }
    const int error = errno;
    [[maybe_unused]] const auto told = ::write(errors, &error, sizeof error);
    ::_exit(1);
}

// With all children to come; before there are threads, since `tasks` takes only the one that
// writes.
void enter_cgroups(std::string_view paths) {
    while (!paths.empty() && paths != "-") {
        const std::string path{paths.substr(0, paths.find(':'))};
        // A shoald of another version might mean something else by this word.
        if (!path.ends_with("/tasks")) {
            host::throw_os_error("no control group: " + path, EINVAL);
        }
        const host::UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
        if (!file || ::write(file.get(), "0", 1) < 0) {
            host::throw_os_error("cannot enter the control group of " + path);
        }
        paths.remove_prefix(std::min(path.size() + 1, paths.size()));
    }
}

void set_timer(int timer, std::chrono::milliseconds delay) {
    itimerspec when{};
    when.it_value.tv_sec = delay.count() / 1000;
    when.it_value.tv_nsec = delay.count() % 1000 * 1'000'000 + 1;  // 0 would be never
    host::check_os(::timerfd_settime(timer, 0, &when, nullptr), "timerfd_settime");
}

}  // namespace

Supervisor::Supervisor(const Order& order) : order_{order}, log_{order.log, order.log_limit_bytes} {
    enter_cgroups(order.cgroups);
    const sigset_t set = watched_signals();
    host::check_os(::sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
    signals_ = host::UniqueFd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    host::check_os(signals_.get(), "signalfd");
    timer_ = host::UniqueFd{::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)};
    host::check_os(timer_.get(), "timerfd_create");
}

void Supervisor::run() {
    const auto self = node::identify(::getpid());
    node::write_whole(AT_FDCWD, node::supervisor_file,
                      to_text(node::Supervision{self.value(), node::wall_clock_ms()}));
    start();
    while (!exit_) {
        wait_for_event();
    }
    node::write_whole(AT_FDCWD, node::exit_file, to_text(exit_.value()));
}

void Supervisor::start() {
    host::Pipe output = host::make_pipe();
    host::Pipe errors = host::make_pipe();
    host::check_os(::mkfifo(node::console_input_file, 0600), "mkfifo");
    const pid_t self = ::getpid();
    const std::vector<char*> words =
        first_request_.with_connection({order_.words.begin(), order_.words.end()});
    child_ = host::check_os(::fork(), "fork");
    if (child_ == 0) {
        first_request_.pass_on();
        become(words, output.write.get(), errors.write.get(), self);
    }
    errors.write = {};
    int error = 0;
    if (::read(errors.read.get(), &error, sizeof error) == sizeof error) {
        exit_ = node::Exit{
            exit_code_of_exec, node::wall_clock_ms(),
            std::string{"cannot run "} + order_.words.front() + ": " + std::strerror(error)};
        return;
    }
    if (first_request_.is_wanted()) {
        first_request_.send();
    } else {
        ::close(node::ready_fd);
    }
    output_ = std::move(output.read);
    host::check_os(::fcntl(output_.get(), F_SETFL, O_NONBLOCK), "fcntl");
    if (order_.time_limit_s > 0) {
        set_timer(timer_.get(), std::chrono::seconds{order_.time_limit_s});
    }
}

void Supervisor::wait_for_event() {
    std::array<pollfd, 4> fds{{{signals_.get(), POLLIN, 0},
                               {timer_.get(), POLLIN, 0},
                               {output_.get(), POLLIN, 0},
                               {first_request_.connection(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
        host::throw_os_error("poll");
    }
    if (fds[3].revents != 0 && first_request_.read_answer()) {
        ::close(node::ready_fd);
    }
    if (fds[2].revents != 0 && !drain()) {
        output_ = {};  // The end of it: nobody will write any more.
    }
    if (fds[1].revents != 0) {
        on_deadline();
    }
    if (fds[0].revents != 0) {
        on_signal();
    }
}

void Supervisor::on_signal() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) {
            const bool has_grace = info.ssi_code == SI_QUEUE && info.ssi_int >= 0;
            end("it was stopped",
                has_grace ? std::chrono::milliseconds{info.ssi_int} : default_grace);
        }
    }
    if (reap()) {
        drain();
    }
}

void Supervisor::on_deadline() {
    std::uint64_t count = 0;
    if (::read(timer_.get(), &count, sizeof count) != sizeof count) {
        return;
    }
    if (reason_.empty()) {
        is_timed_out_ = true;
        end("the time limit of " + std::to_string(order_.time_limit_s) + " s is reached",
            default_grace);
    } else {
        ::kill(child_, SIGKILL);
    }
}

void Supervisor::end(std::string reason, std::chrono::milliseconds grace) {
    if (reason_.empty()) {
        reason_ = std::move(reason);
    }
    ::kill(child_, SIGTERM);
    set_timer(timer_.get(), grace);
}

// False at the end of the output.
bool Supervisor::drain() {
    std::array<char, 65536> bytes;
    for (;;) {
        const ssize_t count = output_ ? ::read(output_.get(), bytes.data(), bytes.size()) : 0;
        if (count <= 0) {
            return count < 0 && (errno == EAGAIN || errno == EINTR);
        }
        log_.append({bytes.data(), static_cast<std::size_t>(count)});
        if (static_cast<std::size_t>(count) < bytes.size()) {
            return true;
        }
    }
}

bool Supervisor::reap() {
    int status = 0;
    if (::waitpid(child_, &status, WNOHANG) != child_) {
        return false;
    }
    node::Exit exit{0, node::wall_clock_ms(), reason_.empty() ? first_request_.refusal() : reason_};
    if (WIFEXITED(status)) {
        exit.code = WEXITSTATUS(status);
    } else {
        exit.code = 128 + WTERMSIG(status);
        exit.reason += (exit.reason.empty() ? "" : "; ") + std::string{"killed by signal "} +
                       std::to_string(WTERMSIG(status));
    }
    if (is_timed_out_) {
        exit.code = exit_code_of_time_limit;
    }
    exit_ = std::move(exit);
    return true;
}

}  // namespace shoal::supervisor
