// Destination and Source: where the bytes of a read go and where those of a write come from: the
// program's memory or the kernel's. A file hands its own bytes over piece by piece, so they are
// copied once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace shoal::guest {

class Destination {
public:
    // Takes the next bytes; false when it cannot (the program's address is bad).
    [[nodiscard]] virtual bool put(std::span<const std::byte> bytes) = 0;
    [[nodiscard]] virtual bool put_zeros(std::size_t count) = 0;

protected:
    ~Destination() = default;
};

class Source {
public:
    // Fills `bytes` with the next ones; false when it cannot.
    [[nodiscard]] virtual bool get(std::span<std::byte> bytes) = 0;

protected:
    ~Source() = default;
};

// Kernel memory. A transfer beyond its end fails.
class SpanDestination final : public Destination {
public:
    explicit SpanDestination(std::span<std::byte> room) noexcept : room_{room} {}

    bool put(std::span<const std::byte> bytes) override {
        if (bytes.size() > room_.size()) {
            return false;
        }
        std::ranges::copy(bytes, room_.begin());  // not memcpy: neither may be null
        room_ = room_.subspan(bytes.size());
        return true;
    }
    bool put_zeros(std::size_t count) override {
        if (count > room_.size()) {
            return false;
        }
        std::ranges::fill(room_.first(count), std::byte{0});
        room_ = room_.subspan(count);
        return true;
    }

private:
    std::span<std::byte> room_;
};

class SpanSource final : public Source {
public:
    explicit SpanSource(std::span<const std::byte> bytes) noexcept : rest_{bytes} {}

    bool get(std::span<std::byte> bytes) override {
        if (bytes.size() > rest_.size()) {
            return false;
        }
        std::ranges::copy(rest_.first(bytes.size()), bytes.begin());
        rest_ = rest_.subspan(bytes.size());
        return true;
    }

private:
    std::span<const std::byte> rest_;
};

}  // namespace shoal::guest
