// System calls that wait for descriptors of a list: poll.
#include <memory>
#include <new>

#include "guest/kernel/events/poll_events.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

// struct pollfd.
struct PollDescriptor {
    std::int32_t descriptor;
    std::uint16_t events;
    std::uint16_t ready;
};

// The list of one poll(2).
class PollList {
public:
    explicit PollList(std::size_t count) noexcept
        : count_{count},
          entries_{new (std::nothrow_t{}) PollDescriptor[count]},
          files_{new (std::nothrow_t{}) OpenFileRef[count]} {}

    [[nodiscard]] Result<void> fetch_from(const FileContext& context, UserAddress list) {
        if (!entries_ || !files_) {
            return fail(Errno::nomem);
        }
        if (!copy_from_user(entries_.get(), list, size_bytes())) {
            return fail(Errno::fault);
        }
        for (std::size_t i = 0; i < count_; ++i) {
            if (entries_[i].descriptor >= 0) {
                files_[i] = OpenFileRef{context.table.find(
                    low32(static_cast<std::uint64_t>(std::int64_t{entries_[i].descriptor})))};
            }
        }
        return {};
    }

    std::int64_t look() {
        std::int64_t ready = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            PollDescriptor& entry = entries_[i];
            const std::uint32_t events = files_[i] ? poll_events_of(*files_[i])
                                         : entry.descriptor >= 0
                                             ? std::uint32_t{poll_events::invalid}
                                             : 0U;
            entry.ready = static_cast<std::uint16_t>(events & (entry.events | poll_events::always));
            ready += entry.ready != 0 ? 1 : 0;
        }
        return ready;
    }

    [[nodiscard]] Result<void> join(FileWait& wait) const {
        const auto reserved = wait.reserve(count_);
        for (std::size_t i = 0; reserved && i < count_; ++i) {
            if (files_[i]) {
                wait.add(files_[i]);
            }
        }
        return reserved;
    }

    [[nodiscard]] bool store_to(UserAddress list) const {
        return copy_to_user(list, entries_.get(), size_bytes());
    }

private:
    [[nodiscard]] std::size_t size_bytes() const { return count_ * sizeof(PollDescriptor); }

    std::size_t count_;
    std::unique_ptr<PollDescriptor[]> entries_;
    std::unique_ptr<OpenFileRef[]> files_;
};

std::int64_t poll_for(const FileContext& context, const CallArguments& args,
                      std::uint64_t deadline_ns) {
    const std::uint32_t count = low32(args[1]);
    if (count > context.table.open_limit()) {
        return negative(Errno::inval);
    }
    PollList list{count};
    if (const auto fetched = list.fetch_from(context, args[0]); !fetched) {
        return negative(fetched.error());
    }
    const std::int64_t result = wait_until_found(list, deadline_ns);
    return result >= 0 && !list.store_to(args[0]) ? negative(Errno::fault) : result;
}

}  // namespace

std::int64_t sys_poll(FileContext& context, const CallArguments& args) {
    const auto timeout_ms = static_cast<std::int32_t>(low32(args[2]));
    const Timeout timeout{timeout_ms < 0 ? no_deadline
                                         : static_cast<std::uint64_t>(timeout_ms) * 1'000'000};
    return poll_for(context, args, timeout.deadline_ns());
}

std::int64_t sys_ppoll(FileContext& context, const CallArguments& args) {
    const auto timeout_ns = fetch_timeout(args[2], second_ns);
    if (!timeout_ns) {
        return negative(timeout_ns.error());
    }
    if (const auto set = set_mask(args[3], args[4]); !set) {
        return negative(set.error());
    }
    const Timeout timeout{*timeout_ns};
    const std::int64_t result = with_mask_restored(poll_for(context, args, timeout.deadline_ns()));
    timeout.store_rest(args[2], second_ns);
    return result;
}

}  // namespace shoal::guest
