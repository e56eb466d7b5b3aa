// EventFile: eventfd(2), a counter that wakes who waits for it.
#pragma once

#include <limits>

#include "guest/kernel/events/anonymous_file.h"

namespace shoal::guest {

enum class EventCounting { all, semaphore };

class EventFile final : public AnonymousFile {
public:
    static constexpr Kind file_kind = Kind::event;
    static constexpr std::uint64_t counter_max = std::numeric_limits<std::uint64_t>::max() - 1;

    EventFile(std::uint64_t counter, EventCounting counting) noexcept
        : AnonymousFile{file_kind}, counter_{counter}, counting_{counting} {}

    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;

private:
    std::uint64_t counter_;
    EventCounting counting_;
};

}  // namespace shoal::guest
