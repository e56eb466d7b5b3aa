// FileLocks: a list, since few files have many.
#include "guest/kernel/fs/file_locks.h"

#include <algorithm>

namespace shoal::guest {
namespace {

using Lock = FileLocks::Lock;

bool overlap(const Lock& a, const Lock& b) {
    return a.first <= b.last && b.first <= a.last;
}

bool touch(const Lock& a, const Lock& b) {
    return a.first <= b.last + 1 && b.first <= a.last + 1;
}

}  // namespace

const Lock* FileLocks::find_conflict(const Lock& wanted) const noexcept {
    const Lock* found = nullptr;
    for (const Lock& lock : locks_) {
        const bool conflicts = lock.owner != wanted.owner && overlap(lock, wanted) &&
                               (lock.kind == Kind::exclusive || wanted.kind == Kind::exclusive);
        if (conflicts && (found == nullptr || lock.first < found->first)) {
            found = &lock;
        }
    }
    return found;
}

Result<void> FileLocks::set(const Lock& wanted) {
    if (wanted.kind != Kind::none && locks_.size() >= limit) {
        return fail(Errno::nolck);
    }
    std::vector<Lock> after;
    after.reserve(locks_.size() + 2);
    Lock merged = wanted;
    for (const Lock& lock : locks_) {
        if (lock.owner != wanted.owner || !touch(lock, wanted)) {
            after.push_back(lock);
        } else if (lock.kind == wanted.kind) {
            merged.first = std::min(merged.first, lock.first);
            merged.last = std::max(merged.last, lock.last);
        } else {
            if (lock.first < wanted.first) {
                after.push_back(lock);
                after.back().last = std::min(lock.last, wanted.first - 1);
            }
            if (lock.last > wanted.last) {
                after.push_back(lock);
                after.back().first = std::max(lock.first, wanted.last + 1);
            }
        }
    }
    if (wanted.kind != Kind::none) {
        after.push_back(merged);
    }
    locks_ = std::move(after);
    changed_.wake_all();
    return {};
}

void FileLocks::release(const void* owner) noexcept {
    if (std::erase_if(locks_, [owner](const Lock& lock) { return lock.owner == owner; }) != 0) {
        changed_.wake_all();
    }
}

}  // namespace shoal::guest
