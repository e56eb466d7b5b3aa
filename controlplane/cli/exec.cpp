// Input is read only as far as there is credit for it. What the guest says is hostile.
#include "controlplane/cli/exec.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "controlplane/cli/cli_error.h"
#include "controlplane/exec/frame.h"
#include "controlplane/exec/start.h"

namespace shoal::cli {
namespace {

using exec::FrameType;

constexpr std::size_t piece_bytes = std::size_t{32} << 10;
// More than any agent that keeps to its window gives.
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

std::string printable(std::string text) {
    std::ranges::replace_if(
        text, [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; },
        ' ');
    return text;
}

class Execution {
public:
    explicit Execution(Upgraded upgraded) : connection_{std::move(upgraded.connection)} {
        frames_.append(upgraded.early);
    }

    int run(const std::string& start) {
        send({FrameType::start, start});
        while (!take_frames()) {
            wait_for_event();
        }
        if (!ended_->reason.empty()) {
            throw CliError(printable(ended_->reason), static_cast<ExitCode>(ended_->code));
        }
        return ended_->code;
    }

private:
    // A connection that is gone shows at the next read.
    void send(const exec::Frame& frame) const {
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
    void wait_for_event() {
        const bool wants_input = is_input_open_ && credit_ > 0;
        std::array<pollfd, 2> entries{
            {{connection_.get(), POLLIN, 0}, {wants_input ? STDIN_FILENO : -1, POLLIN, 0}}};
        if (::poll(entries.data(), entries.size(), -1) < 0) {
            return;  // EINTR
        }
        if (entries[0].revents != 0) {
            receive();
        }
        if (entries[1].revents != 0) {
            forward_input();
        }
    }
    void receive() {
        std::array<char, piece_bytes> bytes;
        const ssize_t count = ::recv(connection_.get(), bytes.data(), bytes.size(), 0);
        if (count < 0 && errno == EINTR) {
            return;
        }
        if (count <= 0) {
            throw CliError("the microVM hung up before the command had ended");
        }
        frames_.append({bytes.data(), static_cast<std::size_t>(count)});
    }
    void forward_input() {
        std::array<char, piece_bytes> bytes;
        const ssize_t count = ::read(STDIN_FILENO, bytes.data(), std::min(bytes.size(), credit_));
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
            return;
        }
        const auto size = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
        is_input_open_ = size > 0;
        credit_ -= size;
        send({FrameType::input, {bytes.data(), size}});
    }
    // True: the command has ended.
    bool take_frames() {
        try {
            while (const auto frame = frames_.next()) {
                take(*frame);
            }
        } catch (const exec::FrameError& error) {
            throw CliError("the microVM does not keep to the protocol: " +
                           std::string{error.what()});
        }
        return ended_.has_value();
    }
    void take(const exec::Frame& frame) {
        if (ended_) {
            throw exec::FrameError{"a frame comes behind the last one"};
        }
        switch (frame.type) {
            case FrameType::output:
                return write_output(STDOUT_FILENO, frame.payload);
            case FrameType::errors:
                return write_output(STDERR_FILENO, frame.payload);
            case FrameType::credit:
                return take_credit(exec::credit_in(frame.payload));
            case FrameType::ended:
                ended_ = exec::ended_in(frame.payload);
                if (!ended_) {
                    throw exec::FrameError{"how the command ended is not said"};
                }
                return;
            case FrameType::start:
            case FrameType::input:
                throw exec::FrameError{"a frame is for the guest alone"};
        }
    }
    void take_credit(std::optional<std::uint32_t> count) {
        if (!count || *count > max_credit - credit_) {
            throw exec::FrameError{"its credit for input makes no sense"};
        }
        credit_ += *count;
    }
    // As a shell's command whose reader is gone: the command in the guest is ended.
    static void write_output(int fd, std::string_view bytes) {
        if (!write_all(fd, bytes)) {
            throw CliError(fd == STDOUT_FILENO ? "cannot write to stdout"
                                               : "cannot write to stderr");
        }
    }

    host::UniqueFd connection_;
    exec::FrameReader frames_;
    std::size_t credit_ = 0;
    bool is_input_open_ = true;
    std::optional<exec::Ended> ended_;
};

}  // namespace

int exec(const Client& client, const ExecOptions& options, const std::string& target) {
    const std::string start = exec::to_payload({options.folder, options.words, options.env});
    Upgraded upgraded;
    try {
        upgraded = client.upgrade({"POST", target}, exec::protocol);
    } catch (const CliError& error) {
        throw CliError(error.what());  // Exit code 1 would be the command's.
    }
    return Execution{std::move(upgraded)}.run(start);
}

}  // namespace shoal::cli
