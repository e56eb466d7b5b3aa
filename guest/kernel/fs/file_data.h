// FileData: the bytes of a regular file: those of the initramfs or of a disk where they lie, pages
// of its own where it was written, and nothing where it never was (zeros).
//
// The first write to a page that lies elsewhere copies that page. Bytes of an own page beyond the
// end of the file are zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/errno.h"
#include "guest/kernel/fs/lower_bytes.h"
#include "guest/kernel/fs/page_tree.h"
#include "guest/kernel/fs/transfer.h"

namespace shoal::guest {

class FileData {
public:
    static constexpr std::uint64_t page_bytes = 4096;
    static constexpr std::uint64_t size_max = 0x7FFF'FFFF'FFFF'FFFF;

    FileData() noexcept = default;
    // The bytes outlive everything and never change.
    explicit FileData(std::span<const std::byte> extent) noexcept
        : extent_{extent}, lower_size_{extent.size()}, size_{extent.size()} {}
    // The bytes outlive this object and never change.
    FileData(LowerBytes& lower, std::uint64_t size_bytes) noexcept
        : lower_{&lower}, lower_size_{size_bytes}, size_{size_bytes} {}
    FileData(const FileData&) = delete;
    FileData& operator=(const FileData&) = delete;
    ~FileData() = default;

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t allocated_bytes() const noexcept;
    // Only before anything was written.
    void adopt(std::span<const std::byte> extent) noexcept {
        extent_ = extent;
        size_ = lower_size_ = extent.size();
    }
    // What is still borrowed; empty once the file was written.
    [[nodiscard]] std::span<const std::byte> unwritten_extent() const noexcept {
        return pages_.empty() ? extent_.first(lower_size_) : std::span<const std::byte>{};
    }

    // Fails with Errno::fault if not even the first bytes were taken, and as LowerBytes does.
    [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, Destination& to,
                                           std::size_t count) const;
    // Errno::nospc when memory is gone, Errno::fbig beyond size_max, Errno::fault.
    [[nodiscard]] Result<std::size_t> write(std::uint64_t offset, Source& from, std::size_t count);
    [[nodiscard]] Result<void> resize(std::uint64_t size_bytes);
    // Own pages where there is nothing, so that writes cannot fail; does not change the size.
    [[nodiscard]] Result<void> reserve(std::uint64_t offset, std::uint64_t size_bytes);

    [[nodiscard]] const void* page_for_read(std::uint64_t index) const noexcept;
    // As it is and will be, until an own page takes its place or goes: see page_count().
    [[nodiscard]] const void* page_for_sharing(std::uint64_t index) noexcept;
    // Own pages.
    [[nodiscard]] std::uint64_t page_count() const noexcept { return page_count_; }
    [[nodiscard]] std::uint64_t next_data(std::uint64_t offset) const noexcept;
    [[nodiscard]] std::uint64_t next_hole(std::uint64_t offset) const noexcept;

private:
    // Bytes in a row from `offset`, at most `count`.
    [[nodiscard]] Result<Piece> piece_at(std::uint64_t offset, std::size_t count) const noexcept;
    [[nodiscard]] std::byte* own_page(std::uint64_t index) const noexcept {
        return static_cast<std::byte*>(pages_.find(index));
    }
    [[nodiscard]] Result<std::byte*> make_page(std::uint64_t index) noexcept;
    [[nodiscard]] bool has_data(std::uint64_t index) const noexcept;
    void shrink(std::uint64_t size_bytes) noexcept;

    std::span<const std::byte> extent_{};
    LowerBytes* lower_ = nullptr;
    std::uint64_t lower_size_ = 0;  // what is still to be seen of either
    std::uint64_t size_ = 0;
    PageTree pages_{};
    std::uint64_t page_count_ = 0;
};

}  // namespace shoal::guest
