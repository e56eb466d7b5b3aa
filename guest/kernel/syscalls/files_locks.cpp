// flock(2), and the locks of fcntl(2). Who waits for another that waits for him waits for ever:
// there is no EDEADLK.
#include "guest/kernel/syscalls/files_locks.h"

#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

using Kind = FileLocks::Kind;
using Lock = FileLocks::Lock;

// struct flock.
struct UserLock {
    std::int16_t type;    // F_RDLCK, F_WRLCK, F_UNLCK
    std::int16_t whence;  // of lseek(2)
    std::int32_t padding1;
    std::int64_t start;
    std::int64_t size;
    std::int32_t process;
    std::int32_t padding2;
};
constexpr std::int16_t read_lock = 0;
constexpr std::int16_t write_lock = 1;
constexpr std::int16_t no_lock = 2;

Result<std::int64_t> base_of(const OpenFile& file, std::int16_t whence) {
    switch (whence) {
        case 0:
            return 0;
        case 1:
            return static_cast<std::int64_t>(file.position);
        case 2:
            return static_cast<std::int64_t>(file.inode().size());
    }
    return fail(Errno::inval);
}

Result<Lock> parse(const FileContext& context, const OpenFile& file, const UserLock& user,
                   LockOwner owner) {
    const auto base = base_of(file, user.whence);
    std::int64_t first = 0;
    std::int64_t behind = 0;
    if (!base || user.type < read_lock || user.type > no_lock ||
        (owner == LockOwner::open_file && user.process != 0)) {
        return fail(Errno::inval);
    }
    if (__builtin_add_overflow(*base, user.start, &first)) {
        return fail(Errno::overflow);
    }
    if (user.size > 0 && __builtin_add_overflow(first, user.size - 1, &behind)) {
        return fail(Errno::overflow);
    }
    Lock lock{&context.table, Kind::none, 0, FileLocks::end,
              static_cast<int>(context.source.pid())};
    if (owner == LockOwner::open_file) {
        lock.owner = &file;
        lock.process = -1;
    }
    if (user.size < 0) {
        behind = first - 1;
        first += user.size;
    }
    if (first < 0) {
        return fail(Errno::inval);
    }
    lock.kind = user.type == read_lock    ? Kind::shared
                : user.type == write_lock ? Kind::exclusive
                                          : Kind::none;
    lock.first = static_cast<std::uint64_t>(first);
    lock.last = user.size == 0 ? FileLocks::end : static_cast<std::uint64_t>(behind);
    return lock;
}

// Once nobody else's lock is in the way. Errno::again, Errno::intr.
Result<void> take(FileLocks& locks, const Lock& wanted, LockWait wait) {
    const auto is_free = [&] {
        return wanted.kind == Kind::none || locks.find_conflict(wanted) == nullptr;
    };
    if (!is_free()) {
        if (wait == LockWait::no) {
            return fail(Errno::again);
        }
        if (wait_until_true(locks.changed(), no_deadline, is_free) != Wake::woken) {
            return fail(Errno::intr);
        }
    }
    return locks.set(wanted);
}

}  // namespace

std::int64_t files::find_lock(const FileContext& context, OpenFile& file, UserAddress at,
                              LockOwner owner) {
    UserLock user{};
    if (!fetch(user, at)) {
        return negative(Errno::fault);
    }
    const auto wanted = parse(context, file, user, owner);
    const auto locks = file.inode().locks();
    if (!wanted || !locks || wanted->kind == Kind::none) {
        return negative(!wanted ? wanted.error() : !locks ? locks.error() : Errno::inval);
    }
    const Lock* found = (*locks)->ranges.find_conflict(*wanted);
    if (found == nullptr) {
        user.type = no_lock;
    } else {
        user.type = found->kind == Kind::shared ? read_lock : write_lock;
        user.whence = 0;
        user.start = static_cast<std::int64_t>(found->first);
        user.size = found->last == FileLocks::end
                        ? 0
                        : static_cast<std::int64_t>(found->last - found->first) + 1;
        user.process = found->process;
    }
    return store(at, user);
}

std::int64_t files::set_lock(const FileContext& context, OpenFile& file, UserAddress at,
                             LockOwner owner, LockWait wait) {
    UserLock user{};
    if (!fetch(user, at)) {
        return negative(Errno::fault);
    }
    const auto wanted = parse(context, file, user, owner);
    if (!wanted) {
        return negative(wanted.error());
    }
    if ((wanted->kind == Kind::shared && !file.may_read()) ||
        (wanted->kind == Kind::exclusive && !file.may_write())) {
        return negative(Errno::badf);
    }
    const auto locks = file.inode().locks();
    const OpenFileRef held{&file};  // others may close it meanwhile
    return locks ? result_of(take((*locks)->ranges, *wanted, wait)) : negative(locks.error());
}

std::int64_t sys_flock(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t shared = 1;
    constexpr std::uint32_t exclusive = 2;
    constexpr std::uint32_t at_once = 4;
    constexpr std::uint32_t unlock = 8;
    const OpenFileRef file{context.table.find(args[0])};
    const std::uint32_t operation = low32(args[1]) & ~at_once;
    if (!file || file->has(open_flags::path)) {
        return negative(Errno::badf);
    }
    if (operation != shared && operation != exclusive && operation != unlock) {
        return negative(Errno::inval);
    }
    const auto locks = file->inode().locks();
    if (!locks) {
        return negative(locks.error());
    }
    const Kind kind = operation == shared      ? Kind::shared
                      : operation == exclusive ? Kind::exclusive
                                               : Kind::none;
    const Lock wanted{file.get(), kind};
    if ((*locks)->whole.find_conflict(wanted) != nullptr) {
        (*locks)->whole.release(file.get());  // a lock that is changed is lost first, as on Linux
    }
    const LockWait wait = (low32(args[1]) & at_once) != 0 ? LockWait::no : LockWait::yes;
    return result_of(take((*locks)->whole, wanted, wait));
}

}  // namespace shoal::guest
