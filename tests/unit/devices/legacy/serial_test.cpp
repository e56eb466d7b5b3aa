// The UART: registers, FIFO, interrupts, and streams that are slow.
#include "devices/legacy/serial.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/devices/host/recording_sink.h"

namespace shoal::legacy {
namespace {

// Registers by offset, and their bits.
constexpr std::uint64_t data = 0;
constexpr std::uint64_t interrupt_enable = 1;
constexpr std::uint64_t identification = 2;  // w: FIFO control
constexpr std::uint64_t line_control = 3;
constexpr std::uint64_t modem_control = 4;
constexpr std::uint64_t line_status = 5;
constexpr std::uint64_t modem_status = 6;
constexpr std::uint64_t scratch = 7;

constexpr std::uint8_t data_ready = 0x01;
constexpr std::uint8_t transmitter_empty = 0x60;
constexpr std::uint8_t no_interrupt = 0x01;
constexpr std::uint8_t received_interrupt = 0x04;
constexpr std::uint8_t transmit_interrupt = 0x02;
constexpr std::uint8_t latch_open = 0x80;
constexpr std::uint8_t loopback = 0x10;

class CountingIrq final : public machine::IrqLine {
public:
    void raise() noexcept override { ++count; }
    int count = 0;
};

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        host::check_os(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), "pipe2");
        out = host::UniqueFd{ends[0]};
        in = host::UniqueFd{ends[1]};
    }
    void write(std::string_view text) const {
        REQUIRE(::write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    [[nodiscard]] std::string read() const {
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t n = 0; (n = ::read(out.get(), buffer.data(), buffer.size())) > 0;) {
            text.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return text;
    }
    void fill() const {
        const std::vector<char> zeros(4096);
        while (::write(in.get(), zeros.data(), zeros.size()) > 0) {
        }
    }
    host::UniqueFd out;
    host::UniqueFd in;
};

struct Fixture {
    [[nodiscard]] std::uint8_t read(std::uint64_t offset) {
        std::array<std::byte, 1> value{};
        serial.read(offset, value);
        return std::to_integer<std::uint8_t>(value[0]);
    }
    void write(std::uint64_t offset, std::uint8_t value) {
        const std::array bytes{std::byte{value}};
        serial.write(offset, bytes);
    }
    void type(std::string_view text) {
        input.write(text);
        serial.on_input_ready();
    }
    // Writes until the transmitter is busy; how many bytes that took.
    std::size_t transmit_until_busy() {
        std::size_t count = 0;
        while ((read(line_status) & transmitter_empty) != 0) {
            write(data, 'x');
            ++count;
        }
        return count;
    }

    Pipe input;
    Pipe output;
    CountingIrq irq;
    host::EventFd wake;
    Serial serial{irq, wake, backend::InputStream{input.out.get()},
                  backend::OutputStream{output.in.get()}};
};

TEST_CASE("a serial port at rest has nothing to read and takes bytes") {
    Fixture f;
    CHECK(f.read(line_status) == transmitter_empty);
    CHECK(f.read(data) == 0);
    CHECK(f.read(identification) == no_interrupt);
    CHECK(f.read(modem_status) == 0xB0);
    CHECK(f.serial.wants_input());
    CHECK_FALSE(f.serial.wants_output());
}

TEST_CASE("bytes written go out in order, and the event loop is woken once") {
    Fixture f;
    f.write(data, 'a');
    CHECK(f.wake.drain());
    f.write(data, 'b');
    CHECK_FALSE(f.wake.drain());
    CHECK(f.serial.wants_output());
    f.serial.on_output_ready();
    CHECK(f.output.read() == "ab");
    CHECK_FALSE(f.serial.wants_output());
    CHECK(f.serial.metrics().write_count == 2);
}

TEST_CASE("input arrives in pieces of a FIFO, and more only when it is read") {
    Fixture f;
    f.type("0123456789abcdefXY");
    CHECK_FALSE(f.serial.wants_input());
    CHECK(f.read(line_status) == (transmitter_empty | data_ready));
    f.wake.drain();
    std::string got;
    for (int i = 0; i < 15; ++i) {
        got.push_back(static_cast<char>(f.read(data)));
    }
    CHECK_FALSE(f.wake.drain());
    CHECK_FALSE(f.serial.wants_input());
    got.push_back(static_cast<char>(f.read(data)));
    CHECK(got == "0123456789abcdef");
    CHECK(f.wake.drain());
    CHECK(f.serial.wants_input());
    f.serial.on_input_ready();
    CHECK(f.read(data) == 'X');
    CHECK(f.read(data) == 'Y');
    CHECK(f.read(line_status) == transmitter_empty);
    CHECK(f.serial.metrics().read_count == 18);
}

TEST_CASE("clearing the FIFO drops what was received") {
    Fixture f;
    f.type("abc");
    f.write(identification, 0x02);
    CHECK(f.read(line_status) == transmitter_empty);
    f.type("d");
    CHECK(f.read(data) == 'd');
}

TEST_CASE("the FIFOs are reported once they are switched on") {
    Fixture f;
    CHECK((f.read(identification) & 0xC0) == 0);
    f.write(identification, 0x01);
    CHECK((f.read(identification) & 0xC0) == 0xC0);
}

TEST_CASE("received data interrupts when that is enabled") {
    Fixture f;
    SUBCASE("not before") {
        f.type("a");
        CHECK(f.irq.count == 0);
        CHECK(f.read(identification) == no_interrupt);
        f.write(interrupt_enable, 0x01);
        CHECK(f.irq.count == 1);
    }
    SUBCASE("and stays due until it is read") {
        f.write(interrupt_enable, 0x01);
        CHECK(f.irq.count == 0);
        f.type("ab");
        CHECK(f.irq.count == 1);
        CHECK(f.read(identification) == received_interrupt);
        CHECK(f.read(identification) == received_interrupt);
        CHECK(f.read(data) == 'a');
        CHECK(f.irq.count == 2);
        CHECK(f.read(data) == 'b');
        CHECK(f.irq.count == 2);
        CHECK(f.read(identification) == no_interrupt);
    }
}

TEST_CASE("an empty transmitter interrupts when that is enabled, and reading says so once") {
    Fixture f;
    f.write(interrupt_enable, 0x02);
    CHECK(f.irq.count == 1);
    CHECK(f.read(identification) == transmit_interrupt);
    CHECK(f.read(identification) == no_interrupt);
    f.write(data, 'a');
    CHECK(f.irq.count == 2);
    CHECK(f.read(identification) == transmit_interrupt);
    SUBCASE("received data comes first") {
        f.write(interrupt_enable, 0x03);
        f.write(data, 'b');
        f.type("c");
        CHECK(f.read(identification) == received_interrupt);
        CHECK(f.read(data) == 'c');
        CHECK(f.read(identification) == transmit_interrupt);
    }
}

TEST_CASE("a full queue is not reported as empty, and interrupts when there is room again") {
    Fixture f;
    f.write(interrupt_enable, 0x02);
    f.output.fill();
    const std::size_t count = f.transmit_until_busy();
    CHECK(count > 1000);
    CHECK(f.read(identification) == transmit_interrupt);
    f.irq.count = 0;
    f.serial.on_output_ready();
    CHECK(f.read(line_status) == 0);
    CHECK(f.irq.count == 0);

    static_cast<void>(f.output.read());
    while (f.serial.wants_output()) {
        f.serial.on_output_ready();
        static_cast<void>(f.output.read());
    }
    CHECK(f.irq.count == 1);
    CHECK(f.read(line_status) == transmitter_empty);
    CHECK(f.read(identification) == transmit_interrupt);
    CHECK(f.serial.metrics().missed_write_count == 0);
    CHECK(f.serial.metrics().write_count == count);
}

TEST_CASE("a promise of an empty transmitter holds for a whole FIFO") {
    Fixture f;
    f.output.fill();
    f.transmit_until_busy();
    // The last "empty" was true with 16 bytes of room; one of them is taken.
    for (int i = 0; i < 15; ++i) {
        f.write(data, 'y');
    }
    CHECK(f.serial.metrics().missed_write_count == 0);
    f.write(data, 'z');
    CHECK(f.serial.metrics().missed_write_count == 1);
}

TEST_CASE("in loopback bytes come back and the streams rest") {
    Fixture f;
    f.write(modem_control, loopback);
    CHECK_FALSE(f.serial.wants_input());
    f.write(data, 'a');
    CHECK_FALSE(f.serial.wants_output());
    CHECK(f.read(line_status) == (transmitter_empty | data_ready));
    CHECK(f.read(data) == 'a');
    SUBCASE("not more than a FIFO of them") {
        for (int i = 0; i < 100; ++i) {
            f.write(data, static_cast<std::uint8_t>(i));
        }
        for (int i = 0; i < 16; ++i) {
            CHECK(f.read(data) == i);
        }
        CHECK(f.read(line_status) == transmitter_empty);
    }
    SUBCASE("modem outputs are its inputs") {
        f.write(modem_control, loopback | 0x01);
        CHECK(f.read(modem_status) == 0x20);
        f.write(modem_control, loopback | 0x02);
        CHECK(f.read(modem_status) == 0x10);
        f.write(modem_control, loopback | 0x04);
        CHECK(f.read(modem_status) == 0x40);
        f.write(modem_control, loopback | 0x08);
        CHECK(f.read(modem_status) == 0x80);
    }
}

TEST_CASE("the divisor latch hides data and interrupt enable") {
    Fixture f;
    f.write(interrupt_enable, 0x01);
    f.type("a");
    f.write(line_control, latch_open);
    f.write(data, 0x34);
    f.write(interrupt_enable, 0x12);
    CHECK(f.read(data) == 0x34);
    CHECK(f.read(interrupt_enable) == 0x12);
    CHECK_FALSE(f.serial.wants_output());
    f.write(line_control, 0x03);
    CHECK(f.read(line_control) == 0x03);
    CHECK(f.read(interrupt_enable) == 0x01);
    CHECK(f.read(data) == 'a');
}

TEST_CASE("registers keep the bits that exist") {
    Fixture f;
    f.write(interrupt_enable, 0xFF);
    CHECK(f.read(interrupt_enable) == 0x0F);
    f.write(modem_control, 0xFF);
    CHECK(f.read(modem_control) == 0x1F);
    f.write(scratch, 0xA5);
    CHECK(f.read(scratch) == 0xA5);
    f.write(line_status, 0);
    f.write(modem_status, 0);
    f.write(modem_control, 0);
    CHECK(f.read(line_status) == transmitter_empty);
    CHECK(f.read(modem_status) == 0xB0);
}

TEST_CASE("a wide access is a byte, and ones") {
    Fixture f;
    f.write(scratch, 0x5A);
    std::array<std::byte, 4> wide{};
    f.serial.read(scratch, wide);
    CHECK(wide == std::array{std::byte{0x5A}, std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF}});
    wide.fill(std::byte{'q'});
    f.serial.write(data, wide);
    f.serial.on_output_ready();
    CHECK(f.output.read() == "q");
}

TEST_CASE("at the end of input no more is wanted") {
    Fixture f;
    f.input.in = {};
    REQUIRE(f.serial.wants_input());
    f.serial.on_input_ready();
    CHECK_FALSE(f.serial.wants_input());
    CHECK(f.read(line_status) == transmitter_empty);
}

TEST_CASE("output beyond the rate limit is dropped, and the guest need not wait") {
    Fixture f;
    f.serial.set_rate_limit({.size = 10, .one_time_burst = 3, .refill_time_ms = 3'600'000});
    f.write(interrupt_enable, 0x02);
    f.irq.count = 0;
    for (int i = 0; i < 100; ++i) {
        REQUIRE((f.read(line_status) & transmitter_empty) != 0);
        f.write(data, static_cast<std::uint8_t>('0' + i % 10));
    }
    CHECK(f.irq.count == 100);
    f.serial.on_output_ready();
    CHECK(f.output.read() == "0123456789012");
    CHECK(f.serial.metrics().rate_limiter_dropped_bytes == 87);
    CHECK(f.serial.metrics().write_count == 13);
    SUBCASE("until the limit is taken away") {
        f.serial.set_rate_limit({});
        for (int i = 0; i < 100; ++i) {
            f.write(data, 'x');
        }
        f.serial.on_output_ready();
        CHECK(f.output.read() == std::string(100, 'x'));
    }
    SUBCASE("or changed") {
        f.serial.set_rate_limit({.size = 2, .one_time_burst = 0, .refill_time_ms = 3'600'000});
        f.write(data, 'a');
        f.write(data, 'b');
        f.write(data, 'c');
        f.serial.on_output_ready();
        CHECK(f.output.read() == "ab");
    }
}

TEST_CASE("a serial port survives a saved state") {
    Fixture f;
    f.output.fill();
    f.transmit_until_busy();
    f.type("typed");
    f.write(line_control, latch_open);
    f.write(data, 0x34);
    f.write(interrupt_enable, 0x12);
    f.write(line_control, 0x13);
    f.write(interrupt_enable, 0x03);
    f.write(identification, 0x01);
    f.write(modem_control, 0x0B);
    f.write(scratch, 0x77);
    const SerialState state = f.serial.save();
    CHECK(state.divisor == 0x1234);
    CHECK(state.transmitter_was_busy);
    CHECK(state.transmit_interrupt);
    CHECK(state.interrupt_enable == 0x03);
    CHECK(state.line_control == 0x13);
    CHECK(state.modem_control == 0x0B);
    CHECK(state.fifo_control == 0x01);
    CHECK(state.scratch == 0x77);

    Fixture g;
    g.serial.restore(state);
    CHECK(g.serial.save() == state);
    CHECK(g.irq.count == 1);
    CHECK(g.wake.drain());
    std::string got;
    for (int i = 0; i < 5; ++i) {
        got.push_back(static_cast<char>(g.read(data)));
    }
    CHECK(got == "typed");
    CHECK(g.read(line_status) == 0);
    while (g.serial.wants_output()) {
        g.serial.on_output_ready();
        got += g.output.read();
    }
    CHECK(got == "typed" + std::string(state.to_send.size(), 'x'));
    CHECK(g.read(line_status) == transmitter_empty);
}

TEST_CASE("the serial port reports each counter once") {
    Fixture f;
    f.type("a");
    static_cast<void>(f.read(data));
    static_cast<void>(f.read(data));
    host::RecordingSink sink;
    f.serial.metrics().report(sink);
    CHECK(sink.values["read_count"] == 1);
    CHECK(sink.values["missed_read_count"] == 1);
    CHECK(sink.values["write_count"] == 0);
    CHECK(sink.values["error_count"] == 0);
    CHECK(sink.values.count("flush_count") == 1);
    CHECK(sink.values.count("rate_limiter_dropped_bytes") == 1);
}

TEST_CASE("an output that cannot be written to is an error, and the guest is not stuck") {
    Fixture f;
    const host::UniqueFd full{::open("/dev/full", O_WRONLY | O_CLOEXEC)};
    Serial serial{f.irq, f.wake, backend::InputStream{-1}, backend::OutputStream{full.get()}};
    serial.write(data, std::array{std::byte{'a'}});
    serial.on_output_ready();
    CHECK_FALSE(serial.wants_output());
    CHECK(serial.metrics().error_count == 1);
}

}  // namespace
}  // namespace shoal::legacy
