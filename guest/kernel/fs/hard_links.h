// HardLinks: the files of an archive with several names, by the numbers they had where they came
// from.
#pragma once

#include <cstdint>
#include <vector>

#include "guest/kernel/fs/cpio.h"
#include "guest/kernel/fs/regular_file.h"

namespace shoal::guest {

class HardLinks {
public:
    // The slot of this file; empty if it comes for the first time.
    Ref<RegularFile>& find(const CpioMember& member);
    void clear() {
        slots_.clear();
        count_ = 0;
    }

private:
    struct Slot {
        std::uint32_t inode = 0;
        std::uint32_t major = 0;
        std::uint32_t minor = 0;
        Ref<RegularFile> file{};
    };

    Slot& probe(std::uint32_t inode, std::uint32_t major, std::uint32_t minor);
    void grow();

    std::vector<Slot> slots_{};  // a power of two; at most half full
    std::size_t count_ = 0;
};

}  // namespace shoal::guest
