// System calls that wait for descriptors of sets: select.
#include "guest/kernel/events/poll_events.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

// fd_set, as far as select(2) goes with the C libraries: FD_SETSIZE.
constexpr std::uint32_t select_limit = 1024;
constexpr std::uint32_t word_bits = 64;
using DescriptorSet = std::array<std::uint64_t, select_limit / word_bits>;

// The events that each of select's three sets asks for.
constexpr std::array<std::uint32_t, 3> set_events = {
    poll_events::in | poll_events::hang_up | poll_events::error,
    poll_events::out | poll_events::error,
    poll_events::priority,
};

// The sets of one select(2).
class Selection {
public:
    Selection(const FileContext& context, const CallArguments& args) noexcept
        : context_{context}, count_{std::min(low32(args[0]), select_limit)}, args_{args} {}

    // Errno::fault; Errno::badf when a descriptor is not open.
    [[nodiscard]] Result<void> fetch_sets() {
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            if (args_[i + 1] != 0 &&
                !copy_from_user(wanted_[i].data(), args_[i + 1], set_bytes())) {
                return fail(Errno::fault);
            }
        }
        bool all_open = true;
        for_each([&](std::uint32_t, const OpenFile* file) { all_open &= file != nullptr; });
        return all_open ? Result<void>{} : fail(Errno::badf);
    }

    std::int64_t look() {
        std::int64_t ready = 0;
        ready_ = {};
        for_each([&](std::uint32_t descriptor, const OpenFile* file) {
            const std::uint32_t events = file == nullptr ? 0 : poll_events_of(*file);
            for (std::size_t set = 0; set < wanted_.size(); ++set) {
                const std::uint64_t bit =
                    wanted_[set][descriptor / word_bits] & 1ULL << descriptor % word_bits;
                if (bit != 0 && (events & set_events[set]) != 0) {
                    ready_[set][descriptor / word_bits] |= bit;
                    ++ready;
                }
            }
        });
        return ready;
    }

    [[nodiscard]] Result<void> join(FileWait& wait) const {
        const auto reserved = wait.reserve(count_);
        if (reserved) {
            for_each([&](std::uint32_t, OpenFile* file) {
                if (file != nullptr) {
                    wait.add(OpenFileRef{file});
                }
            });
        }
        return reserved;
    }

    [[nodiscard]] std::int64_t store_sets(std::int64_t result) const {
        for (std::size_t i = 0; i < ready_.size() && result >= 0; ++i) {
            if (args_[i + 1] != 0 && !copy_to_user(args_[i + 1], ready_[i].data(), set_bytes())) {
                return negative(Errno::fault);
            }
        }
        return result;
    }

private:
    [[nodiscard]] std::size_t set_bytes() const {
        return (count_ + word_bits - 1) / word_bits * sizeof(std::uint64_t);
    }
    // Each descriptor of any set, and its file, nullptr when it is not open.
    template <class Visit>
    void for_each(const Visit& visit) const {
        for (std::uint32_t descriptor = 0; descriptor < count_; ++descriptor) {
            const std::size_t word = descriptor / word_bits;
            const std::uint64_t any = wanted_[0][word] | wanted_[1][word] | wanted_[2][word];
            if ((any & 1ULL << descriptor % word_bits) != 0) {
                visit(descriptor, context_.table.find(descriptor));
            }
        }
    }

    const FileContext& context_;
    std::uint32_t count_;
    const CallArguments& args_;
    std::array<DescriptorSet, 3> wanted_{};
    std::array<DescriptorSet, 3> ready_{};
};

std::int64_t select_for(const FileContext& context, const CallArguments& args,
                        std::uint64_t deadline_ns) {
    if (static_cast<std::int32_t>(low32(args[0])) < 0) {
        return negative(Errno::inval);
    }
    Selection selection{context, args};
    if (const auto fetched = selection.fetch_sets(); !fetched) {
        return negative(fetched.error());
    }
    return selection.store_sets(wait_until_found(selection, deadline_ns));
}

// The last argument of pselect6.
struct MaskArgument {
    UserAddress mask = 0;
    std::uint64_t size_bytes = 0;
};

}  // namespace

std::int64_t sys_select(FileContext& context, const CallArguments& args) {
    const auto timeout_ns = fetch_timeout(args[4], 1'000'000);
    if (!timeout_ns) {
        return negative(timeout_ns.error());
    }
    const Timeout timeout{*timeout_ns};
    const std::int64_t result = select_for(context, args, timeout.deadline_ns());
    timeout.store_rest(args[4], 1'000'000);
    return result;
}

std::int64_t sys_pselect6(FileContext& context, const CallArguments& args) {
    const auto timeout_ns = fetch_timeout(args[4], second_ns);
    MaskArgument mask;
    if (!timeout_ns || (args[5] != 0 && !fetch(mask, args[5]))) {
        return negative(timeout_ns ? Errno::fault : timeout_ns.error());
    }
    if (const auto set = set_mask(mask.mask, mask.size_bytes); !set) {
        return negative(set.error());
    }
    const Timeout timeout{*timeout_ns};
    const std::int64_t result =
        with_mask_restored(select_for(context, args, timeout.deadline_ns()));
    timeout.store_rest(args[4], second_ns);
    return result;
}

}  // namespace shoal::guest
