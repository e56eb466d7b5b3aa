// SignalFile: takes signals as records.
#include "guest/kernel/events/signal_file.h"

namespace shoal::guest {
namespace {

// struct signalfd_siginfo.
struct SignalRecord {
    std::uint32_t number = 0;
    std::int32_t error = 0;
    std::int32_t code = 0;
    std::uint32_t pid = 0;
    std::array<std::byte, 56> unused1{};
    std::uint64_t address = 0;
    std::array<std::byte, 48> unused2{};
};
static_assert(sizeof(SignalRecord) == 128);

// Codes of signals that a fault caused are positive.
SignalRecord record_of(const SignalInfo& info) {
    SignalRecord record{.number = info.number, .code = info.code};
    if (info.code > 0) {
        record.address = info.address;
    } else {
        record.pid = static_cast<std::uint32_t>(info.address);
    }
    return record;
}

}  // namespace

Result<std::size_t> SignalFile::read(OpenFile&, std::uint64_t, Destination& to, std::size_t count) {
    if (count < sizeof(SignalRecord)) {
        return fail(Errno::inval);
    }
    std::size_t done = 0;
    while (count - done >= sizeof(SignalRecord)) {
        const auto info = take_signal(set_);
        if (!info) {
            break;
        }
        const SignalRecord record = record_of(*info);
        if (!to.put(std::as_bytes(std::span{&record, 1}))) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        done += sizeof record;
    }
    return done != 0 ? Result<std::size_t>{done} : fail(Errno::again);
}

Readiness SignalFile::readiness(const OpenFile&) const {
    Readiness ready;
    ready.readable = (pending_signals() & set_) != 0 ? Readiness::Is::yes : Readiness::Is::no;
    ready.writable = Readiness::Is::no;
    return ready;
}

}  // namespace shoal::guest
