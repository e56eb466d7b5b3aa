// SignalFile: signalfd(2), the pending signals of a set as records.
#pragma once

#include "guest/kernel/events/anonymous_file.h"
#include "guest/kernel/thread_signals.h"

namespace shoal::guest {

class SignalFile final : public AnonymousFile {
public:
    static constexpr Kind file_kind = Kind::signal;

    explicit SignalFile(std::uint64_t set) noexcept : AnonymousFile{file_kind}, set_{set} {}

    void change_set(std::uint64_t set) noexcept {
        set_ = set;
        signal_queue().wake_all();
    }

    // As many struct signalfd_siginfo as there are and fit.
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] WaitQueue* wait_queue(const OpenFile&) noexcept override {
        return &signal_queue();
    }

private:
    std::uint64_t set_;
};

}  // namespace shoal::guest
