// The I/O APIC: registers behind a window, and edges that become messages.
#include "devices/legacy/ioapic.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

#include "tests/unit/devices/host/recording_sink.h"

namespace shoal::legacy {
namespace {

constexpr std::uint32_t entry_registers = 0x10;
constexpr std::uint32_t masked = 1U << 16;

struct Fixture {
    [[nodiscard]] std::uint32_t read_at(std::uint64_t offset) {
        std::array<std::byte, 4> data{};
        apic.read(offset, data);
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), sizeof value);
        return value;
    }
    void write_at(std::uint64_t offset, std::uint32_t value) {
        apic.write(offset, std::as_bytes(std::span{&value, 1}));
    }
    [[nodiscard]] std::uint32_t read(std::uint32_t number) {
        write_at(0x00, number);
        return read_at(0x10);
    }
    void write(std::uint32_t number, std::uint32_t value) {
        write_at(0x00, number);
        write_at(0x10, value);
    }
    void route(std::uint32_t pin, std::uint32_t low, std::uint32_t high) {
        write(entry_registers + 2 * pin + 1, high);
        write(entry_registers + 2 * pin, low);
    }

    std::vector<Message> sent;
    IoApic apic{[this](Message message) { sent.push_back(message); }};
};

TEST_CASE("the registers say how many lines there are, and all are masked") {
    Fixture f;
    CHECK(f.read(1) == 0x0017'0011);
    for (std::uint32_t pin = 0; pin < abi::ioapic_pins; ++pin) {
        CHECK(f.read(entry_registers + 2 * pin) == masked);
        f.apic.raise(pin);
    }
    CHECK(f.sent.empty());
}

TEST_CASE("an edge becomes the message that the entry describes") {
    Fixture f;
    f.route(5, 0x0000'0831, 0x0300'0000);  // logical destination 3, fixed, vector 0x31
    IoApic::Line line{f.apic, 5};
    line.raise();
    REQUIRE(f.sent.size() == 1);
    CHECK(f.sent[0].address == 0xFEE0'3004);
    CHECK(f.sent[0].data == 0x4031);
    SUBCASE("not while it is masked, and not later") {
        f.route(5, masked | 0x31, 0);
        line.raise();
        f.route(5, 0x31, 0);
        CHECK(f.sent.size() == 1);
        line.raise();
        CHECK(f.sent[1].address == 0xFEE0'0000);
    }
    SUBCASE("and no other line's") {
        f.apic.raise(4);
        CHECK(f.sent.size() == 1);
    }
}

TEST_CASE("the last line works, and there is nothing behind it") {
    Fixture f;
    const std::uint32_t last = abi::ioapic_pins - 1;
    f.route(last, 0x40, 0xFF00'0000);
    CHECK(f.read(entry_registers + 2 * last + 1) == 0xFF00'0000);
    f.apic.raise(last);
    CHECK(f.sent.size() == 1);
    for (const std::uint32_t number : {entry_registers + 2 * abi::ioapic_pins, 0xFFU, 0x0FU, 3U}) {
        f.write(number, 0xFFFF'FFFF);
        CHECK(f.read(number) == 0);
    }
}

TEST_CASE("bits that software cannot write stay clear") {
    Fixture f;
    f.write(entry_registers, 0xFFFF'FFFF);
    CHECK((f.read(entry_registers) & (1U << 12 | 1U << 14)) == 0);
    f.write(0, 0xFFFF'FFFF);
    CHECK(f.read(0) == 0x0F00'0000);
    CHECK(f.read(2) == 0x0F00'0000);
    f.write(1, 0);
    CHECK(f.read(1) == 0x0017'0011);
}

TEST_CASE("the window's selector keeps 8 bits, and other offsets are nothing") {
    Fixture f;
    f.write_at(0x00, 0xFFFF'FF01);
    CHECK(f.read_at(0x00) == 1);
    f.write_at(0x20, 7);
    CHECK(f.read_at(0x20) == 0);
    CHECK(f.read_at(0x00) == 1);
}

TEST_CASE("accesses of other widths are cut or filled with zeros") {
    Fixture f;
    f.write_at(0x00, 1);
    std::array<std::byte, 8> wide;
    wide.fill(std::byte{0xAA});
    f.apic.read(0x10, wide);
    CHECK(wide[0] == std::byte{0x11});
    CHECK(wide[7] == std::byte{0});
    std::array<std::byte, 1> narrow{};
    f.apic.read(0x10, narrow);
    CHECK(narrow[0] == std::byte{0x11});
    f.apic.write(0x00, std::array{std::byte{2}});
    CHECK(f.read_at(0x00) == 2);
}

TEST_CASE("an I/O APIC survives a saved state") {
    Fixture f;
    f.write(0, 0x0500'0000);
    for (std::uint32_t pin = 0; pin < abi::ioapic_pins; ++pin) {
        f.route(pin, 0x30 + pin, pin << 24);
    }
    f.write_at(0x00, 7);
    const IoApicState state = f.apic.save();
    CHECK(state.selected == 7);
    CHECK(state.id == 0x0500'0000);
    Fixture g;
    g.apic.restore(state);
    CHECK(g.apic.save() == state);
    CHECK(g.read_at(0x00) == 7);
    g.apic.raise(9);
    REQUIRE(g.sent.size() == 1);
    CHECK(g.sent[0].address == 0xFEE0'9000);
    CHECK(g.sent[0].data == 0x4039);
}

TEST_CASE("who passes edges by another way learns of every change, and only of changes") {
    Fixture f;
    int told = 0;
    f.apic.on_reroute([&told] { ++told; });
    CHECK_FALSE(f.apic.message(5));
    f.route(5, 0x31, 0x0300'0000);
    CHECK(told == 2);  // two registers
    CHECK(f.apic.message(5) == Message{0xFEE0'3000, 0x4031});
    CHECK(f.sent.empty());
    f.route(5, 0x31, 0x0300'0000);
    f.write(0, 0x0500'0000);
    static_cast<void>(f.read(entry_registers + 10));
    CHECK(told == 2);
    f.write(entry_registers + 10, masked | 0x31);
    CHECK(told == 3);
    CHECK_FALSE(f.apic.message(5));
    const IoApicState state = f.apic.save();
    f.write(entry_registers + 10, 0x8032);  // level-triggered: as an edge
    CHECK(f.apic.message(5) == Message{0xFEE0'3000, 0x4032});
    f.apic.restore(state);
    CHECK(told == 5);
    CHECK_FALSE(f.apic.message(5));
}

TEST_CASE("the I/O APIC counts what it sent and what was lost") {
    Fixture f;
    f.route(5, 0x31, 0);
    f.apic.raise(5);
    f.apic.raise(5);
    f.apic.raise(6);
    host::RecordingSink sink;
    f.apic.metrics().report(sink);
    CHECK(sink.values["message_count"] == 2);
    CHECK(sink.values["lost_edge_count"] == 1);
}

}  // namespace
}  // namespace shoal::legacy
