// The cache: what is there, what is on its way, and what has to go.
#include "guest/kernel/fs/block_cache.h"

#include <algorithm>
#include <new>
#include <utility>

#include "guest/kernel/pages.h"

namespace shoal::guest {
namespace {

// Marks in the low bits of a page's pointer in the tree.
constexpr std::uintptr_t used = 1;  // since the hand of the clock last came by
constexpr std::uintptr_t kept = 2;

// SAFETY: pages are aligned to 4096 bytes, so the marks and the pointer can be told apart.
std::uintptr_t bits_of(void* marked) noexcept {
    return reinterpret_cast<std::uintptr_t>(marked);
}
void* as_slot(std::uintptr_t bits) noexcept {
    return reinterpret_cast<void*>(bits);
}
std::byte* page_of(void* marked) noexcept {
    return static_cast<std::byte*>(as_slot(bits_of(marked) & ~(used | kept)));
}

constexpr std::uint64_t pipelined_window = 8;  // from here on the next window is asked for early

}  // namespace

BlockCache::BlockCache(BlockDevice& device, std::size_t limit)
    : device_{device},
      limit_{std::max(limit, limit_min)},
      block_count_{device.size_bytes() / block_bytes} {}

BlockCache::~BlockCache() {
    for (Run& run : runs_) {
        if (run.count != 0) {
            static_cast<void>(land(run));
        }
    }
}

std::byte* BlockCache::cached(std::uint64_t block) noexcept {
    if (tree_.find(block) == nullptr) {
        return nullptr;
    }
    void** slot = tree_.slot(block);
    *slot = as_slot(bits_of(*slot) | used);
    return page_of(*slot);
}

Result<const std::byte*> BlockCache::find(std::uint64_t block, std::uint64_t end,
                                          ReadAhead& ahead) {
    if (block >= block_count_) {
        return fail(Errno::uclean);
    }
    if (const std::byte* page = cached(block)) {
        return page;
    }
    if (const auto fetched = fetch(block, std::min(end, block_count_), ahead); !fetched) {
        return fail(fetched.error());
    }
    return cached(block);
}

Result<const std::byte*> BlockCache::keep(std::uint64_t block, std::uint64_t end,
                                          ReadAhead& ahead) {
    const auto page = find(block, end, ahead);
    if (page) {
        void** slot = tree_.slot(block);
        *slot = as_slot(bits_of(*slot) | kept);
    }
    return page;
}

BlockCache::Run* BlockCache::run_with(std::uint64_t block) noexcept {
    const auto found = std::ranges::find_if(runs_, [block](const Run& run) {
        return block >= run.first && block - run.first < run.count;
    });
    return found == runs_.end() ? nullptr : &*found;
}

// Sends requests for the block and what is to be read ahead on their way. They may be over then.
Result<void> BlockCache::request(std::uint64_t block, std::uint64_t end, ReadAhead& ahead) {
    const std::uint64_t most = device_.request_pages_max();
    ahead.window =
        block == ahead.next ? std::min(std::max<std::uint64_t>(4 * ahead.window, 4), most) : 1;
    Run* run = run_with(block);
    if (run == nullptr) {
        const std::uint64_t wanted = std::min(ahead.window, std::max(end, block + 1) - block);
        if (const auto sent = submit(block, wanted); !sent) {
            return sent;
        }
        run = run_with(block);
    }
    ahead.next = run->first + run->count;
    if (ahead.window >= pipelined_window && ahead.next < end && run_with(ahead.next) == nullptr) {
        // Without memory for it there is just no read-ahead.
        static_cast<void>(submit(ahead.next, std::min(ahead.window, end - ahead.next)));
    }
    return {};
}

Result<void> BlockCache::fetch(std::uint64_t block, std::uint64_t end, ReadAhead& ahead) {
    if (const auto sent = request(block, end, ahead); !sent) {
        return sent;
    }
    Run* run = run_with(block);
    // It landed if its place was needed for the other one.
    return run == nullptr ? (cached(block) != nullptr ? Result<void>{} : fail(Errno::io))
                          : land(*run);
}

void BlockCache::bring_in(std::uint64_t block, std::uint64_t end, ReadAhead& ahead) {
    if (block >= block_count_ || tree_.find(block) != nullptr ||
        !request(block, std::min(end, block_count_), ahead)) {
        return;
    }
    // Whoever runs meanwhile may need the run as well, and let it land.
    Run* run = run_with(block);
    while (run != nullptr && run->request.state == BlockRequest::State::in_flight) {
        device_.sleep(run->request);
        run = run_with(block);
    }
    if (run != nullptr) {
        static_cast<void>(land(*run));
    }
}

BlockCache::Run& BlockCache::take_run() {
    for (Run& run : runs_) {
        if (run.count == 0) {
            return run;
        }
    }
    Run& run = runs_[oldest_run_++ % runs_.size()];
    static_cast<void>(land(run));
    return run;
}

// As many of the blocks as are neither there nor on their way, and have memory; at least one.
Result<void> BlockCache::submit(std::uint64_t first, std::uint64_t count) {
    Run& run = take_run();
    std::uint64_t ready = 0;
    while (ready < count && tree_.find(first + ready) == nullptr &&
           run_with(first + ready) == nullptr) {
        std::byte* page = take_page();
        if (page == nullptr) {
            break;
        }
        run.request.pages[ready++] = page;
    }
    if (ready == 0) {
        return fail(Errno::nomem);
    }
    run.first = first;
    run.count = ready;
    run.request.kind = BlockRequest::Kind::read;
    run.request.offset = first * block_bytes;
    run.request.size_bytes = static_cast<std::uint32_t>(ready * block_bytes);
    device_.submit(run.request);
    return {};
}

Result<void> BlockCache::land(Run& run) {
    device_.wait(run.request);
    const bool is_read = run.request.state == BlockRequest::State::done;
    Errno reason = is_read ? Errno{} : Errno::io;
    for (std::uint64_t i = 0; i < run.count; ++i) {
        std::byte* page = run.request.pages[i];
        if (!is_read || !insert(run.first + i, page)) {
            free_page(page);
            reason = is_read ? Errno::nomem : reason;
        }
    }
    run.count = 0;
    return reason == Errno{} ? Result<void>{} : fail(reason);
}

bool BlockCache::insert(std::uint64_t block, std::byte* page) noexcept {
    void** slot = tree_.slot(block);
    if (slot == nullptr || !push_clock(block)) {
        return false;
    }
    *slot = as_slot(bits_of(page) | used);
    return true;
}

bool BlockCache::push_clock(std::uint64_t block) noexcept {
    if (clock_count_ == clock_size_) {
        const std::size_t size = std::max<std::size_t>(64, 2 * clock_size_);
        std::unique_ptr<std::uint64_t[]> larger{new (std::nothrow_t{}) std::uint64_t[size]};
        if (!larger) {
            return false;
        }
        for (std::size_t i = 0; i < clock_count_; ++i) {
            larger[i] = clock_[(hand_ + i) % clock_size_];
        }
        clock_ = std::move(larger);
        clock_size_ = size;
        hand_ = 0;
    }
    clock_[(hand_ + clock_count_++) % clock_size_] = block;
    return true;
}

// In two rounds of the clock every block that is not kept is found; the first may only take its
// mark away.
std::byte* BlockCache::take_page() noexcept {
    for (std::size_t looks = 2 * clock_count_ + 1; looks > 0; --looks) {
        if (clock_count_ < limit_) {
            if (void* page = allocate_page()) {
                return static_cast<std::byte*>(page);
            }
        }
        if (clock_count_ <= evictable_from) {
            return nullptr;
        }
        if (std::byte* page = evict_oldest()) {
            return page;
        }
    }
    return nullptr;
}

// So few at a time that what was just found is not among them: it is looked at after all others.
bool BlockCache::give_back() {
    constexpr std::size_t looks_max = 64;
    std::size_t given = 0;
    for (std::size_t looks = 0; looks < looks_max && clock_count_ > evictable_from; ++looks) {
        if (std::byte* page = evict_oldest()) {
            free_page(page);
            ++given;
        }
    }
    return given != 0;
}

std::byte* BlockCache::evict_oldest() noexcept {
    const std::uint64_t block = clock_[hand_];
    hand_ = (hand_ + 1) % clock_size_;
    --clock_count_;
    void** slot = tree_.slot(block);
    const std::uintptr_t bits = bits_of(*slot);
    if ((bits & kept) != 0) {
        return nullptr;
    }
    if ((bits & used) != 0) {
        *slot = as_slot(bits & ~used);
        static_cast<void>(push_clock(block));  // where it came from there is room
        return nullptr;
    }
    *slot = nullptr;
    return page_of(as_slot(bits));
}

}  // namespace shoal::guest
