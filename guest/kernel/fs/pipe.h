// Pipe: a bounded queue of bytes between two open files.
#pragma once

#include <memory>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

class Pipe final : public Inode {
public:
    static constexpr std::size_t default_capacity = 65536;
    static constexpr std::size_t capacity_max = 1U << 20;  // fs.pipe-max-size
    static constexpr std::size_t atomic_bytes = 4096;      // PIPE_BUF

    Pipe() noexcept : Inode{FileType::fifo, 0600} { attributes.link_count = 1; }

    // Neither waits: Errno::again while the pipe is empty and has writers, or is full.
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) override;
    // As read(), but the bytes stay until they are dropped (tee, splice).
    [[nodiscard]] Result<std::size_t> peek(Destination& to, std::size_t count);
    // At most waiting_bytes().
    void drop(std::size_t count) noexcept;
    [[nodiscard]] std::size_t room() const noexcept { return capacity_ - count_; }
    [[nodiscard]] Seek seek() const noexcept override { return Seek::refused; }
    Result<void> opened(OpenFile& file) override;
    void closed(OpenFile& file) noexcept override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] WaitQueue* wait_queue(const OpenFile& file) noexcept override {
        return file.may_read() ? &readers_waiting_ : &writers_waiting_;
    }
    // FIONREAD.
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override { return count_; }
    [[nodiscard]] Pipe* as_pipe() noexcept override { return this; }

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    // F_SETPIPE_SZ: rounded up to a power of two of pages. Errno::inval for 0 and for what is
    // larger than Linux allows, Errno::perm beyond capacity_max, Errno::busy for less than is in
    // the pipe, Errno::nomem.
    [[nodiscard]] Result<void> set_capacity(std::size_t size_bytes);

private:
    // The bytes in a row from ring position `at` on, at most `count`.
    [[nodiscard]] std::span<std::byte> ring(std::size_t at, std::size_t count) noexcept;
    [[nodiscard]] Result<std::size_t> copy_out(Destination& to, std::size_t count);
    void wake_all() noexcept;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_ = default_capacity;
    std::size_t start_ = 0;
    std::size_t count_ = 0;
    std::uint32_t readers_ = 0;
    std::uint32_t writers_ = 0;
    WaitQueue readers_waiting_;  // files open for both wait here, too
    WaitQueue writers_waiting_;
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
