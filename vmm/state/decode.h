// Decoder: the way back from Encoder's bytes, which may be anybody's. Throws StateError for what
// Encoder cannot have written. Never takes more memory than a fixed multiple of the bytes: each
// element of a vector has at least one of them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/machine/gpa.h"
#include "vmm/state/fields.h"
#include "vmm/state/state_error.h"

namespace shoal::state {

class Decoder {
public:
    // Borrows the bytes. `what` they are is what errors name.
    Decoder(std::span<const std::byte> bytes, std::string what)
        : rest_{bytes}, what_{std::move(what)} {}

    [[nodiscard]] std::size_t bytes_left() const noexcept { return rest_.size(); }

    std::span<const std::byte> read_bytes(std::size_t count) {
        if (count > rest_.size()) {
            fail("ends too early");
        }
        const auto bytes = rest_.first(count);
        rest_ = rest_.subspan(count);
        return bytes;
    }

    void read(std::byte& value) { value = read_bytes(1).front(); }

    void read(bool& value) {
        const auto byte = read_bytes(1).front();
        if (byte > std::byte{1}) {
            fail("has a flag that is neither 0 nor 1");
        }
        value = byte == std::byte{1};
    }

    void read(machine::Gpa& value) {
        std::uint64_t address = 0;
        read(address);
        value = machine::Gpa{address};
    }

    template <std::integral T>
    void read(T& value) {
        std::make_unsigned_t<T> bits = 0;
        const auto bytes = read_bytes(sizeof bits);
        for (std::size_t at = bytes.size(); at-- > 0;) {
            bits = static_cast<std::make_unsigned_t<T>>(std::uint64_t{bits} << 8 |
                                                        std::to_integer<std::uint64_t>(bytes[at]));
        }
        value = static_cast<T>(bits);
    }

    template <typename T>
    requires std::is_enum_v<T>
    void read(T& value) {
        std::uint32_t number = 0;
        read(number);
        if (number > static_cast<std::uint32_t>(LastOf<T>::value)) {
            fail("has a choice that does not exist");
        }
        value = static_cast<T>(number);
    }

    template <Listed T>
    void read(T& value) {
        for_each_field<T>([&](auto field) { read(value.*field); });
    }

    void read(std::string& text) {
        const auto bytes = read_bytes(read_count());
        text.resize(bytes.size());
        std::memcpy(text.data(), bytes.data(), bytes.size());
    }

    template <typename T>
    void read(std::optional<T>& value) {
        bool is_there = false;
        read(is_there);
        value.reset();
        if (is_there) {
            read(value.emplace());
        }
    }

    template <typename T>
    void read(std::vector<T>& values) {
        values.clear();
        for (std::size_t left = read_count(); left > 0; --left) {
            read(values.emplace_back());
        }
    }

    template <typename T, std::size_t size>
    void read(std::array<T, size>& values) {
        for (T& value : values) {
            read(value);
        }
    }

    template <typename T, std::size_t size>
    void read(T (&values)[size]) {
        for (T& value : values) {
            read(value);
        }
    }

    [[noreturn]] void fail(const std::string& why) const { throw StateError(what_ + " " + why); }

private:
    std::size_t read_count() {
        std::uint32_t count = 0;
        read(count);
        if (count > rest_.size()) {
            fail("ends too early");
        }
        return count;
    }

    std::span<const std::byte> rest_;
    std::string what_;
};

}  // namespace shoal::state
