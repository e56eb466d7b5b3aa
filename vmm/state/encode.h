// Encoder: values into bytes. Integers have their own width and are little-endian, a bool is a
// byte, an optional begins with a bool, strings and vectors with their 32-bit count; structures are
// their fields, in the order of their list.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "devices/machine/gpa.h"
#include "vmm/state/fields.h"

namespace shoal::state {

class Encoder {
public:
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    // At the end: without a copy.
    [[nodiscard]] std::vector<std::byte> take_bytes() && noexcept { return std::move(bytes_); }

    void write_bytes(std::span<const std::byte> bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }

    void write(std::byte value) { bytes_.push_back(value); }
    void write(bool value) { write(static_cast<std::byte>(value)); }
    void write(machine::Gpa value) { write(value.value()); }

    template <std::integral T>
    void write(T value) {
        const auto bits = static_cast<std::make_unsigned_t<T>>(value);
        for (std::size_t at = 0; at < sizeof bits; ++at) {
            write(static_cast<std::byte>(bits >> (8 * at) & 0xFF));
        }
    }

    template <typename T>
    requires std::is_enum_v<T>
    void write(T value) { write(static_cast<std::uint32_t>(value)); }

    template <Listed T>
    void write(const T& value) {
        for_each_field<T>([&](auto field) { write(value.*field); });
    }

    void write(const std::string& text) {
        write(static_cast<std::uint32_t>(text.size()));
        write_bytes(std::as_bytes(std::span{text}));
    }

    template <typename T>
    void write(const std::optional<T>& value) {
        write(value.has_value());
        if (value) {
            write(*value);
        }
    }

    template <typename T>
    void write(const std::vector<T>& values) {
        write(static_cast<std::uint32_t>(values.size()));
        for (const T& value : values) {
            write(value);
        }
    }

    template <typename T, std::size_t size>
    void write(const std::array<T, size>& values) {
        for (const T& value : values) {
            write(value);
        }
    }

    // Of the kernel's structures.
    template <typename T, std::size_t size>
    void write(const T (&values)[size]) {
        for (const T& value : values) {
            write(value);
        }
    }

private:
    std::vector<std::byte> bytes_;
};

}  // namespace shoal::state
