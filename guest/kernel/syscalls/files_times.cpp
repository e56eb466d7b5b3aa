// System calls that change a file's times.
#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

constexpr std::int64_t time_now = 0x3FFFFFFF;   // UTIME_NOW
constexpr std::int64_t time_omit = 0x3FFFFFFE;  // UTIME_OMIT

// Last access and last change of content.
using TimePair = std::array<TimeSpec, 2>;
constexpr TimePair both_now = {TimeSpec{0, time_now}, TimeSpec{0, time_now}};

bool is_valid(const TimeSpec& time) {
    return time.nanoseconds == time_now || time.nanoseconds == time_omit ||
           (time.nanoseconds >= 0 && time.nanoseconds < 1'000'000'000);
}

void set_time(Timestamp& to, const TimeSpec& time, const Timestamp& now) {
    if (time.nanoseconds == time_now) {
        to = now;
    } else if (time.nanoseconds != time_omit) {
        to = {time.seconds, static_cast<std::uint32_t>(time.nanoseconds)};
    }
}

std::int64_t change_times(FileContext& context, const Result<EntryRef>& entry,
                          const Result<TimePair>& times) {
    if (!times) {
        return negative(times.error());
    }
    if (!is_valid((*times)[0]) || !is_valid((*times)[1])) {
        return negative(Errno::inval);
    }
    if (!entry) {
        return negative(entry.error());
    }
    const Timestamp now = context.file_system.now();
    Attributes& attributes = (*entry)->inode().attributes;
    set_time(attributes.accessed, (*times)[0], now);
    set_time(attributes.modified, (*times)[1], now);
    attributes.changed = now;
    return 0;
}

Result<TimePair> fetch_times(UserAddress address) {
    TimePair times = both_now;
    if (address != 0 && !fetch(times, address)) {
        return fail(Errno::fault);
    }
    return times;
}

// struct timeval: microseconds.
Result<TimePair> fetch_times_us(UserAddress address) {
    auto times = fetch_times(address);
    if (times && address != 0) {
        for (TimeSpec& time : *times) {
            if (time.nanoseconds < 0 || time.nanoseconds >= 1'000'000) {
                return fail(Errno::inval);
            }
            time.nanoseconds *= 1000;
        }
    }
    return times;
}

// struct utimbuf: seconds.
Result<TimePair> fetch_times_s(UserAddress address) {
    std::array<std::int64_t, 2> seconds{};
    if (address == 0) {
        return both_now;
    }
    if (!fetch(seconds, address)) {
        return fail(Errno::fault);
    }
    return TimePair{TimeSpec{seconds[0], 0}, TimeSpec{seconds[1], 0}};
}

}  // namespace

std::int64_t sys_utime(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_times(context,
                        user_path.find(context, working_directory, args[0], FollowLast::yes),
                        fetch_times_s(args[1]));
}

std::int64_t sys_utimes(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_times(context,
                        user_path.find(context, working_directory, args[0], FollowLast::yes),
                        fetch_times_us(args[1]));
}

std::int64_t sys_futimesat(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    const auto entry = args[1] == 0 ? entry_of(context, args[0])
                                    : user_path.find(context, args[0], args[1], FollowLast::yes);
    return change_times(context, entry, fetch_times_us(args[2]));
}

std::int64_t sys_utimensat(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[3]);
    if ((flags & ~(at_symlink_no_follow | at_empty_path)) != 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    // Without a path it is futimens(3).
    const auto entry = args[1] == 0
                           ? entry_of(context, args[0])
                           : user_path.find(context, args[0], args[1], follow_of(flags), flags);
    return change_times(context, entry, fetch_times(args[2]));
}

}  // namespace shoal::guest
