// Reading the generation area.
#include "guest/kernel/generation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "devices/abi/generation.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/random.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/nub/nub.h"

namespace shoal::guest {
namespace {

static_assert(abi::generation_area == NUB_GENERATION_PAGE);

using Id = std::array<std::uint64_t, 2>;

// What processes that never rest have before they are copied all the same.
constexpr std::uint64_t longest_unrest_ns = 100'000'000;

constinit abi::GenerationHeader* area = nullptr;
constinit const abi::GenerationBootArgs* args_area = nullptr;
constinit Id known_id{};

// The VMM writes while no vCPU runs, so that what is read between two instructions is whole.
Id current_id() {
    Id id;
    const auto* words = reinterpret_cast<const volatile std::uint64_t*>(area->id.data());
    id[0] = words[0];
    id[1] = words[1];
    return id;
}

void take_seed() {
    add_entropy(std::as_bytes(std::span{area->seed}));
    area->seed.fill(0);  // who reads memory later cannot compute what was drawn before
    // SAFETY: the compiler sees no reader of it.
    asm volatile("" ::: "memory");
}

class Generation final : public CloneSource, public EventSource {
public:
    std::uint64_t generation() override {
        if (was_loaded()) {
            note_load();
        }
        return count_;
    }

    [[nodiscard]] std::span<const char> words() const override { return words_; }

    WaitQueue& load_queue() noexcept override {
        expect();
        if (tell_by_ns_ == no_deadline) {
            tell_by_ns_ = monotonic_ns() + longest_unrest_ns;
            request_look();
        }
        return queue_;
    }

    void expect() {
        if (!expects_load_) {
            expects_load_ = true;
            add_event_source(*this);
            enable_interrupt(abi::generation_gsi);
        }
    }

    void take_events() override {
        if (was_loaded()) {
            note_load();
        }
        // What other threads have begun is done once, not by each copy.
        if (tell_by_ns_ != no_deadline && (is_at_rest() || monotonic_ns() >= tell_by_ns_)) {
            tell_by_ns_ = no_deadline;
            *static_cast<volatile std::uint32_t*>(map_kernel_ram(abi::ready_start, page_size)) = 1;
        }
    }

    [[nodiscard]] std::uint64_t deadline_ns() const override { return tell_by_ns_; }

    void load() {
        ++count_;
        tell_by_ns_ = no_deadline;
        const auto* text = reinterpret_cast<const char*>(area + 1);
        const std::uint32_t size =
            std::min<std::uint32_t>(area->words_bytes, abi::generation_words_max_bytes);
        words_.assign(text, text + size);
        load_boot_args();
        queue_.wake_all();
    }

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::span<const char> boot_args() const { return boot_args_; }

private:
    void load_boot_args() {
        if (args_area == nullptr || args_area->magic != abi::generation_boot_args_magic) {
            boot_args_.clear();
            return;
        }
        const auto* const text = reinterpret_cast<const char*>(args_area + 1);
        boot_args_.assign(text,
                          text + std::min<std::uint32_t>(args_area->text_bytes,
                                                         abi::generation_boot_args_max_bytes));
    }

    std::uint64_t count_ = 0;
    bool expects_load_ = false;
    std::uint64_t tell_by_ns_ = no_deadline;  // that somebody waits for a load; or there is nobody
    std::vector<char> words_{};
    std::vector<char> boot_args_{};
    WaitQueue queue_{};
};

constinit Generation* generation = nullptr;

}  // namespace

CloneSource* start_generation() {
    auto* const header = static_cast<abi::GenerationHeader*>(map_kernel_ram(
        abi::generation_area, sizeof(abi::GenerationHeader) + abi::generation_words_max_bytes));
    if (header == nullptr || header->magic != abi::generation_magic ||
        header->version != abi::generation_version) {
        return nullptr;
    }
    area = header;
    args_area = static_cast<const abi::GenerationBootArgs*>(
        map_kernel_ram(abi::generation_boot_args,
                       sizeof(abi::GenerationBootArgs) + abi::generation_boot_args_max_bytes));
    generation = new Generation;
    known_id = current_id();
    take_seed();
    return generation;
}

void expect_loads() {
    if (generation != nullptr) {
        generation->expect();
    }
}

std::uint64_t load_count() {
    return generation != nullptr ? generation->count() : 0;
}

std::uint32_t arrival_count() {
    const volatile abi::GenerationBootArgs* const now = args_area;
    return now != nullptr ? now->arrivals : 0;
}

std::span<const char> loaded_boot_args() {
    return generation != nullptr ? generation->boot_args() : std::span<const char>{};
}

bool was_loaded() {
    return area != nullptr && current_id() != known_id;
}

void note_load() {
    known_id = current_id();
    add_entropy(std::as_bytes(std::span{known_id}));
    take_seed();
    generation->load();
}

}  // namespace shoal::guest
