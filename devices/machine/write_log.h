// WriteLog: which pages of the guest's memory this process has written to. KVM's dirty log knows
// only of those that vCPUs write to.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace shoal::machine {

// Off until somebody wants to know, which costs its writers a load each.
class WriteLog {
public:
    explicit WriteLog(std::uint64_t size_bytes);

    // Starts with nothing in it. While no device runs: what one writes at that moment might be
    // missed.
    void start() noexcept;
    void stop() noexcept { is_on_.store(false, std::memory_order_relaxed); }
    [[nodiscard]] bool is_on() const noexcept { return is_on_.load(std::memory_order_relaxed); }

    // After the bytes were written: `offset` counts as in the memory file. Any thread.
    void add(std::uint64_t offset, std::uint64_t size_bytes) noexcept;

    // Adds the pages that were added since the last call: page 64 * n + b is bit b of word n. Who
    // reads such a page afterwards sees what was written. Any thread, one at a time.
    void take(std::span<std::uint64_t> bitmap) noexcept;

private:
    std::size_t word_count_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
    std::atomic<bool> is_on_ = false;
};

}  // namespace shoal::machine
