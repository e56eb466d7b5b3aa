// The fork, and what the child says.
#include "vmm/state/snapshot_writer.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"
#include "vmm/machine/page_set.h"

namespace shoal::state {
namespace {

constexpr std::size_t stack_bytes = 128 << 10;

// Without a thread it is not done here: what owns something gives it back a little later, with the
// guest's pause a little longer.
void run_beside(std::optional<vmm::Thread>& thread, const char* name, std::function<void()> body) {
    try {
        thread.emplace(name, stack_bytes, std::move(body));
    } catch (const std::system_error& error) {
        host::log(host::LogLevel::warn, error.what());
    }
}

}  // namespace

SnapshotWriter::SnapshotWriter(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                               machine::GuestMemory& memory, std::optional<Difference> difference,
                               DriveCopies drives)
    : files_{std::in_place, paths, saved, std::move(difference), std::move(drives)},
      id_{files_->id()},
      memory_{memory} {
    host::Pipe report = host::make_pipe();
    report_ = std::move(report.read);
    auto before = std::make_shared<host::Mapping>(memory.make_private());
    const pid_t parent = ::getpid();
    child_ = static_cast<pid_t>(host::check_os(::fork(), "fork"));
    if (child_ == 0) {
        write_in_child(memory, parent, report.write.get());
    }
    // From here on nothing may throw: the child would go on, and nobody hear of its end.
    run_beside(unmapping_, "unmap", [before]() mutable { before.reset(); });
    before.reset();
}

SnapshotWriter::~SnapshotWriter() {
    if (state() == WriterState::writing) {
        ::kill(child_, SIGKILL);
        // Its files go with files_.
        while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

// The one thread of a process of its own. What the others held (the log's lock) is held for ever;
// malloc's locks are not, the C library sees to that.
void SnapshotWriter::write_in_child(const machine::GuestMemory& memory, pid_t parent,
                                    int report_fd) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
        ::_exit(1);  // it ended before it could take the child with it
    }
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
        ::signal(number, SIG_DFL);  // the parent's handlers write to the parent's pipe
    }
    int code = 0;
    try {
        files_->write(memory);
    } catch (const std::exception& error) {
        const std::string_view sentence = error.what();
        static_cast<void>(::write(report_fd, sentence.data(), sentence.size()) == 0);
        code = 1;
    }
    ::_exit(code);
}

WriterState SnapshotWriter::state() {
    int status = 0;
    if (state_ == WriterState::writing && ::waitpid(child_, &status, WNOHANG) == child_) {
        const bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        state_ = is_done ? WriterState::done : WriterState::failed;
        if (is_done) {
            files_->leave();
        } else {
            read_sentence();
        }
        files_.reset();  // which removes what is not done
        free_replaced();
    }
    return state_;
}

// It is for the host's sake, and tried again before the next snapshot.
void SnapshotWriter::free_replaced() {
    unmapping_.reset();  // A mapping of before would count as somebody else's.
    run_beside(freeing_, "free", [this] {
        try {
            vmm::free_replaced(memory_);
        } catch (const std::system_error& error) {
            host::log(host::LogLevel::warn, error.what());
        }
    });
}

void SnapshotWriter::read_sentence() {
    std::array<char, 1024> buffer;
    const ssize_t size = ::read(report_.get(), buffer.data(), buffer.size());
    sentence_ = size > 0 ? std::string{buffer.data(), static_cast<std::size_t>(size)}
                         : "the process that wrote it was killed";
}

}  // namespace shoal::state
