// RegularFile: a file with bytes.
#pragma once

#include "guest/kernel/fs/file_data.h"
#include "guest/kernel/fs/inode.h"

namespace shoal::guest {

class RegularFile : public Inode {
public:
    explicit RegularFile(std::uint32_t permissions) noexcept
        : Inode{FileType::regular, permissions} {}
    // The bytes outlive everything and never change.
    RegularFile(std::uint32_t permissions, std::span<const std::byte> extent) noexcept
        : Inode{FileType::regular, permissions}, data_{extent} {}
    // The same; borrows `lower` from its first use on.
    RegularFile(std::uint32_t permissions, LowerBytes& lower, std::uint64_t size_bytes) noexcept
        : Inode{FileType::regular, permissions}, data_{lower, size_bytes} {}

    [[nodiscard]] std::uint64_t size() const noexcept override { return data_.size(); }
    [[nodiscard]] std::uint64_t allocated_bytes() const noexcept override {
        return data_.allocated_bytes();
    }
    std::size_t read_at(std::uint64_t offset, std::span<std::byte> to) const override;
    [[nodiscard]] const void* page_for_read(std::uint64_t index) const noexcept override {
        return data_.page_for_read(index);
    }
    [[nodiscard]] std::span<const std::byte> borrowed_bytes() const noexcept override {
        return data_.unwritten_extent();
    }
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) override;
    [[nodiscard]] const void* page_for_sharing(std::uint64_t index) override {
        is_shared_ = true;
        return data_.page_for_sharing(index);
    }
    [[nodiscard]] bool is_shared() const noexcept override { return is_shared_; }
    Result<void> resize(std::uint64_t size_bytes) override;
    Result<void> reserve(std::uint64_t offset, std::uint64_t size_bytes) override;
    [[nodiscard]] std::uint64_t next_data(std::uint64_t offset) const noexcept override {
        return data_.next_data(offset);
    }
    [[nodiscard]] std::uint64_t next_hole(std::uint64_t offset) const noexcept override {
        return data_.next_hole(offset);
    }
    // Gives a file that was never written its bytes: hard links in an archive, whose data comes
    // with a later name.
    void adopt(std::span<const std::byte> extent) noexcept { data_.adopt(extent); }

private:
    FileData data_;
    bool is_shared_ = false;
};

}  // namespace shoal::guest
