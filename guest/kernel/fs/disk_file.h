// DiskFile: /dev/vda and its like: the bytes of a disk as they are, past any cache.
//
// What was written is on its way to the host when write(2) returns, and on its medium after
// fsync(2). Transfers need no alignment; a sector that is written in part is read first.
#pragma once

#include "guest/kernel/fs/block_device.h"
#include "guest/kernel/fs/inode.h"
#include "guest/kernel/sched/turn.h"

namespace shoal::guest {

class DiskFile final : public Inode {
public:
    // Borrows the device for ever.
    DiskFile(std::uint32_t permissions, BlockDevice& device) noexcept
        : Inode{FileType::block_device, permissions}, device_{device} {}
    ~DiskFile() override;

    // 0, as Linux says: the size is asked for by BLKGETSIZE64 or lseek(2).
    [[nodiscard]] std::uint64_t size() const noexcept override { return 0; }
    [[nodiscard]] BlockDevice* as_disk() noexcept override { return &device_; }
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) override;
    Result<void> opened(OpenFile& file) override;
    // Errno::io.
    Result<void> sync() override;

private:
    // A part of a transfer: whole sectors around the bytes that are asked for.
    struct Part {
        std::uint64_t start = 0;   // of the sectors
        std::uint32_t size = 0;    // of the sectors
        std::uint32_t within = 0;  // where the bytes begin
        std::uint32_t count = 0;   // of the bytes
    };
    [[nodiscard]] Result<Part> next_part(std::uint64_t offset, std::size_t count);
    [[nodiscard]] Result<void> move(BlockRequest::Kind kind, std::uint64_t start,
                                    std::uint32_t size);
    // Calls `each` with the pieces of the buffer that hold the part's bytes.
    template <class Function>
    [[nodiscard]] Result<void> for_pieces(const Part& part, const Function& each);

    BlockDevice& device_;
    Turn turn_{};             // of whoever uses what follows
    BlockRequest request_{};  // with the buffer's pages, made when they are first needed
    std::size_t page_count_ = 0;
};

}  // namespace shoal::guest
