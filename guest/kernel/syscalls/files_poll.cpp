// System calls that wait for descriptors. The only thing that can become ready while the one
// program waits is the console's input.
#include <limits>

#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

constexpr std::uint64_t forever = std::numeric_limits<std::uint64_t>::max();

// Events of <asm-generic/poll.h>.
constexpr std::uint16_t poll_in = 0x001;
constexpr std::uint16_t poll_out = 0x004;
constexpr std::uint16_t poll_error = 0x008;
constexpr std::uint16_t poll_hang_up = 0x010;
constexpr std::uint16_t poll_invalid = 0x020;
constexpr std::uint16_t poll_in_normal = 0x040;
constexpr std::uint16_t poll_out_normal = 0x100;
constexpr std::uint16_t poll_always = poll_error | poll_hang_up | poll_invalid;

enum class ConsoleIs { unwatched, watched };

// What a look at all descriptors found.
struct Scan {
    std::int64_t ready = 0;  // or -errno
    ConsoleIs console = ConsoleIs::unwatched;
};

std::uint16_t events_of(const OpenFile* file) {
    if (file == nullptr || file->has(open_flags::path)) {
        return poll_invalid;
    }
    const Readiness ready = file->inode().readiness(*file);
    const auto bits = [](Readiness::Is is, std::uint16_t mask) {
        return is == Readiness::Is::yes ? mask : std::uint16_t{0};
    };
    return static_cast<std::uint16_t>(bits(ready.readable, poll_in | poll_in_normal) |
                                      bits(ready.writable, poll_out | poll_out_normal) |
                                      bits(ready.hung_up, poll_hang_up) |
                                      bits(ready.error, poll_error));
}

void note_console(Scan& scan, const OpenFile* file) {
    if (file != nullptr && file->may_read() && file->inode().as_console() != nullptr) {
        scan.console = ConsoleIs::watched;
    }
}

// Looks, waits if there is nothing, and looks again.
template <class Look>
std::int64_t wait_for(FileContext& context, std::uint64_t timeout_ns, const Look& look) {
    for (;;) {
        const Scan scan = look();
        if (scan.ready != 0 || timeout_ns == 0) {
            return scan.ready;
        }
        if (scan.console == ConsoleIs::watched) {
            static_cast<void>(context.console.wait_for_input(timeout_ns));
        } else {
            context.sleep(timeout_ns);
        }
        timeout_ns = timeout_ns == forever ? forever : 0;
    }
}

// struct pollfd.
struct PollDescriptor {
    std::int32_t descriptor;
    std::uint16_t events;
    std::uint16_t ready;
};

Scan look_at(const FileContext& context, UserAddress list, std::uint64_t count) {
    Scan scan;
    for (std::uint64_t i = 0; i < count; ++i) {
        PollDescriptor entry;
        const UserAddress at = list + i * sizeof entry;
        if (!fetch(entry, at)) {
            return {negative(Errno::fault)};
        }
        entry.ready = 0;
        if (entry.descriptor >= 0) {
            const OpenFile* file = context.table.find(static_cast<std::uint32_t>(entry.descriptor));
            entry.ready = events_of(file) & (entry.events | poll_always);
            if ((entry.events & (poll_in | poll_in_normal)) != 0) {
                note_console(scan, file);
            }
        }
        if (store(at, entry) != 0) {
            return {negative(Errno::fault)};
        }
        scan.ready += entry.ready != 0 ? 1 : 0;
    }
    return scan;
}

std::int64_t poll_for(FileContext& context, UserAddress list, std::uint64_t count,
                      std::uint64_t timeout_ns) {
    if (count > FileTable::limit) {
        return negative(Errno::inval);
    }
    return wait_for(context, timeout_ns, [&] { return look_at(context, list, count); });
}

// A struct timespec; without one the wait has no end. Units per second: of its second field.
Result<std::uint64_t> fetch_timeout(UserAddress address, std::int64_t units_per_second) {
    if (address == 0) {
        return forever;
    }
    TimeSpec time;
    if (!fetch(time, address)) {
        return fail(Errno::fault);
    }
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= units_per_second) {
        return fail(Errno::inval);
    }
    constexpr std::int64_t second_ns = 1'000'000'000;
    constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / second_ns - 1;
    const std::int64_t seconds = std::min(time.seconds, seconds_max);
    return static_cast<std::uint64_t>(seconds * second_ns +
                                      time.nanoseconds * (second_ns / units_per_second));
}

// fd_set, as far as select(2) goes with the C libraries: FD_SETSIZE.
constexpr std::uint32_t select_limit = 1024;
constexpr std::uint32_t word_bits = 64;
using DescriptorSet = std::array<std::uint64_t, select_limit / word_bits>;

class Selection {
public:
    Selection(const FileContext& context, const CallArguments& args) noexcept
        : context_{context}, count_{std::min(low32(args[0]), select_limit)}, args_{args} {}

    Result<void> fetch_sets() {
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            if (args_[i + 1] != 0 &&
                !copy_from_user(wanted_[i].data(), args_[i + 1], set_bytes())) {
                return fail(Errno::fault);
            }
        }
        return {};
    }

    Scan look() {
        Scan scan;
        ready_ = {};
        for (std::uint32_t descriptor = 0; descriptor < count_; ++descriptor) {
            const std::size_t word = descriptor / word_bits;
            const std::uint64_t bit = 1ULL << descriptor % word_bits;
            if (((wanted_[0][word] | wanted_[1][word] | wanted_[2][word]) & bit) == 0) {
                continue;
            }
            const OpenFile* file = context_.table.find(descriptor);
            if (file == nullptr) {
                return {negative(Errno::badf)};
            }
            note(scan, 0, word, bit, events_of(file), poll_in | poll_hang_up | poll_error);
            note(scan, 1, word, bit, events_of(file), poll_out | poll_error);
            if ((wanted_[0][word] & bit) != 0) {
                note_console(scan, file);
            }
        }
        return scan;
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
    void note(Scan& scan, std::size_t set, std::size_t word, std::uint64_t bit,
              std::uint16_t events, std::uint16_t mask) {
        if ((wanted_[set][word] & bit) != 0 && (events & mask) != 0) {
            ready_[set][word] |= bit;
            ++scan.ready;
        }
    }

    const FileContext& context_;
    std::uint32_t count_;
    const CallArguments& args_;
    std::array<DescriptorSet, 3> wanted_{};
    std::array<DescriptorSet, 3> ready_{};
};

std::int64_t select_for(FileContext& context, const CallArguments& args,
                        std::int64_t units_per_second) {
    const auto timeout = fetch_timeout(args[4], units_per_second);
    if (!timeout || static_cast<std::int32_t>(low32(args[0])) < 0) {
        return negative(timeout ? Errno::inval : timeout.error());
    }
    Selection selection{context, args};
    if (const auto fetched = selection.fetch_sets(); !fetched) {
        return negative(fetched.error());
    }
    return selection.store_sets(wait_for(context, *timeout, [&] { return selection.look(); }));
}

}  // namespace

std::int64_t sys_poll(FileContext& context, const CallArguments& args) {
    const auto timeout_ms = static_cast<std::int32_t>(low32(args[2]));
    const std::uint64_t timeout_ns =
        timeout_ms < 0 ? forever : static_cast<std::uint64_t>(timeout_ms) * 1'000'000;
    return poll_for(context, args[0], low32(args[1]), timeout_ns);
}

std::int64_t sys_ppoll(FileContext& context, const CallArguments& args) {
    const auto timeout = fetch_timeout(args[2], 1'000'000'000);
    return timeout ? poll_for(context, args[0], low32(args[1]), *timeout)
                   : negative(timeout.error());
}

std::int64_t sys_select(FileContext& context, const CallArguments& args) {
    return select_for(context, args, 1'000'000);
}

std::int64_t sys_pselect6(FileContext& context, const CallArguments& args) {
    return select_for(context, args, 1'000'000'000);
}

}  // namespace shoal::guest
