// CloneFile: /dev/clone, where a program waits to be copied and learns which copy it is.
//
// A read waits until the microVM has been loaded from a snapshot since the file was opened. Then it
// gives what the copy was told: NUL-terminated strings, its id first, then its arguments; nothing
// if nobody told it anything. After that comes the end of the file. Whoever wants to be copied
// again opens it again.
#pragma once

#include "guest/kernel/fs/inode.h"

namespace shoal::guest {

// What the kernel knows of the microVM's copies.
class CloneSource {
public:
    // Counts the loads; another number means that this is a copy of what had the one before.
    [[nodiscard]] virtual std::uint64_t generation() = 0;
    [[nodiscard]] virtual std::span<const char> words() const = 0;
    // Woken after each load. Whoever asks for it waits for one: the host is told, once all other
    // threads wait too.
    [[nodiscard]] virtual WaitQueue& load_queue() noexcept = 0;

protected:
    ~CloneSource() = default;
};

class CloneFile final : public Inode {
public:
    // Borrows the source.
    CloneFile(std::uint32_t permissions, CloneSource& source) noexcept
        : Inode{FileType::character_device, permissions}, source_{source} {}

    Result<void> opened(OpenFile& file) override;
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override;
    [[nodiscard]] Seek seek() const noexcept override { return Seek::refused; }
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] WaitQueue* wait_queue(const OpenFile& file) noexcept override;

private:
    CloneSource& source_;
};

}  // namespace shoal::guest
