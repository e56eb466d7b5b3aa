// System calls of epoll.
#include "guest/kernel/events/epoll.h"

#include "guest/kernel/events/poll_events.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

enum class Operation : std::uint32_t { add = 1, remove = 2, modify = 3 };

// What may be asked for together with EPOLLEXCLUSIVE.
constexpr std::uint32_t exclusive_events = poll_events::in | poll_events::out | poll_events::error |
                                           poll_events::hang_up | epoll_flags::exclusive |
                                           epoll_flags::wake_up | epoll_flags::edge_triggered;

Result<void> check_exclusive(Operation operation, OpenFile& target, const EpollEvent& event) {
    if (operation == Operation::remove || (event.events & epoll_flags::exclusive) == 0) {
        return {};
    }
    const bool is_allowed = operation == Operation::add &&
                            (event.events & ~exclusive_events) == 0 &&
                            anonymous_cast<Epoll>(target.inode()) == nullptr;
    return is_allowed ? Result<void>{} : fail(Errno::inval);
}

std::int64_t create(FileContext& context, OnExec on_exec) {
    const auto file = open_anonymous(context.file_system.make_inode<Epoll>(),
                                     "anon_inode:[eventpoll]", open_flags::read_write);
    return file ? result_of(context.table.add(*file, on_exec)) : negative(file.error());
}

// Events go through a buffer, so that no list is held while the program's memory is touched.
constexpr std::size_t batch_size = 64;

// Copies the events that there are, at most `count_max`.
std::int64_t give_events(Epoll& epoll, UserAddress events, std::size_t count_max) {
    std::array<EpollEvent, batch_size> batch;
    std::size_t looks = epoll.ready_count();
    std::size_t count = 0;
    while (count < count_max && looks != 0) {
        const auto room = std::span{batch}.first(std::min(count_max - count, batch_size));
        const std::size_t taken = epoll.collect(room, looks);
        if (!copy_to_user(events + count * sizeof batch[0], batch.data(),
                          taken * sizeof batch[0])) {
            return negative(Errno::fault);
        }
        count += taken;
    }
    epoll.pass_on();
    return static_cast<std::int64_t>(count);
}

std::int64_t wait_for_events(const FileContext& context, const CallArguments& args,
                             std::uint64_t timeout_ns) {
    constexpr std::uint32_t count_limit = 0x7FFF'FFFF / sizeof(EpollEvent);  // EP_MAX_EVENTS
    const std::uint32_t count_max = low32(args[2]);
    if (count_max == 0 || count_max > count_limit) {
        return negative(Errno::inval);
    }
    const OpenFileRef file{context.table.find(args[0])};
    if (!file) {
        return negative(Errno::badf);
    }
    auto* epoll = anonymous_cast<Epoll>(file->inode());
    if (epoll == nullptr) {
        return negative(Errno::inval);
    }
    std::int64_t result = give_events(*epoll, args[1], count_max);
    if (result != 0 || timeout_ns == 0) {
        return result;
    }
    const Wake wake =
        wait_until_true(*epoll->wait_queue(*file),
                        timeout_ns == no_deadline ? no_deadline : deadline_after(timeout_ns), [&] {
                            result = give_events(*epoll, args[1], count_max);
                            return result != 0;
                        });
    return wake == Wake::interrupted ? negative(Errno::intr) : result;
}

std::uint64_t timeout_of_ms(std::uint64_t argument) {
    const auto timeout_ms = static_cast<std::int32_t>(low32(argument));
    return timeout_ms < 0 ? no_deadline : static_cast<std::uint64_t>(timeout_ms) * 1'000'000;
}

std::int64_t wait_with_mask(const FileContext& context, const CallArguments& args,
                            std::uint64_t timeout_ns) {
    if (const auto set = set_mask(args[4], args[5]); !set) {
        return negative(set.error());
    }
    return with_mask_restored(wait_for_events(context, args, timeout_ns));
}

}  // namespace

std::int64_t sys_epoll_create(FileContext& context, const CallArguments& args) {
    return static_cast<std::int32_t>(low32(args[0])) <= 0 ? negative(Errno::inval)
                                                          : create(context, OnExec::keep);
}

std::int64_t sys_epoll_create1(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[0]);
    if ((flags & ~open_flags::close_on_exec) != 0) {
        return negative(Errno::inval);
    }
    return create(context, flags != 0 ? OnExec::close : OnExec::keep);
}

std::int64_t sys_epoll_ctl(FileContext& context, const CallArguments& args) {
    const auto operation = static_cast<Operation>(low32(args[1]));
    EpollEvent event;
    if (operation != Operation::remove && !fetch(event, args[3])) {
        return negative(Errno::fault);
    }
    const OpenFileRef file{context.table.find(args[0])};
    const OpenFileRef target{context.table.find(args[2])};
    if (!file || !target) {
        return negative(Errno::badf);
    }
    if (target->inode().wait_queue(*target) == nullptr) {
        return negative(Errno::perm);
    }
    auto* epoll = anonymous_cast<Epoll>(file->inode());
    if (epoll == nullptr || file == target || !check_exclusive(operation, *target, event)) {
        return negative(Errno::inval);
    }
    event.events |= poll_events::error | poll_events::hang_up;
    switch (operation) {
        case Operation::add:
            return result_of(epoll->add(*target, low32(args[2]), event));
        case Operation::remove:
            return result_of(epoll->remove(*target, low32(args[2])));
        case Operation::modify:
            return result_of(epoll->modify(*target, low32(args[2]), event));
    }
    return negative(Errno::inval);
}

std::int64_t sys_epoll_wait(FileContext& context, const CallArguments& args) {
    return wait_for_events(context, args, timeout_of_ms(args[3]));
}

std::int64_t sys_epoll_pwait(FileContext& context, const CallArguments& args) {
    return wait_with_mask(context, args, timeout_of_ms(args[3]));
}

std::int64_t sys_epoll_pwait2(FileContext& context, const CallArguments& args) {
    const auto timeout_ns = fetch_timeout(args[3], second_ns);
    return timeout_ns ? wait_with_mask(context, args, *timeout_ns) : negative(timeout_ns.error());
}

}  // namespace shoal::guest
