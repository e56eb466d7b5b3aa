// FileData: the bytes of a regular file: those of the initramfs where they lie, pages of its own
// where it was written, and nothing where it never was (zeros).
//
// The first write to a page that lies in the initramfs copies that page. Own pages hang in a radix
// tree of pages with 512 pointers each, whose height follows the size; bytes of an own page beyond
// the end of the file are zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/errno.h"
#include "guest/kernel/fs/transfer.h"

namespace shoal::guest {

class FileData {
public:
    static constexpr std::uint64_t page_bytes = 4096;
    static constexpr std::uint64_t size_max = 0x7FFF'FFFF'FFFF'FFFF;

    FileData() noexcept = default;
    // The bytes outlive everything and never change.
    explicit FileData(std::span<const std::byte> extent) noexcept
        : extent_{extent}, size_{extent.size()} {}
    FileData(const FileData&) = delete;
    FileData& operator=(const FileData&) = delete;
    ~FileData();

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t allocated_bytes() const noexcept;
    // Only before anything was written.
    void adopt(std::span<const std::byte> extent) noexcept {
        extent_ = extent;
        size_ = extent.size();
    }
    // What is still borrowed; empty once the file was written.
    [[nodiscard]] std::span<const std::byte> unwritten_extent() const noexcept {
        return root_ == nullptr ? extent_ : std::span<const std::byte>{};
    }

    // Fails with Errno::fault if not even the first bytes were taken.
    [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, Destination& to,
                                           std::size_t count) const;
    // Errno::nospc when memory is gone, Errno::fbig beyond size_max, Errno::fault.
    [[nodiscard]] Result<std::size_t> write(std::uint64_t offset, Source& from, std::size_t count);
    [[nodiscard]] Result<void> resize(std::uint64_t size_bytes);
    // Own pages where there is nothing, so that writes cannot fail; does not change the size.
    [[nodiscard]] Result<void> reserve(std::uint64_t offset, std::uint64_t size_bytes);

    [[nodiscard]] const void* page_for_read(std::uint64_t index) const noexcept;
    [[nodiscard]] std::uint64_t next_data(std::uint64_t offset) const noexcept;
    [[nodiscard]] std::uint64_t next_hole(std::uint64_t offset) const noexcept;

private:
    static constexpr unsigned fan_out_bits = 9;
    static constexpr std::size_t fan_out = 1U << fan_out_bits;
    static constexpr unsigned page_shift = 12;
    using Table = void* [fan_out];

    enum class Absent { leave, make };

    // Bytes in a row from `offset`, at most `count`; without data for a hole.
    struct Piece {
        const std::byte* data;
        std::size_t size;
    };
    [[nodiscard]] Piece piece_at(std::uint64_t offset, std::size_t count) const noexcept;
    [[nodiscard]] std::byte* own_page(std::uint64_t index) const noexcept;
    [[nodiscard]] std::byte* make_page(std::uint64_t index) noexcept;
    [[nodiscard]] bool covers(std::uint64_t index) const noexcept;
    [[nodiscard]] bool has_data(std::uint64_t index) const noexcept;
    void shrink(std::uint64_t size_bytes) noexcept;
    // Frees the pages from `first` on below `node`; true when nothing is left of it.
    bool free_from(void* node, unsigned height, std::uint64_t base, std::uint64_t first) noexcept;

    std::span<const std::byte> extent_;
    std::uint64_t size_ = 0;
    void* root_ = nullptr;  // height 0: the page with index 0; else a Table
    unsigned height_ = 0;
    std::uint64_t page_count_ = 0;
};

}  // namespace shoal::guest
