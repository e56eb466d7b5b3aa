// System calls that make files without a name: eventfd, timerfd, signalfd, inotify, memfd.
#include "guest/kernel/clock.h"
#include "guest/kernel/events/event_file.h"
#include "guest/kernel/events/inotify_file.h"
#include "guest/kernel/events/signal_file.h"
#include "guest/kernel/events/timer_file.h"
#include "guest/kernel/fs/regular_file.h"
#include "guest/kernel/fs/text.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

constexpr std::uint32_t file_flags = open_flags::close_on_exec | open_flags::nonblock;

OnExec on_exec_of(std::uint32_t flags) {
    return (flags & open_flags::close_on_exec) != 0 ? OnExec::close : OnExec::keep;
}

// Opens the new file for reading and writing and gives it a descriptor.
std::int64_t install(FileContext& context, const InodeRef& inode, std::string_view name,
                     std::uint32_t flags) {
    const auto file = open_anonymous(inode, name, open_flags::read_write | flags);
    return file ? result_of(context.table.add(*file, on_exec_of(flags))) : negative(file.error());
}

// The descriptor's file as a T. Errno::badf, Errno::inval.
template <class T>
Result<Ref<T>> file_as(const FileContext& context, std::uint64_t descriptor) {
    OpenFile* file = context.table.find(descriptor);
    if (file == nullptr) {
        return fail(Errno::badf);
    }
    T* found = anonymous_cast<T>(file->inode());
    return found != nullptr ? Result<Ref<T>>{Ref<T>{found}} : fail(Errno::inval);
}

}  // namespace

std::int64_t sys_eventfd2(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t semaphore = 1;  // EFD_SEMAPHORE
    const std::uint32_t flags = low32(args[1]);
    if ((flags & ~(file_flags | semaphore)) != 0) {
        return negative(Errno::inval);
    }
    const auto counting = (flags & semaphore) != 0 ? EventCounting::semaphore : EventCounting::all;
    return install(
        context, context.file_system.make_inode<EventFile>(std::uint64_t{low32(args[0])}, counting),
        "anon_inode:[eventfd]", flags);
}

std::int64_t sys_eventfd(FileContext& context, const CallArguments& args) {
    return sys_eventfd2(context, {args[0], 0});
}

namespace {

// struct itimerspec.
struct TimerSpec {
    TimeSpec interval;
    TimeSpec first;
};

constexpr std::uint32_t timer_absolute = 1;       // TFD_TIMER_ABSTIME
constexpr std::uint32_t timer_cancel_on_set = 2;  // no one sets the clock here

Result<std::uint64_t> nanoseconds_of(const TimeSpec& time) {
    if (time.seconds < 0 || time.nanoseconds < 0 ||
        time.nanoseconds >= static_cast<std::int64_t>(second_ns)) {
        return fail(Errno::inval);
    }
    constexpr std::int64_t seconds_max = 1LL << 32;  // 136 years
    return static_cast<std::uint64_t>(std::min(time.seconds, seconds_max)) * second_ns +
           static_cast<std::uint64_t>(time.nanoseconds);
}

TimeSpec time_spec_of(std::uint64_t ns) {
    return {static_cast<std::int64_t>(ns / second_ns), static_cast<std::int64_t>(ns % second_ns)};
}

TimerSpec spec_of(const TimerFile::Setting& setting) {
    return {time_spec_of(setting.interval_ns), time_spec_of(setting.first_ns)};
}

// An absolute time in the past expires at once.
std::uint64_t from_now(const TimerFile& timer, std::uint64_t time_ns) {
    const std::uint64_t now =
        timer.clock() == TimerFile::Clock::realtime ? realtime_ns() : monotonic_ns();
    return time_ns > now ? time_ns - now : 1;
}

}  // namespace

std::int64_t sys_timerfd_create(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[1]);
    if ((flags & ~file_flags) != 0) {
        return negative(Errno::inval);
    }
    TimerFile::Clock clock = TimerFile::Clock::monotonic;
    switch (low32(args[0])) {
        case 0:  // CLOCK_REALTIME
        case 8:  // CLOCK_REALTIME_ALARM
            clock = TimerFile::Clock::realtime;
            break;
        case 1:  // CLOCK_MONOTONIC
        case 7:  // CLOCK_BOOTTIME
        case 9:  // CLOCK_BOOTTIME_ALARM
            break;
        default:
            return negative(Errno::inval);
    }
    return install(context, context.file_system.make_inode<TimerFile>(clock),
                   "anon_inode:[timerfd]", flags);
}

std::int64_t sys_timerfd_settime(FileContext& context, const CallArguments& args) {
    TimerSpec spec;
    if (!fetch(spec, args[2])) {
        return negative(Errno::fault);
    }
    const auto first = nanoseconds_of(spec.first);
    const auto interval = nanoseconds_of(spec.interval);
    const std::uint32_t flags = low32(args[1]);
    if (!first || !interval || (flags & ~(timer_absolute | timer_cancel_on_set)) != 0) {
        return negative(Errno::inval);
    }
    const auto timer = file_as<TimerFile>(context, args[0]);
    if (!timer) {
        return negative(timer.error());
    }
    const TimerSpec before = spec_of((*timer)->get());
    const bool is_absolute = *first != 0 && (flags & timer_absolute) != 0;
    (*timer)->set({is_absolute ? from_now(**timer, *first) : *first, *interval});
    return args[3] == 0 ? 0 : store(args[3], before);
}

std::int64_t sys_timerfd_gettime(FileContext& context, const CallArguments& args) {
    const auto timer = file_as<TimerFile>(context, args[0]);
    return timer ? store(args[1], spec_of((*timer)->get())) : negative(timer.error());
}

std::int64_t sys_signalfd4(FileContext& context, const CallArguments& args) {
    const auto [descriptor, set, set_bytes, flags_argument, unused1, unused2] = args;
    const std::uint32_t flags = low32(flags_argument);
    std::uint64_t mask = 0;
    if (set_bytes != sizeof mask || (flags & ~file_flags) != 0) {
        return negative(Errno::inval);
    }
    if (!fetch(mask, set)) {
        return negative(Errno::fault);
    }
    if (static_cast<std::int32_t>(low32(descriptor)) == -1) {
        return install(context, context.file_system.make_inode<SignalFile>(mask),
                       "anon_inode:[signalfd]", flags);
    }
    const auto file = file_as<SignalFile>(context, descriptor);
    if (!file) {
        return negative(file.error());
    }
    (*file)->change_set(mask);
    return low32(descriptor);
}

std::int64_t sys_signalfd(FileContext& context, const CallArguments& args) {
    return sys_signalfd4(context, {args[0], args[1], args[2]});
}

std::int64_t sys_inotify_init1(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[0]);
    return (flags & ~file_flags) != 0
               ? negative(Errno::inval)
               : install(context, context.file_system.make_inode<InotifyFile>(),
                         "anon_inode:inotify", flags);
}

std::int64_t sys_inotify_init(FileContext& context, const CallArguments&) {
    return sys_inotify_init1(context, {});
}

std::int64_t sys_inotify_add_watch(FileContext& context, const CallArguments& args) {
    const auto file = file_as<InotifyFile>(context, args[0]);
    if (!file) {
        return negative(file.error());
    }
    UserPath path;
    const auto watched = path.find(context, working_directory, args[1], FollowLast::yes);
    return watched ? std::int64_t{(*file)->add_watch()} : negative(watched.error());
}

std::int64_t sys_inotify_rm_watch(FileContext& context, const CallArguments& args) {
    const auto file = file_as<InotifyFile>(context, args[0]);
    return file ? result_of((*file)->remove_watch(low32(args[1]))) : negative(file.error());
}

std::int64_t sys_memfd_create(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t close_on_exec = 1;  // MFD_CLOEXEC
    constexpr std::uint32_t allow_sealing = 2;  // MFD_ALLOW_SEALING: nobody asks for seals
    std::array<char, 250> name;                 // MFD_NAME_MAX_LEN
    const auto length = copy_string_from_user(name, args[0]);
    const std::uint32_t flags = low32(args[1]);
    if ((flags & ~(close_on_exec | allow_sealing)) != 0 ||
        (!length && length.error() == Errno::nametoolong)) {
        return negative(Errno::inval);
    }
    if (!length) {
        return negative(length.error());
    }
    std::vector<char> path;
    Text{path}.add("/memfd:").add({name.data(), *length}).add(" (deleted)");
    const std::uint32_t open = (flags & close_on_exec) != 0 ? open_flags::close_on_exec : 0;
    return install(context, context.file_system.make_inode<RegularFile>(0777U),
                   {path.data(), path.size()}, open);
}

}  // namespace shoal::guest
