// BlockDevice: a disk, as file systems and /dev see it. The kernel implements it over its driver.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/errno.h"

namespace shoal::guest {

// What is asked of a disk. Belongs to the caller, with its pages, until it is over.
struct BlockRequest {
    static constexpr std::size_t pages_max = 32;

    enum class Kind { read, write, flush };
    enum class State { idle, in_flight, done, failed };

    Kind kind = Kind::read;
    State state = State::idle;
    std::uint64_t offset = 0;  // in bytes, whole sectors
    // The bytes lie in one page after the other, from the start of the first on.
    std::array<std::byte*, pages_max> pages{};
    std::uint32_t size_bytes = 0;  // whole sectors
};

class BlockDevice {
public:
    static constexpr std::uint64_t sector_bytes = 512;
    static constexpr std::uint64_t page_bytes = 4096;

    [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
    enum class Access { read_only, read_write };
    [[nodiscard]] virtual Access access() const = 0;
    // Pages that one request may have; at most BlockRequest::pages_max, at least one.
    [[nodiscard]] virtual std::size_t request_pages_max() const = 0;

    // Sends the request on its way; waits while the queue is full. It lies within the device.
    virtual void submit(BlockRequest& request) = 0;
    // Returns when the request is over. The CPU halts meanwhile: nothing else runs, so that callers
    // need not expect the kernel's state to have changed.
    virtual void wait(BlockRequest& request) = 0;
    // The same, but other threads run meanwhile: callers hold references, and look again.
    virtual void sleep(BlockRequest& request) = 0;

protected:
    ~BlockDevice() = default;
};

// Submits, sleeps, and says how it went: Errno::io.
[[nodiscard]] inline Result<void> transfer(BlockDevice& device, BlockRequest& request) {
    device.submit(request);
    device.sleep(request);
    return request.state == BlockRequest::State::done ? Result<void>{} : fail(Errno::io);
}

}  // namespace shoal::guest
