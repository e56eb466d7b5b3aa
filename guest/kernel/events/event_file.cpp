// EventFile: reading takes the counter, or one of it; writing adds.
#include "guest/kernel/events/event_file.h"

namespace shoal::guest {

Result<std::size_t> EventFile::read(OpenFile&, std::uint64_t, Destination& to, std::size_t count) {
    if (count < sizeof counter_) {
        return fail(Errno::inval);
    }
    if (counter_ == 0) {
        return fail(Errno::again);
    }
    const std::uint64_t taken = counting_ == EventCounting::semaphore ? 1 : counter_;
    counter_ -= taken;
    waiters().wake_all();
    return to.put(std::as_bytes(std::span{&taken, 1})) ? Result<std::size_t>{sizeof taken}
                                                       : fail(Errno::fault);
}

Result<std::size_t> EventFile::write(OpenFile&, std::uint64_t, Source& from, std::size_t count) {
    std::uint64_t added = 0;
    if (count < sizeof added) {
        return fail(Errno::inval);
    }
    if (!from.get(std::as_writable_bytes(std::span{&added, 1}))) {
        return fail(Errno::fault);
    }
    if (added > counter_max) {
        return fail(Errno::inval);
    }
    if (added > counter_max - counter_) {
        return fail(Errno::again);
    }
    counter_ += added;
    waiters().wake_all();
    return sizeof added;
}

Readiness EventFile::readiness(const OpenFile&) const {
    Readiness ready;
    ready.readable = counter_ != 0 ? Readiness::Is::yes : Readiness::Is::no;
    ready.writable = counter_ < counter_max ? Readiness::Is::yes : Readiness::Is::no;
    return ready;
}

}  // namespace shoal::guest
