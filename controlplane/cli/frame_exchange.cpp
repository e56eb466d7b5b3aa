// Input is read only as far as there is credit for it, or dropped. What the guest says is hostile.
#include "controlplane/cli/frame_exchange.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

using exec::FrameType;

constexpr std::size_t piece_bytes = std::size_t{32} << 10;
// More than anybody who keeps to the window gives.
constexpr std::size_t max_credit = std::size_t{1} << 30;

// False: the other end is gone.
[[nodiscard]] bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno != EINTR) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    return true;
}

// As a shell's command whose reader is gone: what runs in the guest is left.
void write_output(int fd, std::string_view bytes) {
    if (!write_all(fd, bytes)) {
        throw CliError(fd == STDOUT_FILENO ? "cannot write to stdout" : "cannot write to stderr");
    }
}

}  // namespace

std::string printable(std::string text) {
    std::ranges::replace_if(
        text, [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; },
        ' ');
    return text;
}

FrameExchange::FrameExchange(Upgraded upgraded, std::string peer, std::optional<Terminal> terminal)
    : connection_{std::move(upgraded.connection)},
      peer_{std::move(peer)},
      terminal_{std::move(terminal)} {
    frames_.append(upgraded.early);
}

void FrameExchange::send(const exec::Frame& frame) const {
    const std::string bytes = exec::to_bytes(frame);
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const ssize_t count = ::send(connection_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            return;
        }
        rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
}

std::optional<exec::Ended> FrameExchange::run() {
    for (take_frames(); !ended_ && !is_left_; take_frames()) {
        wait_for_event();
    }
    return ended_;
}

void FrameExchange::wait_for_event() {
    const bool wants_input = is_input_open_ && (credit_ > 0 || (terminal_ && had_credit_));
    std::array<pollfd, 3> entries{{{connection_.get(), POLLIN, 0},
                                   {wants_input ? STDIN_FILENO : -1, POLLIN, 0},
                                   {terminal_ ? terminal_->stop_fd : -1, POLLIN, 0}}};
    if (::poll(entries.data(), entries.size(), -1) < 0) {
        return;  // EINTR
    }
    is_left_ = entries[2].revents != 0;
    if (entries[0].revents != 0) {
        receive();
    }
    if (entries[1].revents != 0) {
        forward_input();
    }
}

void FrameExchange::receive() {
    std::array<char, piece_bytes> bytes;
    const ssize_t count = ::recv(connection_.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) {
        return;
    }
    if (count <= 0) {
        throw CliError("the microVM hung up before " + peer_ + " had ended");
    }
    frames_.append({bytes.data(), static_cast<std::size_t>(count)});
}

void FrameExchange::forward_input() {
    std::array<char, piece_bytes> bytes;
    const std::size_t most = terminal_ ? bytes.size() : std::min(bytes.size(), credit_);
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), most);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    std::string_view input{bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    is_input_open_ = !input.empty();
    if (terminal_) {
        const Typed typed = terminal_->typed(input);
        is_left_ = is_left_ || typed.leaves;
        input = typed.input.substr(0, credit_);
        if (input.empty()) {  // which would be the end
            return;
        }
    }
    credit_ -= input.size();
    send({FrameType::input, input});
}

void FrameExchange::take_frames() {
    try {
        while (const auto frame = frames_.next()) {
            take(*frame);
        }
    } catch (const exec::FrameError& error) {
        throw CliError("the microVM does not keep to the protocol: " + std::string{error.what()});
    }
}

void FrameExchange::take(const exec::Frame& frame) {
    if (ended_) {
        throw exec::FrameError{"a frame comes behind the last one"};
    }
    switch (frame.type) {
        case FrameType::output:
            return write_output(STDOUT_FILENO, frame.payload);
        case FrameType::errors:
            return write_output(STDERR_FILENO, frame.payload);
        case FrameType::credit: {
            const auto count = exec::credit_in(frame.payload);
            if (!count || *count > max_credit - credit_) {
                throw exec::FrameError{"its credit for input makes no sense"};
            }
            credit_ += *count;
            had_credit_ = true;
            return;
        }
        case FrameType::ended:
            ended_ = exec::ended_in(frame.payload);
            if (!ended_) {
                throw exec::FrameError{"how " + peer_ + " ended is not said"};
            }
            return;
        case FrameType::start:
        case FrameType::input:
            throw exec::FrameError{"a frame is for the guest alone"};
    }
}

}  // namespace shoal::cli
