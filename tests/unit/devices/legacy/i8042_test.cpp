// The keyboard controller: what Linux's drivers ask, Ctrl-Alt-Del, and guests that do not listen.
#include "devices/legacy/i8042.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/counting_irq.h"

namespace shoal::legacy {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t data = 0;
constexpr std::uint64_t command = 4;
constexpr std::uint8_t output_full = 0x01;
constexpr std::uint8_t keyboard_disabled = 0x10;
constexpr std::uint8_t no_translation = 0x25;  // interrupt, system flag, no mouse

const Bytes set_1_keys{0x1D, 0x38, 0xE0, 0x53, 0xE0, 0xD3, 0xB8, 0x9D};
const Bytes set_2_keys{0x14, 0x11, 0xE0, 0x71, 0xE0, 0xF0, 0x71, 0xF0, 0x11, 0xF0, 0x14};

struct Fixture {
    [[nodiscard]] std::uint8_t read(std::uint64_t offset) {
        std::array<std::byte, 1> value{std::byte{0xAA}};
        device.read(offset, value);
        return std::to_integer<std::uint8_t>(value[0]);
    }
    void write(std::uint64_t offset, std::uint8_t value) {
        const std::array bytes{std::byte{value}};
        device.write(offset, bytes);
    }
    void set_control(std::uint8_t value) {
        write(command, 0x60);
        write(data, value);
    }
    // Everything that is there to be read.
    [[nodiscard]] Bytes drain() {
        Bytes bytes;
        while ((read(command) & output_full) != 0) {
            bytes.push_back(read(data));
            REQUIRE(bytes.size() < 100);
        }
        return bytes;
    }
    [[nodiscard]] Bytes ask_controller(std::uint8_t value) {
        write(command, value);
        return drain();
    }
    [[nodiscard]] Bytes ask_keyboard(std::uint8_t value) {
        write(data, value);
        return drain();
    }

    virtio::CountingIrq irq;
    int resets = 0;
    I8042 device{irq, [this] { ++resets; }};
};

TEST_CASE("a keyboard controller at rest has nothing to read and no mouse") {
    Fixture f;
    CHECK(f.read(command) == 0x14);
    CHECK(f.read(data) == 0);
    CHECK(f.irq.take() == 0);
    CHECK(f.ask_controller(0x20) == Bytes{0x65});
}

TEST_CASE("the controller answers its commands") {
    Fixture f;
    CHECK(f.ask_controller(0xAA) == Bytes{0x55});
    CHECK(f.ask_controller(0xAB) == Bytes{0x00});
    CHECK(f.ask_controller(0xA9) == Bytes{0x01});
    CHECK(f.ask_controller(0xD0) == Bytes{0x03});
    f.set_control(0x00);
    CHECK(f.ask_controller(0x20) == Bytes{0x00});
    CHECK(f.read(command) == 0x18);  // the last write was a command, no system flag
    CHECK(f.ask_controller(0xAD).empty());
    CHECK(f.ask_controller(0xA7).empty());
    CHECK(f.ask_controller(0x20) == Bytes{0x30});
    CHECK(f.ask_controller(0xAE).empty());
    CHECK(f.ask_controller(0xA8).empty());
    CHECK(f.ask_controller(0x20) == Bytes{0x00});
    SUBCASE("and none that it does not know") {
        CHECK(f.ask_controller(0xFF).empty());
        CHECK(f.ask_controller(0x00).empty());
        CHECK(f.device.metrics().missed_write_count == 2);
    }
    SUBCASE("and takes bytes for a mouse that is not there") {
        f.write(command, 0xD4);
        CHECK(f.ask_keyboard(0xFF).empty());
        f.write(command, 0xD3);
        CHECK(f.ask_keyboard(0x5A).empty());
    }
    SUBCASE("and returns what is put in its buffer") {
        f.write(command, 0xD2);
        CHECK(f.ask_keyboard(0x5A) == Bytes{0x5A});
    }
    SUBCASE("and forgets a command whose byte does not come") {
        f.write(command, 0x60);
        f.write(command, 0xA7);
        CHECK(f.ask_keyboard(0xEE) == Bytes{0xEE});
        CHECK(f.ask_controller(0x20) == Bytes{0x20});
    }
}

TEST_CASE("the keyboard answers its commands") {
    Fixture f;
    CHECK(f.ask_keyboard(0xFF) == Bytes{0xFA, 0xAA});
    CHECK(f.ask_keyboard(0xF2) == Bytes{0xFA, 0xAB, 0x83});
    CHECK(f.ask_keyboard(0xED) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x07) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0xF3) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x20) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0xEE) == Bytes{0xEE});
    CHECK(f.ask_keyboard(0x00) == Bytes{0xFE});
    CHECK(f.ask_keyboard(0xF0) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x00) == Bytes{0xFA, 0x02});
    CHECK(f.ask_keyboard(0xF0) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x01) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0xF0) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x00) == Bytes{0xFA, 0x01});
    CHECK(f.ask_keyboard(0xF0) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x03) == Bytes{0xFE});
    CHECK(f.ask_keyboard(0xF6) == Bytes{0xFA});
    CHECK(f.device.save().keyboard.scan_code_set == 2);
}

TEST_CASE("a byte for the keyboard switches it on") {
    Fixture f;
    f.set_control(0x05 | keyboard_disabled);
    CHECK(f.ask_keyboard(0xEE) == Bytes{0xEE});
    CHECK(f.ask_controller(0x20) == Bytes{0x05});
}

TEST_CASE("each byte is announced by an interrupt when that is enabled") {
    Fixture f;
    f.write(data, 0xF2);
    CHECK(f.irq.take() == 1);
    CHECK(f.read(data) == 0xFA);
    CHECK(f.irq.take() == 1);
    CHECK(f.read(data) == 0xAB);
    CHECK(f.irq.take() == 1);
    CHECK(f.read(data) == 0x83);
    CHECK(f.irq.take() == 0);
    SUBCASE("not otherwise") {
        f.set_control(0x04);
        f.write(data, 0xF2);
        CHECK(f.irq.take() == 0);
        SUBCASE("until it is") {
            f.set_control(0x05);
            CHECK(f.irq.take() == 1);
        }
    }
}

TEST_CASE("Ctrl-Alt-Del is pressed and released") {
    Fixture f;
    SUBCASE("in set 1, when the controller translates") {
        CHECK(f.device.send_ctrl_alt_del());
        CHECK(f.irq.take() == 1);
        CHECK(f.drain() == set_1_keys);
    }
    SUBCASE("in set 2, when it does not") {
        f.set_control(no_translation);
        CHECK(f.device.send_ctrl_alt_del());
        CHECK(f.drain() == set_2_keys);
    }
    SUBCASE("in set 1, when the guest chose it") {
        f.set_control(no_translation);
        CHECK(f.ask_keyboard(0xF0) == Bytes{0xFA});
        CHECK(f.ask_keyboard(0x01) == Bytes{0xFA});
        CHECK(f.device.send_ctrl_alt_del());
        CHECK(f.drain() == set_1_keys);
    }
    SUBCASE("not to a guest that switched the keyboard off") {
        f.write(command, 0xAD);
        CHECK_FALSE(f.device.send_ctrl_alt_del());
        f.write(command, 0xAE);
        CHECK(f.drain().empty());
    }
    SUBCASE("not to a guest that stopped it") {
        CHECK(f.ask_keyboard(0xF5) == Bytes{0xFA});
        CHECK_FALSE(f.device.send_ctrl_alt_del());
        CHECK(f.ask_keyboard(0xF4) == Bytes{0xFA});
        CHECK(f.device.send_ctrl_alt_del());
    }
    SUBCASE("never in part") {
        f.set_control(no_translation);
        CHECK(f.device.send_ctrl_alt_del());
        CHECK_FALSE(f.device.send_ctrl_alt_del());
        CHECK(f.device.metrics().error_count == 1);
        CHECK(f.drain() == set_2_keys);
    }
}

TEST_CASE("keys wait while the keyboard is off, and controller answers come first") {
    Fixture f;
    CHECK(f.device.send_ctrl_alt_del());
    f.write(command, 0xAD);
    CHECK((f.read(command) & output_full) == 0);
    CHECK(f.ask_controller(0x20) == Bytes{0x75});
    f.irq.take();
    f.write(command, 0xAE);
    CHECK(f.irq.take() == 1);
    f.write(command, 0xAA);
    Bytes expected{0x55};
    expected.insert(expected.end(), set_1_keys.begin(), set_1_keys.end());
    CHECK(f.drain() == expected);
}

TEST_CASE("a guest that asks and never reads fills nothing") {
    Fixture f;
    for (int i = 0; i < 1000; ++i) {
        f.write(data, 0xF2);
        f.write(command, 0x20);
    }
    CHECK(f.drain().size() <= 17);
}

TEST_CASE("the controller resets the machine on its commands only") {
    Fixture f;
    f.write(command, 0xFF);
    f.write(data, 0xFE);
    CHECK(f.resets == 0);
    SUBCASE("by a pulse") {
        f.write(command, 0xFE);
    }
    SUBCASE("by the output port") {
        f.write(command, 0xD1);
        f.write(data, 0x03);
        CHECK(f.resets == 0);
        f.write(command, 0xD1);
        f.write(data, 0x02);
    }
    CHECK(f.resets == 1);
    CHECK(f.device.metrics().reset_count == 1);
}

TEST_CASE("between the registers there is a timer bit and nothing") {
    Fixture f;
    CHECK(f.read(1) == 0x20);
    CHECK(f.read(2) == 0);
    f.write(1, 0xFE);
    f.write(2, 0xFE);
    f.write(3, 0xFE);
    CHECK(f.resets == 0);
    CHECK(f.device.metrics().missed_read_count == 1);
    CHECK(f.device.metrics().missed_write_count == 2);
    std::array<std::byte, 4> wide;
    wide.fill(std::byte{0xAA});
    f.device.read(command, wide);
    CHECK(wide == std::array{std::byte{0x14}, std::byte{0}, std::byte{0}, std::byte{0}});
}

TEST_CASE("a keyboard controller survives a saved state") {
    Fixture f;
    CHECK(f.ask_keyboard(0xF0) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0x01) == Bytes{0xFA});
    CHECK(f.ask_keyboard(0xF5) == Bytes{0xFA});
    f.set_control(0x41);
    f.write(data, 0xED);
    f.write(command, 0x20);
    f.write(command, 0x60);
    const I8042State state = f.device.save();
    CHECK(state == I8042State{.control = 0x41,
                              .controller_command = 0x60,
                              .last_was_command = true,
                              .reply = std::byte{0x41},
                              .keyboard = {.command = 0xED,
                                           .scan_code_set = 1,
                                           .is_scanning = false,
                                           .to_send = {std::byte{0xFA}}}});
    Fixture g;
    g.device.restore(state);
    CHECK(g.device.save() == state);
    CHECK(g.irq.take() == 1);
    g.write(data, 0x45);
    CHECK(g.drain() == Bytes{0x41, 0xFA});
    SUBCASE("with more keys than fit: the rest is left out") {
        I8042State crowded = state;
        crowded.keyboard.to_send.resize(100);
        g.device.restore(crowded);
        CHECK(g.device.save().keyboard.to_send.size() == 16);
    }
}

TEST_CASE("the keyboard controller reports each counter once") {
    Fixture f;
    static_cast<void>(f.read(command));
    host::RecordingSink sink;
    f.device.metrics().report(sink);
    CHECK(sink.values.size() == sizeof(I8042Metrics) / sizeof(std::uint64_t));
    CHECK(sink.values["read_count"] == 1);
}

}  // namespace
}  // namespace shoal::legacy
