// BlockCache: blocks of 4 KiB of a read-only disk, in memory as far as they were read.
//
// A sequential reader finds the next blocks on their way: its window of read-ahead grows to
// 128 KiB, and the following window is asked for when one is reached. Blocks that are not kept for
// a mapping make room for others in the order in which they came, except those that were used
// meanwhile (second chance); and for the rest of the kernel and the program when memory is gone.
#pragma once

#include <array>
#include <memory>

#include "guest/kernel/fs/block_device.h"
#include "guest/kernel/fs/page_tree.h"
#include "guest/kernel/physical_memory.h"

namespace shoal::guest {

// A reader's place on the disk. A reader of single blocks has one for each.
struct ReadAhead {
    std::uint64_t next = 0;    // the block behind the window
    std::uint64_t window = 0;  // blocks
};

class BlockCache final : public MemoryHolder {
public:
    static constexpr std::uint64_t block_bytes = BlockDevice::page_bytes;
    // What was just found outlives what a page fault brings in while it is copied: two times a
    // window of fault-around and two of read-ahead. So many blocks never make room for others.
    static constexpr std::size_t evictable_from = 256;
    static constexpr std::size_t limit_min = 2 * evictable_from;

    // Holds at most `limit` blocks (at least limit_min), besides those that are kept.
    BlockCache(BlockDevice& device, std::size_t limit);
    BlockCache(const BlockCache&) = delete;
    BlockCache& operator=(const BlockCache&) = delete;
    ~BlockCache() override;

    [[nodiscard]] std::uint64_t block_count() const noexcept { return block_count_; }
    // Blocks that are not kept go, some at a time, down to evictable_from.
    bool give_back() override;
    // The content of a block, which outlives the next page fault. Nothing from block `end` on is
    // read ahead. Errno::uclean for a block beyond the disk's end, Errno::io, Errno::nomem.
    [[nodiscard]] Result<const std::byte*> find(std::uint64_t block, std::uint64_t end,
                                                ReadAhead& ahead);
    // Reads the block if it must, while other threads run: find() has it then, as a rule.
    void bring_in(std::uint64_t block, std::uint64_t end, ReadAhead& ahead);
    // As find(), valid for ever.
    [[nodiscard]] Result<const std::byte*> keep(std::uint64_t block, std::uint64_t end,
                                                ReadAhead& ahead);

private:
    // Blocks in a row that are on their way.
    struct Run {
        std::uint64_t first = 0;
        std::uint64_t count = 0;  // 0: free
        BlockRequest request{};
    };

    [[nodiscard]] std::byte* cached(std::uint64_t block) noexcept;
    [[nodiscard]] Run* run_with(std::uint64_t block) noexcept;
    [[nodiscard]] Run& take_run();
    [[nodiscard]] Result<void> request(std::uint64_t block, std::uint64_t end, ReadAhead& ahead);
    [[nodiscard]] Result<void> fetch(std::uint64_t block, std::uint64_t end, ReadAhead& ahead);
    [[nodiscard]] Result<void> submit(std::uint64_t first, std::uint64_t count);
    [[nodiscard]] Result<void> land(Run& run);
    [[nodiscard]] bool insert(std::uint64_t block, std::byte* page) noexcept;
    [[nodiscard]] std::byte* take_page() noexcept;
    [[nodiscard]] std::byte* evict_oldest() noexcept;
    [[nodiscard]] bool push_clock(std::uint64_t block) noexcept;

    BlockDevice& device_;
    std::size_t limit_;
    std::uint64_t block_count_;
    PageTree tree_{};
    // A ring of the blocks that may go, the oldest at the hand; some may be kept by now.
    std::unique_ptr<std::uint64_t[]> clock_{};
    std::size_t clock_size_ = 0;
    std::size_t hand_ = 0;
    std::size_t clock_count_ = 0;
    std::array<Run, 8> runs_{};
    std::size_t oldest_run_ = 0;
};

}  // namespace shoal::guest
