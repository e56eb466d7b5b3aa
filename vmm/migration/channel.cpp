// Frames out of and into a wire.
#include "vmm/migration/channel.h"

#include <utility>

namespace shoal::migration {
namespace {

constexpr std::size_t piece_bytes = 256 << 10;

}  // namespace

Channel::Channel(std::unique_ptr<Wire> wire) : wire_{std::move(wire)}, piece_(piece_bytes) {}

std::optional<std::string> Channel::send(const Frame& frame) {
    if (const auto written = wire_->write(encode(frame)); !written) {
        return std::string{describe(written.error())};
    }
    return {};
}

std::optional<std::string> Channel::receive(Frame& frame) {
    return receive(frame, [] { return false; });
}

std::optional<std::string> Channel::receive(Frame& frame, const std::function<bool()>& is_patient) {
    while (true) {
        const auto taken = reader_.take(frame);
        if (!taken) {
            return std::string{describe(taken.error())};
        }
        if (*taken == Taken::frame) {
            return {};
        }
        const auto count = wire_->read_some(piece_);
        if (!count && count.error() == WireError::timed_out && is_patient()) {
            continue;
        }
        if (!count) {
            return std::string{describe(count.error())};
        }
        reader_.add(std::span{piece_}.first(*count));
    }
}

}  // namespace shoal::migration
