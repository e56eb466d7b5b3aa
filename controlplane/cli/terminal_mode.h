// TerminalMode: stdin, a terminal, as somebody needs it for a while.
#pragma once

#include <termios.h>

#include "devices/host/unique_fd.h"

namespace shoal::cli {

class TerminalMode {
public:
    enum class Keys {
        by_line,  // edited and shown here; `escape` hands over what there is of a line, at once
        raw,      // each as it is typed, and not shown; Ctrl-C is one of them
    };

    // Restored by the destructor; signals that would end the process are kept from it until then.
    // One at a time. Throws std::system_error.
    TerminalMode(Keys keys, char escape);
    TerminalMode(const TerminalMode&) = delete;
    TerminalMode& operator=(const TerminalMode&) = delete;
    ~TerminalMode();

    // Readable when such a signal has come.
    [[nodiscard]] int signals() const noexcept { return signals_.get(); }

private:
    termios before_{};
    host::UniqueFd signals_;
};

}  // namespace shoal::cli
