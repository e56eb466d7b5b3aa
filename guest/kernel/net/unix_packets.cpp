// UnixPackets: a list with its sums.
#include "guest/kernel/net/unix_packets.h"

#include <utility>

namespace shoal::guest {
namespace {

// What a packet takes besides its bytes: keeps empty packets from being free.
constexpr std::size_t packet_charge = 256;

// Closing a file may close a socket in which other files wait, and so on: they are closed one
// after the other here, not one within the other, for which the stack has no room.
void close_files(std::vector<OpenFileRef>&& files) {
    static std::vector<OpenFileRef>* waiting = nullptr;
    if (waiting != nullptr) {
        for (OpenFileRef& file : files) {
            waiting->push_back(std::move(file));
        }
        return;
    }
    std::vector<OpenFileRef> mine{std::move(files)};
    waiting = &mine;
    while (!mine.empty()) {
        const OpenFileRef file{std::move(mine.back())};
        mine.pop_back();
    }
    waiting = nullptr;
}

}  // namespace

void UnixPackets::account(const UnixPacket& packet, std::size_t sign) noexcept {
    charge_ += sign * (packet.size - packet.taken + packet_charge);
    byte_count_ += sign * (packet.size - packet.taken);
}

void UnixPackets::push_back(std::unique_ptr<UnixPacket> packet) noexcept {
    account(*packet, 1);
    UnixPacket* added = packet.get();
    (last_ != nullptr ? last_->next : first_) = std::move(packet);
    last_ = added;
}

void UnixPackets::push_front(std::unique_ptr<UnixPacket> packet) noexcept {
    account(*packet, 1);
    packet->next = std::move(first_);
    first_ = std::move(packet);
    last_ = last_ != nullptr ? last_ : first_.get();
}

std::unique_ptr<UnixPacket> UnixPackets::pop() noexcept {
    std::unique_ptr<UnixPacket> packet = std::move(first_);
    first_ = std::move(packet->next);
    last_ = first_ ? last_ : nullptr;
    account(*packet, static_cast<std::size_t>(-1));
    return packet;
}

void UnixPackets::clear() noexcept {
    while (!empty()) {
        const auto packet = pop();
        if (!packet->files.empty()) {
            close_files(std::move(packet->files));
        }
    }
}

}  // namespace shoal::guest
