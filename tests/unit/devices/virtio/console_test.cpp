// The console from end to end: a driver in guest memory on one side, pipes on the other.
#include "devices/virtio/console.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {
namespace {

namespace console = abi::virtio::console;
namespace feature = abi::virtio::feature;
namespace flag = abi::virtio::descriptor_flag;
using console::Event;

constexpr std::uint16_t size = 16;
constexpr std::uint32_t queue_total = 6;
constexpr std::uint64_t multiport = feature::version_1 | console::feature_multiport;

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
    // Everything that is in it.
    [[nodiscard]] std::string read() const {
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t n = 0; (n = ::read(out.get(), buffer.data(), buffer.size())) > 0;) {
            text.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return text;
    }
    void make_room(int size_bytes) const {
        host::check_os(::fcntl(in.get(), F_SETPIPE_SZ, size_bytes), "F_SETPIPE_SZ");
    }
    // Until nothing more fits.
    void fill() const {
        const std::vector<char> zeros(4096);
        while (::write(in.get(), zeros.data(), zeros.size()) > 0) {
        }
    }
    host::UniqueFd out;
    host::UniqueFd in;
};

// What the driver was told: "port event value", and a name if there was one.
struct Told {
    std::uint32_t port;
    Event event;
    std::uint16_t value;
    std::string name = {};
    bool operator==(const Told&) const = default;
};

struct Fixture {
    Fixture() {
        for (std::uint32_t idx = 0; idx < queue_total; ++idx) {
            rings.emplace_back(memory, 0x10000 + 0x2000 * idx, size);
        }
    }

    void start(std::uint64_t features = multiport) {
        for (std::uint32_t idx = 0; idx < queue_total; ++idx) {
            rings[idx] = TestRing{memory, next_ring_, size};
            next_ring_ += 0x2000;
        }
        told_ = 0;
        driver.reset_to_driver();
        driver.choose_features(features);
        for (std::uint32_t idx = 0; idx < queue_total; ++idx) {
            driver.set_up_queue(idx, rings[idx].layout());
        }
        driver.set_status(Status::driver_ok);
        REQUIRE(driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
        serve();
    }
    // What the event loop does until nothing is left to do.
    void serve() {
        bool again = true;
        while (again) {
            again = driver.serve_notification();
            for (std::size_t port = 0; port < device.port_count(); ++port) {
                backend::StreamClient& client = device.client(port);
                if (client.wants_output()) {
                    client.on_output_ready();
                }
                if (client.wants_input()) {
                    client.on_input_ready();
                }
            }
        }
    }
    void notify(std::uint32_t queue) {
        driver.write(TestDriver::Register::queue_notify, queue);
        serve();
    }

    void say(std::initializer_list<console::Control> messages) {
        TestRing& ring = rings[console::control_transmit_queue];
        for (const console::Control& message : messages) {
            const std::uint64_t at = 0x80000 + 8 * said_;
            ring.put(at, message.port);
            ring.put(at + 4, static_cast<std::uint32_t>(message.event) | message.value << 16U);
            ring.offer_buffer(static_cast<std::uint16_t>(said_ % size), at, 8, 0);
            ++said_;
        }
        notify(console::control_transmit_queue);
    }
    // Gives the device room for this many control messages of up to 32 bytes.
    void listen(std::uint16_t count) {
        for (std::uint16_t i = 0; i < count; ++i) {
            rings[console::control_receive_queue].offer_buffer(i, 0x90000 + 32ULL * i, 32,
                                                               flag::write);
        }
        notify(console::control_receive_queue);
    }
    // What the driver was told since the last call.
    std::vector<Told> heard() {
        const TestRing& ring = rings[console::control_receive_queue];
        std::vector<Told> all;
        for (; told_ != ring.used_idx(); ++told_) {
            const auto used = ring.used(told_);
            const std::uint64_t at = 0x90000 + 32ULL * used.id;
            Told told{ring.get<std::uint32_t>(at), Event{ring.get<std::uint16_t>(at + 4)},
                      ring.get<std::uint16_t>(at + 6)};
            if (used.size_bytes > 8) {
                const auto name = memory.slice(machine::Gpa{at + 8}, used.size_bytes - 8).value();
                CHECK(name.back() == std::byte{0});
                for (const std::byte byte : name.first(name.size() - 1)) {
                    told.name.push_back(static_cast<char>(byte));
                }
            }
            all.push_back(told);
        }
        return all;
    }
    void open_ports() {
        listen(size);
        say({{0, Event::device_ready, 1},
             {0, Event::port_ready, 1},
             {1, Event::port_ready, 1},
             {0, Event::port_open, 1},
             {1, Event::port_open, 1}});
    }
    void give_receive_buffer(std::uint16_t idx, std::uint32_t size_bytes) {
        rings[0].offer_buffer(idx, 0xA0000 + 0x1000ULL * idx, size_bytes, flag::write);
        notify(0);
    }
    std::string received(std::uint16_t position) {
        const auto used = rings[0].used(position);
        const auto bytes =
            memory.slice(machine::Gpa{0xA0000 + 0x1000ULL * used.id}, used.size_bytes).value();
        std::string text(bytes.size(), '\0');
        std::memcpy(text.data(), bytes.data(), bytes.size());
        return text;
    }
    void send(std::uint32_t port, std::uint16_t idx, std::string_view text) {
        const std::uint32_t queue = console::transmit_queue(port);
        rings[queue].offer_text(idx, 0xC0000 + 0x20000ULL * port + 0x2000ULL * idx, text);
        notify(queue);
    }

    machine::GuestMemory memory{2 << 20};
    Pipe input;
    Pipe output;
    Pipe errors;
    host::EventFd wake;
    std::array<ConsolePortStreams, 2> streams{{
        {backend::InputStream{input.out.get()}, backend::OutputStream{output.in.get()}, "stdio"},
        {backend::InputStream{-1}, backend::OutputStream{errors.in.get()}, "stderr"},
    }};
    Console device{streams, wake};
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    std::vector<TestRing> rings;

private:
    std::uint64_t next_ring_ = 0x10'0000;
    std::uint64_t said_ = 0;
    std::uint16_t told_ = 0;
};

TEST_CASE("the configuration counts the ports") {
    const Fixture f;
    CHECK(f.driver.read(TestDriver::Register::device_id) == 3);
    CHECK(f.driver.read_at<std::uint32_t>(0x104) == 2);
    CHECK(f.driver.read_at<std::uint16_t>(0x100) == 0);
    CHECK(f.driver.read_at<std::uint64_t>(0x108) == 0);
    CHECK(f.driver.read_at<std::uint64_t>(0x1F8) == 0);
    f.driver.write(TestDriver::Register::queue_select, queue_total - 1);
    CHECK(f.driver.read(TestDriver::Register::queue_size_max) > 0);
    f.driver.write(TestDriver::Register::queue_select, queue_total);
    CHECK(f.driver.read(TestDriver::Register::queue_size_max) == 0);
}

TEST_CASE("a port moves 64 KiB a turn in each direction, and the next turns go on") {
    constexpr std::uint32_t most = 64 << 10;
    constexpr std::uint32_t buffer_bytes = 8 << 10;
    constexpr std::uint32_t total = size * buffer_bytes;
    static_assert(total > most);
    Fixture f;
    f.start();
    f.open_ports();
    SUBCASE("from the guest") {
        f.output.make_room(total);
        for (std::uint16_t idx = 0; idx < size; ++idx) {
            f.rings[1].offer_buffer(idx, 0xC0000, buffer_bytes, 0);
        }
        f.transport.process_queues();
        CHECK(f.output.read().size() <= most);
        f.notify(1);
        CHECK(f.rings[1].used_idx() == size);
    }
    SUBCASE("to the guest") {
        f.input.make_room(total);
        f.input.write(std::string(total, 'x'));
        for (std::uint16_t idx = 0; idx < size; ++idx) {
            f.rings[0].offer_buffer(idx, 0xC0000, buffer_bytes, flag::write);
        }
        f.transport.process_queues();
        f.device.client(0).on_input_ready();
        CHECK(f.rings[0].used_idx() <= most / buffer_bytes);
        f.serve();
        CHECK(f.rings[0].used_idx() == size);
    }
}

TEST_CASE("the driver may open all ports in one batch") {
    Fixture f;
    f.start();
    f.irq.take();
    f.open_ports();
    const std::vector<Told> expected{
        {0, Event::port_add, 1},  {0, Event::console_port, 1}, {0, Event::port_name, 1, "stdio"},
        {0, Event::port_open, 1}, {1, Event::port_add, 1},     {1, Event::port_name, 1, "stderr"},
        {1, Event::port_open, 1},
    };
    CHECK(f.heard() == expected);
    CHECK(f.rings[console::control_transmit_queue].used_idx() == 5);
    CHECK(f.irq.take() > 0);
}

TEST_CASE("control messages wait for the driver's buffers, and their number is bounded") {
    Fixture f;
    f.start();
    for (int i = 0; i < 100; ++i) {
        f.say({{0, Event::device_ready, 1}, {1, Event::port_ready, 1}});
    }
    CHECK(f.heard().empty());
    f.listen(1);
    CHECK(f.heard() == std::vector<Told>{{0, Event::port_add, 1}});
    f.listen(8);
    CHECK(f.heard().size() == 3);
}

TEST_CASE("control messages that make no sense are ignored") {
    Fixture f;
    f.start();
    f.listen(size);
    f.say({{2, Event::port_ready, 1},
           {0xFFFF'FFFF, Event::port_open, 1},
           {0, Event::device_ready, 0},
           {0, Event::port_ready, 0},
           {0, Event{0xFFFF}, 1},
           {0, Event::port_add, 1}});
    SUBCASE("also when they are too short") {
        f.rings[1].put(0x88000, std::uint64_t{1} << 48);  // device_ready 1
        f.rings[console::control_transmit_queue].offer_buffer(9, 0x88000, 7, 0);
        f.notify(console::control_transmit_queue);
        CHECK(f.rings[console::control_transmit_queue].used_idx() == 7);
    }
    SUBCASE("also when there is nothing to read") {
        f.rings[console::control_transmit_queue].offer_buffer(9, 0x80000, 8, flag::write);
        f.notify(console::control_transmit_queue);
        CHECK(f.rings[console::control_transmit_queue].used_idx() == 7);
    }
    CHECK(f.heard().empty());
    CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
}

TEST_CASE("a control message may lie in several buffers") {
    Fixture f;
    f.start();
    f.listen(size);
    TestRing& ring = f.rings[console::control_transmit_queue];
    ring.put(0x80000, std::uint64_t{1} << 48);  // device_ready 1
    ring.describe(0, {0x80000, 3, flag::next, 1});
    ring.describe(1, {0x80003, 5, 0, 0});
    ring.offer(0);
    f.notify(console::control_transmit_queue);
    CHECK(f.heard().size() == 2);
}

TEST_CASE("a buffer that is no use is the driver's mistake") {
    Fixture f;
    f.start();
    SUBCASE("for a control message, too small") {
        f.rings[console::control_receive_queue].offer_buffer(0, 0x90000, 7, flag::write);
        f.say({{0, Event::device_ready, 1}});
    }
    SUBCASE("for a control message, not writable") {
        f.rings[console::control_receive_queue].offer_buffer(0, 0x90000, 32, 0);
        f.say({{0, Event::device_ready, 1}});
    }
    SUBCASE("for input, not writable") {
        f.rings[0].offer_buffer(0, 0x90000, 32, 0);
        f.notify(0);
    }
    CHECK(f.transport.last_error() == QueueError::unusable_buffer);
    CHECK((f.driver.status() & abi::virtio::status::device_needs_reset) != 0);
    CHECK_FALSE(f.device.client(0).wants_input());
    f.device.client(0).on_input_ready();
    f.device.client(0).on_output_ready();
    f.device.finish(backend::Patience::for_ever);
}

TEST_CASE("a name is cut to the driver's buffer") {
    Fixture f;
    f.start();
    f.listen(2);
    std::uint32_t room = 8;
    std::string name;
    SUBCASE("which has room for none of it") {}
    SUBCASE("which has room for its end only") {
        room = 9;
    }
    SUBCASE("which has room for some of it") {
        room = 11;
        name = "st";
    }
    SUBCASE("which has room for all of it") {
        room = 15;
        name = "stderr";
    }
    f.rings[console::control_receive_queue].offer_buffer(2, 0x90000 + 32 * 2, room, flag::write);
    f.rings[console::control_receive_queue].offer_buffer(3, 0x90000 + 32 * 3, 8, flag::write);
    f.say({{0, Event::device_ready, 1}, {1, Event::port_ready, 1}});
    CHECK(f.heard() == std::vector<Told>{{0, Event::port_add, 1},
                                         {1, Event::port_add, 1},
                                         {1, Event::port_name, 1, name},
                                         {1, Event::port_open, 1}});
}

TEST_CASE("input is read after the driver opened the port") {
    Fixture f;
    f.start();
    f.input.write("hello");
    f.give_receive_buffer(0, 100);
    CHECK_FALSE(f.device.client(0).wants_input());
    CHECK(f.rings[0].used_idx() == 0);
    f.wake.drain();
    f.open_ports();
    CHECK(f.wake.drain());
    REQUIRE(f.rings[0].used_idx() == 1);
    CHECK(f.received(0) == "hello");

    SUBCASE("and only into buffers that it gave") {
        CHECK_FALSE(f.device.client(0).wants_input());
        f.input.write(" world");
        f.give_receive_buffer(1, 4);
        CHECK(f.received(1) == " wor");
        CHECK_FALSE(f.device.client(0).wants_input());
        f.give_receive_buffer(2, 4);
        CHECK(f.received(2) == "ld");
        f.give_receive_buffer(3, 4);
        CHECK(f.device.client(0).wants_input());
        CHECK(f.rings[0].used_idx() == 3);
    }
    SUBCASE("and not after it closed it") {
        f.say({{0, Event::port_open, 0}});
        f.give_receive_buffer(1, 4);
        CHECK_FALSE(f.device.client(0).wants_input());
    }
    SUBCASE("and the output-only port wants none") {
        f.rings[4].offer_buffer(0, 0x90000, 10, flag::write);
        f.notify(4);
        CHECK_FALSE(f.device.client(1).wants_input());
    }
}

TEST_CASE("the end of input comes after all data, once") {
    Fixture f;
    f.start();
    f.open_ports();
    f.heard();
    f.input.write("last words");
    f.input.in = {};
    f.give_receive_buffer(0, 4);
    f.give_receive_buffer(1, 100);
    CHECK(f.received(1) == " words");
    CHECK(f.heard().empty());
    f.irq.take();
    f.give_receive_buffer(2, 100);
    CHECK(f.heard() == std::vector<Told>{{0, Event::port_open, 0}});
    CHECK(f.irq.take() > 0);
    CHECK(f.rings[0].used_idx() == 2);
    CHECK_FALSE(f.device.client(0).wants_input());
    f.give_receive_buffer(3, 100);
    CHECK(f.heard().empty());

    SUBCASE("for each time that the port is opened") {
        f.say({{0, Event::port_open, 0}, {0, Event::port_open, 1}});
        CHECK(f.heard() == std::vector<Told>{{0, Event::port_open, 0}});
    }
    SUBCASE("also for the next driver") {
        f.start();
        f.open_ports();
        CHECK(f.heard().back() == Told{1, Event::port_open, 1});
        f.start();
        f.listen(size);
        f.say({{0, Event::device_ready, 1}, {0, Event::port_open, 1}});
        CHECK(f.heard() == std::vector<Told>{{0, Event::port_add, 1},
                                             {0, Event::port_open, 0},
                                             {1, Event::port_add, 1}});
    }
}

TEST_CASE("output goes to its port's stream") {
    Fixture f;
    f.start();
    f.open_ports();
    f.send(0, 0, "out");
    f.send(1, 0, "err");
    CHECK(f.output.read() == "out");
    CHECK(f.errors.read() == "err");
    CHECK(f.rings[1].used_idx() == 1);
    CHECK(f.rings[5].used(0).size_bytes == 0);
    CHECK(f.device.metrics().bytes_out == 6);

    SUBCASE("in chains of several buffers") {
        f.rings[1].describe(1, {0xC0000, 2, flag::next, 2});
        f.rings[1].describe(2, {0xC0001, 2, 0, 0});
        f.rings[1].offer(1);
        f.notify(1);
        CHECK(f.output.read() == "ouut");
    }
    SUBCASE("and a chain without readable bytes is given back") {
        f.rings[1].offer_buffer(1, 0xC0000, 5, flag::write);
        f.notify(1);
        CHECK(f.rings[1].used_idx() == 2);
        CHECK(f.output.read().empty());
    }
}

TEST_CASE("a chain is used when all of it is written") {
    Fixture f;
    f.start();
    f.open_ports();
    f.output.fill();
    f.wake.drain();
    f.send(0, 0, "waits");
    CHECK(f.rings[1].used_idx() == 0);
    CHECK(f.device.client(0).wants_output());
    CHECK(f.wake.drain());
    CHECK(f.rings[1].used_flags() == abi::virtio::used_no_notify);
    f.send(0, 1, " and more");
    SUBCASE("and the other port is not held up") {
        f.send(1, 0, "err");
        CHECK(f.errors.read() == "err");
    }
    static_cast<void>(f.output.read());
    f.irq.take();
    f.device.client(0).on_output_ready();
    CHECK(f.output.read() == "waits and more");
    CHECK(f.rings[1].used_idx() == 2);
    CHECK(f.rings[1].used_flags() == 0);
    CHECK(f.irq.take() == 1);
    CHECK_FALSE(f.device.client(0).wants_output());
}

TEST_CASE("a reset forgets what was half done") {
    Fixture f;
    f.start();
    f.open_ports();
    f.output.fill();
    f.send(0, 0, "lost");
    f.give_receive_buffer(0, 100);
    REQUIRE(f.device.client(0).wants_output());
    REQUIRE(f.device.client(0).wants_input());
    f.driver.set_status(Status::reset);
    CHECK_FALSE(f.device.client(0).wants_output());
    CHECK_FALSE(f.device.client(0).wants_input());
    static_cast<void>(f.output.read());
    f.device.client(0).on_output_ready();
    f.device.client(0).on_input_ready();
    f.start();
    f.open_ports();
    f.send(0, 0, "found");
    CHECK(f.output.read() == "found");
}

TEST_CASE("a stopped queue of a port takes what was half done with it, and no more") {
    Fixture f;
    f.start();
    f.open_ports();
    const auto restart = [&f](std::uint32_t idx) {
        f.rings[idx] = TestRing{f.memory, 0x5'0000, size};
        f.driver.set_up_queue(idx, f.rings[idx].layout());
    };
    SUBCASE("output") {
        f.output.fill();
        f.send(0, 0, "lost");
        REQUIRE(f.device.client(0).wants_output());
        CHECK(f.driver.stop_queue(1));
        CHECK_FALSE(f.device.client(0).wants_output());
        static_cast<void>(f.output.read());
        f.send(0, 1, "lost as well");
        f.send(1, 0, "err");
        CHECK(f.errors.read() == "err");
        restart(1);
        f.send(0, 2, "found");
        CHECK(f.output.read() == "found");
    }
    SUBCASE("input") {
        f.give_receive_buffer(0, 100);
        REQUIRE(f.device.client(0).wants_input());
        CHECK(f.driver.stop_queue(0));
        CHECK_FALSE(f.device.client(0).wants_input());
        f.input.write("text");
        f.give_receive_buffer(1, 100);
        CHECK(f.rings[0].used_idx() == 0);
        restart(0);
        f.wake.drain();
        f.give_receive_buffer(2, 100);
        CHECK(f.wake.drain());
        CHECK(f.received(0) == "text");
    }
    SUBCASE("control") {
        CHECK(f.driver.stop_queue(console::control_transmit_queue));
        f.say({{0, Event::port_open, 0}});
        restart(console::control_transmit_queue);
        f.say({{1, Event::port_open, 0}});
        f.give_receive_buffer(0, 100);
        CHECK(f.device.client(0).wants_input());  // it never heard of the closing
    }
    const ConsoleState state = f.device.save();
    CHECK_FALSE(state.ports[0].sending);
    CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
}

TEST_CASE("more output than one call takes is written in several") {
    Fixture f;
    f.start();
    const std::string text(1000, 'x');
    TestRing& ring = f.rings[1];
    for (std::uint16_t i = 0; i < size; ++i) {
        ring.offer_text(i, 0xC0000, text);
    }
    f.notify(1);
    CHECK(ring.used_idx() == size);
    CHECK(ring.used_flags() == 0);
    CHECK(f.output.read().size() == 1000 * size);
}

TEST_CASE("a pass writes no more than its allowance, however long the chain is") {
    Fixture f;
    constexpr std::uint32_t chain_bytes = 256 << 10;
    REQUIRE(::fcntl(f.output.in.get(), F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
    f.start(feature::version_1);
    f.rings[1].offer_buffer(0, 0xC0000, chain_bytes, 0);
    f.transport.process_queues();
    CHECK(f.output.read().size() == 64 << 10);
    CHECK(f.rings[1].used_idx() == 0);
    f.serve();
    CHECK(f.output.read().size() == chain_bytes - (64 << 10));
    CHECK(f.rings[1].used_idx() == 1);
}

TEST_CASE("without multiport there is port 0, always open") {
    Fixture f;
    SUBCASE("plain") {
        f.start(feature::version_1);
    }
    SUBCASE("with the queues' features") {
        f.start(feature::version_1 | feature::event_idx | feature::indirect_desc);
    }
    f.input.write("in");
    f.give_receive_buffer(0, 10);
    CHECK(f.received(0) == "in");
    f.send(0, 0, "out");
    CHECK(f.output.read() == "out");
    f.say({{0, Event::device_ready, 1}});
    f.listen(4);
    f.input.in = {};
    f.give_receive_buffer(1, 10);
    CHECK(f.heard().empty());
    CHECK(f.rings[console::control_transmit_queue].used_idx() == 0);
}

TEST_CASE("at the end everything that was made available is written, as slowly as it may be read") {
    Fixture f;
    f.start();
    f.open_ports();
    f.output.fill();
    const std::string text(8000, 'y');
    TestRing& ring = f.rings[1];
    for (std::uint16_t i = 0; i < size; ++i) {
        ring.offer_text(i, 0xC0000, text);
    }
    f.rings[5].offer_text(0, 0xD0000, "and this");
    std::string all;
    {
        std::jthread reader{[&f, &all] {
            // Blocking: it ends when the writing end is closed.
            ::fcntl(f.output.out.get(), F_SETFL, 0);
            all = f.output.read();
        }};
        f.device.finish(backend::Patience::for_ever);
        f.output.in = {};
    }
    std::erase(all, '\0');
    CHECK(all.size() == text.size() * size);
    CHECK(f.errors.read() == "and this");
    CHECK(ring.used_idx() == size);
}

TEST_CASE("a console survives a saved state") {
    Fixture f;
    f.start();
    f.listen(2);
    f.say({{0, Event::device_ready, 1}, {0, Event::port_open, 1}, {1, Event::port_ready, 1}});
    f.output.fill();
    f.rings[1].describe(3, {0xC0000, 10'000, flag::next, 4});
    f.rings[1].describe(4, {0xC4000, 90'000, 0, 0});
    f.rings[1].offer(3);
    f.notify(1);
    std::array<char, 16'384> piece{};
    REQUIRE(::read(f.output.out.get(), piece.data(), piece.size()) == piece.size());
    f.device.client(0).on_output_ready();  // all of the first buffer, some of the next
    f.give_receive_buffer(7, 100);
    const ConsoleState state = f.device.save();
    REQUIRE(state.ports[0].sending);
    const ConsolePortState::Sending sending = *state.ports[0].sending;
    CHECK(sending.head == 3);
    CHECK(sending.idx == 1);
    CHECK(sending.offset > 0);
    CHECK(state.ports[0].receiving == 7);
    CHECK(state.ports[0].is_open);
    CHECK_FALSE(state.ports[1].is_open);
    CHECK(state.due[1] != 0);

    const Pipe input;
    const Pipe output;
    const std::array<ConsolePortStreams, 2> streams{{
        {backend::InputStream{input.out.get()}, backend::OutputStream{output.in.get()}, "stdio"},
        {backend::InputStream{-1}, backend::OutputStream{-1}, "stderr"},
    }};
    Console device{streams, f.wake};
    CountingIrq irq;
    MmioTransport transport{device, f.memory, irq};

    SUBCASE("and goes on where it was") {
        transport.restore(f.transport.save());
        f.wake.drain();
        REQUIRE(device.restore(state));
        CHECK(device.save() == state);
        CHECK(f.wake.drain());
        transport.resume();
        CHECK(device.client(0).wants_input());
        input.write("to both");
        device.client(0).on_input_ready();
        REQUIRE(f.rings[0].used_idx() == 1);
        CHECK(f.rings[0].used(0).id == 7);
        CHECK(f.received(0) == "to both");
        std::size_t written = output.read().size();
        while (device.client(0).wants_output()) {
            device.client(0).on_output_ready();
            written += output.read().size();
        }
        CHECK(written == 90'000 - sending.offset);
        CHECK(f.rings[1].used_idx() == 1);
    }
    SUBCASE("unless it makes no sense") {
        transport.restore(f.transport.save());
        ConsoleState bad = state;
        SUBCASE("a port too few") {
            bad.ports.pop_back();
        }
        SUBCASE("messages for a port too many") {
            bad.due.push_back(0);
        }
        SUBCASE("a chain outside the queue") {
            bad.ports[0].sending->head = size;
        }
        SUBCASE("a buffer that the chain does not have") {
            bad.ports[0].sending->idx = 2;
        }
        SUBCASE("more of a buffer than there is") {
            bad.ports[0].sending->offset = 90'001;
        }
        SUBCASE("a chain that cannot be written to") {
            bad.ports[0].receiving = 8;
        }
        CHECK_FALSE(device.restore(bad));
    }
    SUBCASE("of which a refused one leaves nothing behind") {
        transport.restore(f.transport.save());
        REQUIRE(device.restore(state));
        ConsoleState bad = state;
        bad.ports[0].sending->offset = 90'001;
        REQUIRE_FALSE(device.restore(bad));
        CHECK_FALSE(device.save().ports[0].sending);
    }
    SUBCASE("also without a driver") {
        CHECK(device.restore(state));
        CHECK_FALSE(device.client(0).wants_output());
    }
}

TEST_CASE("the console reports each counter once") {
    Fixture f;
    f.start();
    f.open_ports();
    f.send(0, 0, "four");
    host::RecordingSink sink;
    f.device.metrics().report(sink);
    CHECK(sink.values["bytes_out"] == 4);
    CHECK(sink.values["bytes_in"] == 0);
}

}  // namespace
}  // namespace shoal::virtio
