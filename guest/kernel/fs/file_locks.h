// FileLocks: who has locked which bytes of a file, advisory, as fcntl(2) and flock(2) have it.
//
// Locks of one owner never conflict: a new one takes the place of the old ones where they overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "guest/kernel/errno.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

class FileLocks {
public:
    enum class Kind : std::uint8_t { none, shared, exclusive };
    // The last byte of a lock to the end of the file, however long it gets.
    static constexpr std::uint64_t end = 0x7FFF'FFFF'FFFF'FFFF;
    // Of one file. Linux has none; a program with more has lost count.
    static constexpr std::size_t limit = 4096;

    struct Lock {
        const void* owner = nullptr;
        Kind kind = Kind::none;
        std::uint64_t first = 0;
        std::uint64_t last = end;
        int process = 0;  // whom F_GETLK names; -1 for an open file
    };

    // The first of another owner's that a lock cannot be beside; nullptr if there is none.
    [[nodiscard]] const Lock* find_conflict(const Lock& wanted) const noexcept;
    // Takes it, or with Kind::none gives these bytes free. Errno::nolck at the limit.
    [[nodiscard]] Result<void> set(const Lock& wanted);
    // All of the owner's.
    void release(const void* owner) noexcept;

    // Woken when a lock goes.
    [[nodiscard]] WaitQueue& changed() noexcept { return changed_; }

private:
    std::vector<Lock> locks_{};
    WaitQueue changed_{};
};

// A file's: flock(2) and fcntl(2) know nothing of each other.
struct InodeLocks {
    FileLocks whole{};   // owners: OpenFile
    FileLocks ranges{};  // owners: FileTable (POSIX), OpenFile (F_OFD_...)
};

}  // namespace shoal::guest
