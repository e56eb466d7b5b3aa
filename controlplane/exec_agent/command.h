// Command: a connection from the host, and the command that it asks for.
//
// It is killed with its process group (SIGKILL) when the connection ends before it does. It has
// ended when its first process has: what that left in the pipes is sent, what others write to them
// later is not.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "controlplane/exec/frame.h"
#include "controlplane/exec/start.h"
#include "devices/host/unique_fd.h"

namespace shoal::exec_agent {

class Command {
public:
    static constexpr std::size_t poll_entries = 4;

    // A connection of stream sockets, non-blocking.
    explicit Command(host::UniqueFd connection) : connection_{std::move(connection)} {}
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;
    ~Command();

    // Ends it before it has begun.
    void refuse(std::string reason);

    // What it waits for; entries that it does not need have a descriptor below 0.
    [[nodiscard]] std::array<pollfd, poll_entries> waits_for() const;
    void on_events(std::span<const pollfd> entries);
    // False: it is another's.
    [[nodiscard]] bool on_child_ended(pid_t child, int status);
    // Nothing is left to do, and no child is left.
    [[nodiscard]] bool is_over() const noexcept { return !connection_ && child_ == 0; }

private:
    void receive();
    void take(const exec::Frame& frame);
    void start(std::string_view payload);
    void spawn(const exec::Start& start);
    void take_input(std::string_view bytes);
    void feed();
    void grant(std::size_t count);
    void collect(host::UniqueFd& pipe, exec::FrameType type, std::size_t limit_bytes);
    void end(const exec::Ended& ended);
    void flush();
    void hang_up();

    [[nodiscard]] bool may_collect() const noexcept {
        return unsent_.size() - sent_ < exec::max_payload_bytes;
    }

    host::UniqueFd connection_;  // none: it was cut
    exec::FrameReader frames_;
    std::string unsent_;
    std::size_t sent_ = 0;  // of unsent_
    bool is_started_ = false;
    bool has_ended_ = false;  // once what is unsent is sent, the connection ends
    pid_t child_ = 0;
    host::UniqueFd input_;
    host::UniqueFd output_;
    host::UniqueFd errors_;
    std::string unread_;          // of the input, by the command
    std::size_t granted_ = 0;     // what may come yet
    std::size_t to_grant_ = 0;    // what was read since
    bool is_input_over_ = false;  // after what is unread
};

}  // namespace shoal::exec_agent
