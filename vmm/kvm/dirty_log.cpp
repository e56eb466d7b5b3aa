// KVM's dirty log, slot by slot.
#include "vmm/kvm/dirty_log.h"

#include <cstddef>
#include <system_error>
#include <vector>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "vmm/kvm/ioctl.h"

namespace shoal::kvm {
namespace {

constexpr std::size_t pages_per_word = 64;

std::size_t words_of(std::uint64_t size_bytes) {
    return (size_bytes / abi::page_size + pages_per_word - 1) / pages_per_word;
}

}  // namespace

DirtyLog::DirtyLog(Vm& vm, const machine::GuestMemory& memory) : vm_{vm}, memory_{memory} {
    vm_.set_memory(memory_, DirtyLogging::on);
}

DirtyLog::~DirtyLog() {
    try {
        vm_.set_memory(memory_, DirtyLogging::off);
    } catch (const std::system_error&) {
        // The guest goes on, a little slower.
    }
}

// The hole begins at a multiple of 64 pages, so the second region begins with a word of its own.
void DirtyLog::take(std::span<std::uint64_t> bitmap) {
    SHOAL_CHECK(bitmap.size() == words_of(memory_.size_bytes()));
    std::uint32_t slot = 0;  // as Vm::set_memory() counts
    for (const machine::RamRegion& region : memory_.regions()) {
        std::vector<std::uint64_t> words(words_of(region.bytes.size()));
        kvm_dirty_log wanted{};
        wanted.slot = slot++;
        wanted.dirty_bitmap = words.data();
        SHOAL_KVM_CALL(vm_.fd(), KVM_GET_DIRTY_LOG, &wanted);
        const std::size_t first = words_of(region.file_offset);
        for (std::size_t idx = 0; idx < words.size(); ++idx) {
            bitmap[first + idx] |= words[idx];
        }
    }
}

}  // namespace shoal::kvm
