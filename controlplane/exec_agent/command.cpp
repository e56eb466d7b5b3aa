// Nothing blocks but poll(2).
#include "controlplane/exec_agent/command.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <utility>

#include "controlplane/exec_agent/child.h"
#include "devices/host/pipe.h"

namespace shoal::exec_agent {
namespace {

using exec::FrameType;

// Of a read; less than a payload may have.
constexpr std::size_t piece_bytes = std::size_t{32} << 10;
// What a pipe can hold (fs.pipe-max-size): others may write to it for ever.
constexpr std::size_t max_pipe_bytes = std::size_t{1} << 20;
constexpr int exit_code_of_failure = 126;
constexpr int exit_code_of_not_found = 127;

bool must_wait(ssize_t count) {
    return count < 0 && (errno == EAGAIN || errno == EINTR);
}

pollfd entry(const host::UniqueFd& fd, bool is_wanted, short events) {
    return {is_wanted ? fd.get() : -1, events, 0};
}

void make_nonblocking(const host::UniqueFd& fd) {
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
}

std::uint8_t code_of(int status) {
    return static_cast<std::uint8_t>(WIFEXITED(status) ? WEXITSTATUS(status)
                                                       : 128 + WTERMSIG(status));
}

}  // namespace

Command::~Command() {
    hang_up();
}

void Command::refuse(std::string reason) {
    is_started_ = true;
    end({exit_code_of_failure, std::move(reason)});
}

std::array<pollfd, Command::poll_entries> Command::waits_for() const {
    const bool has_unsent = sent_ < unsent_.size();
    return {entry(connection_, true, static_cast<short>(has_unsent ? POLLIN | POLLOUT : POLLIN)),
            entry(input_, !unread_.empty(), POLLOUT), entry(output_, may_collect(), POLLIN),
            entry(errors_, may_collect(), POLLIN)};
}

void Command::on_events(std::span<const pollfd> entries) {
    if (entries[1].revents != 0) {
        feed();
    }
    if (entries[2].revents != 0) {
        collect(output_, FrameType::output, piece_bytes);
    }
    if (entries[3].revents != 0) {
        collect(errors_, FrameType::errors, piece_bytes);
    }
    if (connection_ && (entries[0].revents & ~POLLOUT) != 0) {
        receive();
    }
    flush();
}

void Command::receive() {
    std::array<char, piece_bytes> bytes;
    const ssize_t count = ::recv(connection_.get(), bytes.data(), bytes.size(), 0);
    if (must_wait(count)) {
        return;
    }
    if (count <= 0) {
        return hang_up();
    }
    if (has_ended_) {
        return;  // Input that nobody reads any more.
    }
    try {
        frames_.append({bytes.data(), static_cast<std::size_t>(count)});
        while (const auto frame = frames_.next()) {
            take(*frame);
        }
    } catch (const std::exception& error) {
        refuse(error.what());
    }
}

void Command::take(const exec::Frame& frame) {
    if (!connection_ || has_ended_) {
        return;
    }
    if (frame.type == FrameType::start && !is_started_) {
        return start(frame.payload);
    }
    if (frame.type == FrameType::input && is_started_) {
        return take_input(frame.payload);
    }
    refuse("a frame of type " + std::to_string(static_cast<int>(frame.type)) +
           " is not expected here");
}

void Command::start(std::string_view payload) {
    is_started_ = true;
    const exec::Start start = exec::start_in(payload);
    struct stat status {};
    if (!start.folder.empty() &&
        (::stat(start.folder.c_str(), &status) < 0 || !S_ISDIR(status.st_mode))) {
        return refuse("there is no folder " + start.folder);
    }
    spawn(start);
}

void Command::spawn(const exec::Start& start) {
    host::Pipe input = host::make_pipe();
    host::Pipe output = host::make_pipe();
    host::Pipe errors = host::make_pipe();
    child_ = start_command(start, {input.read.get(), output.write.get(), errors.write.get()});
    if (child_ == 0) {
        const int error = errno;
        return end({static_cast<std::uint8_t>(error == ENOENT ? exit_code_of_not_found
                                                              : exit_code_of_failure),
                    "cannot run " + start.arguments.front() + ": " + std::strerror(error)});
    }
    input_ = std::move(input.write);
    output_ = std::move(output.read);
    errors_ = std::move(errors.read);
    make_nonblocking(input_);
    make_nonblocking(output_);
    make_nonblocking(errors_);
    grant(exec::window_bytes);
}

void Command::grant(std::size_t count) {
    granted_ += count;
    unsent_ += exec::credit_frame(static_cast<std::uint32_t>(count));
}

void Command::take_input(std::string_view bytes) {
    if (bytes.size() > granted_) {
        hang_up();
        return;
    }
    granted_ -= bytes.size();
    if (!input_) {  // The command has closed it.
        return bytes.empty() ? void() : grant(bytes.size());
    }
    unread_ += bytes;
    is_input_over_ = is_input_over_ || bytes.empty();
    feed();
}

// As much as the pipe takes.
void Command::feed() {
    while (!unread_.empty()) {
        const ssize_t count = ::write(input_.get(), unread_.data(), unread_.size());
        if (must_wait(count)) {
            break;
        }
        const std::size_t taken = count < 0 ? unread_.size() : static_cast<std::size_t>(count);
        unread_.erase(0, taken);
        to_grant_ += taken;
        if (count < 0) {
            input_ = {};
        }
    }
    // Not for each byte.
    if (to_grant_ > 0 && (unread_.empty() || to_grant_ >= exec::window_bytes / 4)) {
        grant(std::exchange(to_grant_, 0));
    }
    if (unread_.empty() && is_input_over_) {
        input_ = {};
    }
}

void Command::collect(host::UniqueFd& pipe, FrameType type, std::size_t limit_bytes) {
    std::array<char, piece_bytes> bytes;
    while (pipe && limit_bytes > 0) {
        const ssize_t count = ::read(pipe.get(), bytes.data(), std::min(bytes.size(), limit_bytes));
        if (must_wait(count)) {
            return;
        }
        if (count <= 0) {
            pipe = {};
            return;
        }
        limit_bytes -= static_cast<std::size_t>(count);
        unsent_ += exec::to_bytes({type, {bytes.data(), static_cast<std::size_t>(count)}});
    }
}

bool Command::on_child_ended(pid_t child, int status) {
    if (child != child_) {
        return false;
    }
    child_ = 0;
    if (connection_ && !has_ended_) {
        collect(output_, FrameType::output, max_pipe_bytes);
        collect(errors_, FrameType::errors, max_pipe_bytes);
        end({code_of(status), ""});
        flush();
    }
    return true;
}

void Command::end(const exec::Ended& ended) {
    if (std::exchange(has_ended_, true)) {
        return;
    }
    if (child_ != 0) {  // What asked for it makes no sense.
        ::kill(-child_, SIGKILL);
    }
    input_ = {};
    output_ = {};
    errors_ = {};
    unread_.clear();
    unsent_ += exec::ended_frame(ended);
}

void Command::flush() {
    while (connection_ && sent_ < unsent_.size()) {
        const ssize_t count =
            ::send(connection_.get(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
        if (must_wait(count)) {
            unsent_.erase(0, std::exchange(sent_, 0));
            return;
        }
        if (count < 0) {
            return hang_up();
        }
        sent_ += static_cast<std::size_t>(count);
    }
    unsent_.clear();
    sent_ = 0;
    if (has_ended_) {
        connection_ = {};
    }
}

void Command::hang_up() {
    if (child_ != 0) {
        ::kill(-child_, SIGKILL);
    }
    connection_ = {};
    input_ = {};
    output_ = {};
    errors_ = {};
    unread_.clear();
    unsent_.clear();
    sent_ = 0;
}

}  // namespace shoal::exec_agent
