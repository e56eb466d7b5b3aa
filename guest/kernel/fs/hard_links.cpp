// HardLinks: open addressing, so that hostile numbers cost no more than a few probes each.
#include "guest/kernel/fs/hard_links.h"

namespace shoal::guest {

HardLinks::Slot& HardLinks::probe(std::uint32_t inode, std::uint32_t major, std::uint32_t minor) {
    // An odd multiplier spreads numbers that follow one another.
    std::size_t at = (inode ^ major << 16 ^ minor << 24) * 0x9E3779B1U;
    for (;; ++at) {
        Slot& slot = slots_[at & (slots_.size() - 1)];
        const bool is_same = slot.inode == inode && slot.major == major && slot.minor == minor;
        if (!slot.file || is_same) {
            return slot;
        }
    }
}

void HardLinks::grow() {
    std::vector<Slot> old = std::move(slots_);
    slots_ = std::vector<Slot>(old.empty() ? 16 : 2 * old.size());
    for (Slot& slot : old) {
        if (slot.file) {
            probe(slot.inode, slot.major, slot.minor) = std::move(slot);
        }
    }
}

Ref<RegularFile>& HardLinks::find(const CpioMember& member) {
    if (2 * (count_ + 1) > slots_.size()) {
        grow();
    }
    Slot& slot = probe(member.inode, member.major, member.minor);
    if (!slot.file) {
        ++count_;
        slot.inode = member.inode;
        slot.major = member.major;
        slot.minor = member.minor;
    }
    return slot.file;
}

}  // namespace shoal::guest
