// The console's control messages.
#include "devices/virtio/console_control.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "devices/virtio/chain_bytes.h"

namespace shoal::virtio {

namespace console = abi::virtio::console;
using console::Event;

namespace {

// What a port's driver is told, in this order; a message's bit is 1 << its place here.
struct Notice {
    Event event;
    std::uint16_t value;
};
constexpr std::array notices{
    Notice{Event::port_add, 1},  Notice{Event::console_port, 1}, Notice{Event::port_name, 1},
    Notice{Event::port_open, 1}, Notice{Event::port_open, 0},
};
constexpr std::uint32_t due_add = 1 << 0;
constexpr std::uint32_t due_console = 1 << 1;
constexpr std::uint32_t due_name = 1 << 2;
constexpr std::uint32_t due_opened = 1 << 3;
constexpr std::uint32_t due_closed = 1 << 4;

std::expected<std::optional<Chain>, QueueError> pop_or_ask(Queue& queue) noexcept {
    auto chain = queue.pop();
    if (chain && !*chain && queue.enable_notifications()) {
        chain = queue.pop();
    }
    return chain;
}

}  // namespace

void ConsoleControl::reset() noexcept {
    std::ranges::fill(due_, 0U);
}

std::expected<bool, QueueError> ConsoleControl::read(Queue& transmit,
                                                     std::uint32_t limit) noexcept {
    for (std::uint32_t turn = 0; turn < limit; ++turn) {
        const auto chain = pop_or_ask(transmit);
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            return false;
        }
        console::Control message{};
        const auto bytes = std::as_writable_bytes(std::span{&message, 1});
        if (copy_readable(**chain, bytes) == sizeof message) {
            answer(message);
        }
        transmit.push_used((*chain)->head, 0);
    }
    return true;
}

// Messages that make no sense are ignored: there is no way to answer them.
void ConsoleControl::answer(const console::Control& message) noexcept {
    if (message.event == Event::device_ready && message.value == 1) {
        for (std::uint32_t& due : due_) {
            due |= due_add;
        }
        return;
    }
    if (message.port >= ports_.size()) {
        return;
    }
    ConsolePort& port = *ports_[message.port];
    if (message.event == Event::port_ready && message.value == 1) {
        due_[message.port] |= due_opened | (message.port == 0 ? due_console : 0) |
                              (port.streams().name.empty() ? 0 : due_name);
    } else if (message.event == Event::port_open) {
        message.value == 1 ? port.open() : port.close();
    }
}

std::expected<void, QueueError> ConsoleControl::write(Queue& receive) noexcept {
    receive.suppress_notifications();  // until a buffer is missing
    for (std::uint32_t idx = 0; idx < ports_.size(); ++idx) {
        due_[idx] |= ports_[idx]->take_input_end() ? due_closed : 0;
        for (std::uint32_t place = 0; place < notices.size(); ++place) {
            if ((due_[idx] >> place & 1) == 0) {
                continue;
            }
            const auto chain = pop_or_ask(receive);
            if (!chain) {
                return std::unexpected(chain.error());
            }
            if (!*chain) {
                return {};
            }
            const auto size_bytes =
                fill(**chain, {idx, notices[place].event, notices[place].value});
            if (!size_bytes) {
                return std::unexpected(size_bytes.error());
            }
            receive.push_used((*chain)->head, *size_bytes);
            due_[idx] &= ~(1U << place);
        }
    }
    return {};
}

// The message goes into the first buffer; a name that does not fit behind it is cut.
std::expected<std::uint32_t, QueueError> ConsoleControl::fill(
    const Chain& chain, const console::Control& message) const noexcept {
    if (chain.writable.empty() || chain.writable.front().size() < sizeof message) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    const std::span<std::byte> buffer = chain.writable.front();
    std::memcpy(buffer.data(), &message, sizeof message);
    std::size_t size_bytes = sizeof message;
    if (message.event == Event::port_name && buffer.size() > sizeof message) {
        const auto name = std::as_bytes(std::span{ports_[message.port]->streams().name});
        const auto room = buffer.subspan(sizeof message);
        const auto piece = name.first(std::min(name.size(), room.size() - 1));
        std::ranges::copy(piece, room.begin());
        room[piece.size()] = std::byte{0};
        size_bytes += piece.size() + 1;
    }
    return static_cast<std::uint32_t>(size_bytes);
}

}  // namespace shoal::virtio
