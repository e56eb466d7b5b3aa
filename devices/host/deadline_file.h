// DeadlineFile: one moment that many processes of a host look at, in a file that all of them map.
// 8 bytes: nanoseconds of CLOCK_BOOTTIME, which also counts while the host sleeps; native byte
// order; 0 in a new file, which has passed.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "devices/host/clock.h"
#include "devices/host/mapping.h"

namespace shoal::host {

[[nodiscard]] inline std::uint64_t boottime_ns() noexcept {
    return clock_ns(CLOCK_BOOTTIME);
}

class DeadlineFile {
public:
    enum class Access { read, write };

    // `write` makes the file if it is missing. Throws std::system_error.
    DeadlineFile(const std::string& path, Access access);

    // Any thread, any process.
    [[nodiscard]] std::uint64_t deadline_ns() const noexcept {
        return std::atomic_ref{*word_}.load(std::memory_order_acquire);
    }
    [[nodiscard]] bool has_passed() const noexcept { return boottime_ns() >= deadline_ns(); }
    // With Access::write.
    void set(std::uint64_t deadline_ns) noexcept {
        std::atomic_ref{*word_}.store(deadline_ns, std::memory_order_release);
    }

private:
    Mapping mapping_;
    std::uint64_t* word_;
};

}  // namespace shoal::host
