// Pipe: a bounded queue of bytes between two open files.
#pragma once

#include <memory>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

// Nobody else runs while a reader or writer waits, so what would block fails with Errno::again.
class Pipe final : public Inode {
public:
    static constexpr std::size_t capacity = 65536;
    static constexpr std::size_t atomic_bytes = 4096;  // PIPE_BUF

    Pipe() noexcept : Inode{FileType::fifo, 0600} { attributes.link_count = 1; }

    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) override;
    [[nodiscard]] Seek seek() const noexcept override { return Seek::refused; }
    Result<void> opened(OpenFile& file) override;
    void closed(OpenFile& file) noexcept override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    // FIONREAD.
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override { return count_; }

private:
    // The bytes in a row from ring position `at` on, at most `count`.
    [[nodiscard]] std::span<std::byte> ring(std::size_t at, std::size_t count) noexcept;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t start_ = 0;
    std::size_t count_ = 0;
    std::uint32_t readers_ = 0;
    std::uint32_t writers_ = 0;
};

struct PipeEnds {
    OpenFileRef read_end;
    OpenFileRef write_end;
};

// The entry of a pipe, which has no place in the tree: pipe:[number]. Empty when memory is gone.
[[nodiscard]] EntryRef make_pipe_entry(const InodeRef& inode);

// `flags`: O_NONBLOCK and O_DIRECT of pipe2(2). Errno::nomem.
[[nodiscard]] Result<PipeEnds> make_pipe(FileSystem& file_system, std::uint32_t flags);

}  // namespace shoal::guest
