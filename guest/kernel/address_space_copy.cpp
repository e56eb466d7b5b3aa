// Address spaces come and go: their numbers, copies for fork, and the end.
#include <algorithm>
#include <cstring>

#include "guest/kernel/address_space_pages.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/space_numbers.h"

namespace shoal::guest {
namespace {

// A shell and its like. Larger programs start others by vfork or posix_spawn; for them pages would
// have to be shared until they are written.
constexpr std::uint64_t copy_limit_bytes = 64ULL << 20;

constinit std::uint64_t numbers_in_use = 0;
static_assert(NUB_SPACES == 64);

// Pages of the parent's that were copied, and lie side by side in both spaces.
struct Run {
    std::uint64_t address = 0;
    std::uint64_t entry = 0;  // of the first page
    std::size_t count = 0;
};

// Collects the pages of one space that the other is to have.
class Copier {
public:
    // False when memory is gone or the limit is reached.
    bool add(const Area& area, std::uint64_t page, const PageEntry& entry) {
        const bool is_borrowed = area.file && !entry.owned();
        if (is_borrowed) {
            return true;  // the file gives it again
        }
        copied_ += page_size;
        // One that was used before, if there is any: a fresh one costs the host a fault.
        void* copy = copied_ <= copy_limit_bytes ? physical_memory.allocate_page() : nullptr;
        if (copy == nullptr) {
            return false;
        }
        std::memcpy(copy, source_of(page, entry), page_size);
        note(page, physical_address(copy) | entry_flags(area.protection) | PageEntry::owned_bit);
        return true;
    }
    [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }
    [[nodiscard]] bool is_too_large() const { return copied_ > copy_limit_bytes; }

private:
    static const void* source_of(std::uint64_t page, const PageEntry& entry) {
        const std::uint64_t offset =
            entry.kind == PageKind::large ? page % large_page_size : std::uint64_t{0};
        return map_kernel_ram(entry.physical() + offset, page_size);
    }

    void note(std::uint64_t page, std::uint64_t entry) {
        if (!runs_.empty()) {
            Run& last = runs_.back();
            const std::uint64_t bytes = last.count * page_size;
            if (last.address + bytes == page && last.entry + bytes == entry &&
                page % large_page_size != 0) {
                ++last.count;
                return;
            }
        }
        runs_.push_back({page, entry, 1});
    }

    std::vector<Run> runs_{};
    std::uint64_t copied_ = 0;
};

void free_pages(const std::vector<Run>& runs, std::size_t first) {
    for (std::size_t i = first; i < runs.size(); ++i) {
        const PageEntry entry{PageKind::small, runs[i].entry, nullptr};
        for (std::size_t page = 0; page < runs[i].count; ++page) {
            physical_memory.free_page(kernel_address(entry.physical() + page * page_size));
        }
    }
}

// The pages of [start, end) that are there.
bool collect(Copier& copier, const Area& area, std::uint64_t start, std::uint64_t end) {
    for (std::uint64_t at = start; at < end;) {
        const PageEntry entry = find_page(at);
        if (entry.kind == PageKind::absent) {
            const std::uint64_t step = entry.at == nullptr ? large_page_size : page_size;
            at = (at & ~(step - 1)) + step;
            continue;
        }
        if (!copier.add(area, at, entry)) {
            return false;
        }
        at += page_size;
    }
    return true;
}

}  // namespace

unsigned take_space_number() {
    if (~numbers_in_use == 0) {
        return NUB_SPACES;
    }
    const auto number = static_cast<unsigned>(__builtin_ctzll(~numbers_in_use));
    if (!make_space(number)) {
        return NUB_SPACES;
    }
    numbers_in_use |= 1ULL << number;
    return number;
}

void give_space_number(unsigned number) {
    numbers_in_use &= ~(1ULL << number);
}

AddressSpace::~AddressSpace() {
    if (!is_sound()) {
        return;
    }
    const unsigned selected_before = selected_space();
    select();
    // By whole large pages, so that none has to be split; the heap's may be there without an area.
    constexpr std::uint64_t mask = large_page_size - 1;
    for (const Area& area : areas_) {
        release_pages_unflushed(area.start & ~mask, (area.end + mask) & ~mask, PartialPage::split);
    }
    release_pages_unflushed(NUB_HEAP, NUB_HEAP + large_page_size, PartialPage::split);
    flush_pages();
    give_space_number(number_);
    select_space(selected_before);
}

void AddressSpace::select() const {
    select_space(number_);
}

// Where the part of an area ends that a copy needs.
std::uint64_t AddressSpace::copied_end(const Area& area) const {
    const std::uint64_t break_page = (break_ + page_size - 1) & ~(page_size - 1);
    return area.kind == AreaKind::heap ? std::min(area.end, break_page) : area.end;
}

Result<void> AddressSpace::copy_to(AddressSpace& child, std::uint64_t stack_pointer) {
    stop_others();  // no thread changes some of the pages while others are copied
    Copier copier;
    constexpr std::uint64_t red_zone_bytes = 128;
    for (const Area& area : areas_) {
        const bool is_stack =
            area.kind == AreaKind::stack && stack_pointer >= area.start && stack_pointer < area.end;
        const std::uint64_t start =
            is_stack ? std::max(area.start, (stack_pointer - red_zone_bytes) & ~(page_size - 1))
                     : area.start;
        if (!collect(copier, area, start, copied_end(area))) {
            free_pages(copier.runs(), 0);
            return fail(copier.is_too_large() ? Errno::nosys : Errno::nomem);
        }
    }
    child.select();
    std::size_t mapped = 0;
    while (mapped < copier.runs().size()) {
        const Run& run = copier.runs()[mapped];
        if (!map_pages(run.address, run.entry, run.count)) {
            break;
        }
        ++mapped;
    }
    select();
    child.areas_ = areas_;
    child.break_ = break_;
    child.has_stubs_ = has_stubs_;
    if (mapped < copier.runs().size()) {
        free_pages(copier.runs(), mapped);
        return fail(Errno::nomem);
    }
    return {};
}

}  // namespace shoal::guest
