// The I/O APIC's two windows and its redirection table.
#include "devices/legacy/ioapic.h"

#include <algorithm>
#include <cstring>

namespace shoal::legacy {
namespace {

constexpr std::uint64_t select_offset = 0x00;
constexpr std::uint64_t data_offset = 0x10;

constexpr std::uint32_t register_id = 0;
constexpr std::uint32_t register_version = 1;
constexpr std::uint32_t register_arbitration = 2;
constexpr std::uint32_t register_entries = 0x10;  // two for each line

constexpr std::uint32_t version = 0x11 | (abi::ioapic_pins - 1) << 16;
constexpr std::uint64_t entry_masked = 1ULL << 16;
constexpr std::uint64_t entry_read_only = 1ULL << 12 | 1ULL << 14;  // delivery status, remote IRR

constexpr std::uint64_t message_base = 0xFEE0'0000;
constexpr std::uint32_t message_assert = 1U << 14;

// The redirection entry's fields, where a message has them.
Message message_of(std::uint64_t entry) {
    const std::uint64_t destination = entry >> 56;
    const std::uint64_t logical = entry >> 11 & 1;
    return {message_base | destination << 12 | logical << 2,
            static_cast<std::uint32_t>(entry & 0x7FF) | message_assert};
}

}  // namespace

IoApic::IoApic(std::function<void(Message)> send) : send_{std::move(send)} {
    entries_.fill(entry_masked);
}

void IoApic::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
    const std::scoped_lock lock{mutex_};
    std::uint32_t value = 0;
    if (offset == select_offset) {
        value = selected_;
    } else if (offset == data_offset) {
        value = read_register();
    }
    std::ranges::fill(data, std::byte{0});
    std::memcpy(data.data(), &value, std::min(data.size(), sizeof value));
}

void IoApic::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
    bool is_rerouted = false;
    {
        const std::scoped_lock lock{mutex_};
        if (offset == select_offset) {
            selected_ = value & 0xFF;
        } else if (offset == data_offset) {
            is_rerouted = write_register(value);
        }
    }
    if (is_rerouted) {
        reroute_();
    }
}

std::uint32_t IoApic::read_register() const noexcept {
    if (selected_ == register_id || selected_ == register_arbitration) {
        return id_;
    }
    if (selected_ == register_version) {
        return version;
    }
    const std::uint32_t idx = selected_ - register_entries;
    if (selected_ < register_entries || idx >= 2 * entries_.size()) {
        return 0;
    }
    return static_cast<std::uint32_t>(entries_[idx / 2] >> (idx % 2 * 32));
}

bool IoApic::write_register(std::uint32_t value) noexcept {
    if (selected_ == register_id) {
        id_ = value & 0x0F00'0000;
    }
    const std::uint32_t idx = selected_ - register_entries;
    if (selected_ < register_entries || idx >= 2 * entries_.size()) {
        return false;
    }
    std::uint64_t& entry = entries_[idx / 2];
    const std::uint64_t before = entry;
    if (idx % 2 == 0) {
        entry = (entry & ~0xFFFF'FFFFULL) | (value & ~entry_read_only);
    } else {
        entry = (entry & 0xFFFF'FFFF) | std::uint64_t{value} << 32;
    }
    return entry != before;
}

void IoApic::raise(std::uint32_t pin) noexcept {
    std::uint64_t entry = 0;
    {
        const std::scoped_lock lock{mutex_};
        entry = entries_[pin];
        ++((entry & entry_masked) == 0 ? metrics_.message_count : metrics_.lost_edge_count);
    }
    if ((entry & entry_masked) == 0) {
        send_(message_of(entry));
    }
}

std::optional<Message> IoApic::message(std::uint32_t pin) const noexcept {
    const std::scoped_lock lock{mutex_};
    const std::uint64_t entry = entries_[pin];
    return (entry & entry_masked) == 0 ? std::optional{message_of(entry)} : std::nullopt;
}

IoApicMetrics IoApic::metrics() const noexcept {
    const std::scoped_lock lock{mutex_};
    return metrics_;
}

IoApicState IoApic::save() const noexcept {
    const std::scoped_lock lock{mutex_};
    return {selected_, id_, entries_};
}

void IoApic::restore(const IoApicState& state) noexcept {
    {
        const std::scoped_lock lock{mutex_};
        selected_ = state.selected;
        id_ = state.id;
        entries_ = state.entries;
    }
    reroute_();
}

}  // namespace shoal::legacy
