// termios(3), signalfd(2).
#include "controlplane/cli/terminal_mode.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
        sigaddset(&set, number);
    }
    return set;
}

}  // namespace

TerminalMode::TerminalMode(Keys keys, char escape) {
    const sigset_t set = ending_signals();
    signals_ = host::UniqueFd{::signalfd(-1, &set, SFD_CLOEXEC)};
    host::check_os(signals_.get(), "signalfd");
    host::check_os(::tcgetattr(STDIN_FILENO, &before_), "tcgetattr");
    termios now = before_;
    if (keys == Keys::raw) {
        ::cfmakeraw(&now);
        now.c_oflag |= before_.c_oflag & OPOST;  // A guest may end its lines by \n alone.
    } else {
        now.c_cc[VEOL] = static_cast<cc_t>(escape);
    }
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    host::check_os(::tcsetattr(STDIN_FILENO, TCSADRAIN, &now), "tcsetattr");
}

TerminalMode::~TerminalMode() {
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

}  // namespace shoal::cli
