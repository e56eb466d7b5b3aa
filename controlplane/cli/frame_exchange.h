// FrameExchange: this process's standard streams as the frames of controlplane/exec.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/cli/client.h"
#include "controlplane/exec/frame.h"

namespace shoal::cli {

// What somebody has typed at a terminal.
struct Typed {
    std::string_view input;
    bool leaves = false;  // behind that
};

// At a terminal stdin is always read, once there is some credit: what the other side has no room
// for then is dropped.
struct Terminal {
    // Of bytes that were read; of none at the end of input.
    std::function<Typed(std::string_view)> typed;
    int stop_fd = -1;  // leaves when it is readable
};

class FrameExchange {
public:
    // `terminal`: nothing where stdin is read to its end, as far as there is credit. `peer`: who
    // speaks on the other side, for sentences.
    FrameExchange(Upgraded upgraded, std::string peer, std::optional<Terminal> terminal = {});

    // A connection that is gone shows later, in run().
    void send(const exec::Frame& frame) const;
    // Until the other side says how it ended. Nothing: the terminal was left. Throws CliError.
    [[nodiscard]] std::optional<exec::Ended> run();

private:
    void wait_for_event();
    void receive();
    void forward_input();
    void take_frames();
    void take(const exec::Frame& frame);

    host::UniqueFd connection_;
    std::string peer_;
    std::optional<Terminal> terminal_;
    exec::FrameReader frames_;
    std::size_t credit_ = 0;
    bool had_credit_ = false;
    bool is_input_open_ = true;
    bool is_left_ = false;
    std::optional<exec::Ended> ended_;
};

// For a terminal: what is no character becomes a space.
[[nodiscard]] std::string printable(std::string text);

}  // namespace shoal::cli
