// Counting system calls, and changing the program's text.
#include "guest/kernel/patch/syscall_patcher.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/patch/syscall_site.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/user_memory.h"

extern "C" const char shoal_patched_entry[];

namespace shoal::guest {

void SyscallPatcher::note(AddressSpace& memory, std::uint64_t return_address) {
    Counter& counter = counters_[return_address / 2 % counters_.size()];
    if (counter.address != return_address) {
        counter = {return_address, 0};
    }
    if (++counter.count == hot_count) {
        patch(memory, return_address - syscall_bytes);
    }
}

void SyscallPatcher::patch(AddressSpace& memory, std::uint64_t site) {
    std::array<std::uint8_t, syscall_bytes + max_next_bytes> code;
    const std::uint64_t room = page_size - site % page_size;
    const std::size_t count = std::min<std::uint64_t>(code.size(), room);
    if (count < site_bytes || !copy_from_user(code.data(), site, count) || code[0] != 0x0F ||
        code[1] != 0x05) {
        return;
    }
    auto next = std::span<const std::uint8_t>{code}.first(count).subspan(syscall_bytes);
    next = next.first(relocatable_length(next));
    if (next.empty()) {
        return;
    }
    std::byte* const text = memory.own_text(site);
    const Patch* const made = text == nullptr ? nullptr : stub_for(memory, site, next);
    if (made != nullptr) {
        const auto jump = site_code(site, made->stub);
        stop_others();
        std::memcpy(text, jump.data(), jump.size());
        flush_pages(Flush::always);  // serializes: the CPU may have fetched the old bytes
    }
}

const SyscallPatcher::Patch* SyscallPatcher::stub_for(AddressSpace& memory, std::uint64_t site,
                                                      std::span<const std::uint8_t> next) {
    const auto known = std::ranges::find(patches_, site, &Patch::site);
    if (known != patches_.end()) {
        // The page came back from the file, or other code is at the same place now.
        return std::ranges::equal(next, std::span{known->next}.first(known->next_bytes)) ? &*known
                                                                                         : nullptr;
    }
    if (patches_.size() == max_patches) {
        return nullptr;
    }
    for (unsigned number = 0;; ++number) {
        const auto stub = stub_place(site, number);
        if (!stub) {
            return nullptr;
        }
        if (is_taken(*stub)) {
            continue;
        }
        const auto code =
            stub_code(site, *stub, next, reinterpret_cast<std::uint64_t>(shoal_patched_entry));
        if (!memory.write_stub(*stub, std::as_bytes(std::span{code}))) {
            return nullptr;
        }
        Patch& made = patches_.emplace_back(Patch{site, *stub, {}, next.size()});
        std::ranges::copy(next, made.next.begin());
        return &made;
    }
}

bool SyscallPatcher::is_taken(std::uint64_t stub) const {
    return std::ranges::any_of(patches_, [stub](const Patch& patch) {
        return stub < patch.stub + stub_bytes && patch.stub < stub + stub_bytes;
    });
}

bool SyscallPatcher::resolve_breakpoint(Registers& registers) const {
    // rip is behind the int3, which is the site's third byte.
    const std::uint64_t site = registers.rip - syscall_bytes - 1;
    const auto patch = std::ranges::find(patches_, site, &Patch::site);
    std::array<std::uint8_t, site_bytes> code;
    if (patch == patches_.end() || !copy_from_user(code.data(), site, code.size()) ||
        code != site_code(site, patch->stub)) {
        return false;
    }
    registers.rip = after_of(patch->stub);
    return true;
}

std::uint64_t SyscallPatcher::program_address(std::uint64_t rip) const {
    if (!is_stub_address(rip)) {
        return rip;
    }
    const auto patch = std::ranges::find_if(
        patches_, [rip](const Patch& candidate) { return after_of(candidate.stub) == rip; });
    return patch == patches_.end() ? rip : patch->site + syscall_bytes;
}

}  // namespace shoal::guest
