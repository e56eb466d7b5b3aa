// Both sides of a migration in one process: fake microVMs, a real socket, one event loop.
#include "vmm/migration/migration.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "devices/host/clock.h"
#include "tests/unit/vmm/api/fake_microvm.h"

namespace shoal::migration {
namespace {

using api::testing::FakeMicrovm;

constexpr std::uint64_t page = 4096;

// A microVM of 1 MiB that runs, one that waits, and the loop of both.
struct Pair {
    Pair() {
        config.machine.mem_size_mib = 1;
        source.now = vmm::MicrovmState::running;
        path = std::filesystem::temp_directory_path() /
               ("shoal-migration-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    }
    ~Pair() {
        giver.stop();
        taker.stop();
        std::filesystem::remove(path);
        std::filesystem::remove(drive_path);
    }
    // A drive that is to be copied.
    void add_drive(SendOrder& order) {
        vmm::DriveConfig& drive = config.drives.emplace_back();
        drive.drive_id = "d";
        drive.path_on_host = drive_path = path + "-drive";
        order.copied_drives.emplace_back("d");
    }
    void write_drive(const char* text, std::uint64_t at) {
        REQUIRE(::pwrite(source.drive.get(), text, 5, static_cast<off_t>(at)) == 5);
        source.drive_writes->add(at, 5);
    }
    [[nodiscard]] std::string taken_drive() const {
        std::ifstream file{drive_path, std::ios::binary};
        return {std::istreambuf_iterator<char>{file}, {}};
    }
    void receive() {
        taker.receive({{Address::Kind::unix_socket, path, 0},
                       [](vmm::MicrovmConfig&) {},
                       [this](const vmm::MicrovmConfig& there) { taken = there; },
                       nullptr});
    }
    void send(SendOrder order = {}) {
        order.to = {Address::Kind::unix_socket, path, 0};
        order.max_rounds = std::max(order.max_rounds, 1U);
        giver.send(config, order);
    }
    // Serves the loop until `is_done`, or fails.
    template <typename Condition>
    void run_until(Condition is_done) {
        const auto deadline = Clock::now() + std::chrono::seconds{20};
        while (!is_done()) {
            REQUIRE(Clock::now() < deadline);
            loop.restart();
            loop.run_for(std::chrono::milliseconds{1});
        }
    }
    void run_until(SourcePhase phase) {
        run_until([&] { return giver.source()->phase() == phase; });
    }

    inline static int count = 0;
    boost::asio::io_context loop{1};
    std::string path;
    std::string drive_path;
    vmm::MicrovmConfig config;
    std::optional<vmm::MicrovmConfig> taken;
    FakeMicrovm source;
    FakeMicrovm destination;
    Migration giver{source, loop};
    Migration taker{destination, loop};
};

bool called(const FakeMicrovm& microvm, const char* name) {
    return std::ranges::count(microvm.calls, name) > 0;
}

void write_text(const FakeMicrovm& microvm, std::uint64_t at, const char* text) {
    REQUIRE(microvm.ram.write_bytes(machine::Gpa{at}, std::as_bytes(std::span{text, 5})));
}

// All of its memory, as its guest.
void fill(FakeMicrovm& microvm, std::byte value) {
    const auto bytes = microvm.ram.slice(machine::Gpa{0}, 1 << 20).value();
    std::ranges::fill(bytes, value);
    microvm.ram.log_write(bytes);
}

std::string text_in(const FakeMicrovm& microvm, std::uint64_t at) {
    const auto bytes = microvm.ram.slice(machine::Gpa{at}, 5).value();
    std::string text(5, '\0');
    std::memcpy(text.data(), bytes.data(), text.size());
    return text;
}

TEST_CASE("a guest moves: memory first, then its state, and it runs there only") {
    Pair pair;
    write_text(pair.source, 0, "first");
    write_text(pair.source, (1 << 20) - 5, "final");
    pair.receive();
    CHECK(pair.taker.is_busy());
    pair.send();
    pair.run_until(SourcePhase::handed_over);
    pair.run_until([&] { return pair.source.ended.has_value(); });
    CHECK(pair.source.ended->code == 164);
    CHECK(pair.source.now == vmm::MicrovmState::paused);
    CHECK(called(pair.source, "forget_guest"));
    CHECK(pair.destination.now == vmm::MicrovmState::running);
    CHECK(pair.destination.calls == std::vector<std::string>{"build", "load", "arrive"});
    CHECK(pair.taken->machine.mem_size_mib == 1);
    CHECK(text_in(pair.destination, 0) == "first");
    CHECK(text_in(pair.destination, (1 << 20) - 5) == "final");
    CHECK(pair.giver.is_busy());
    CHECK_FALSE(pair.taker.is_busy());
    CHECK(pair.giver.source()->progress().pages == 2);
    pair.run_until([&] { return !std::filesystem::exists(pair.path); });
}

TEST_CASE("a guest's clock goes on from when it stopped, but not by more than a minute") {
    constexpr std::uint64_t minute_ns = 60'000'000'000;
    Pair pair;
    const std::uint64_t before_ns = host::realtime_ns();
    const auto loaded_ns = [&] {
        pair.receive();
        pair.send();
        pair.run_until(SourcePhase::handed_over);
        return pair.destination.loaded.value().machine.clock.realtime_ns;
    };
    SUBCASE("as the source says") {
        pair.source.saved_at_ns = before_ns - minute_ns / 2;
        CHECK(loaded_ns() == pair.source.saved_at_ns);
    }
    SUBCASE("a host's clock is an hour behind") {
        pair.source.saved_at_ns = before_ns - 60 * minute_ns;
        const std::uint64_t from_ns = loaded_ns();
        CHECK(from_ns >= before_ns - minute_ns);
        CHECK(from_ns <= host::realtime_ns() - minute_ns);
    }
}

TEST_CASE("the destination knows the guest's CPU before a page is sent") {
    Pair pair;
    write_text(pair.source, 0, "first");
    SUBCASE("and can refuse it") {
        pair.source.model = {{1, 0, 0, 2, 3, 4, 5, {}}};
        pair.destination.refusal = "this host's CPU lacks what the guest may use: it";
        pair.receive();
        pair.send();
        pair.run_until(SourcePhase::resumed);
        CHECK(pair.giver.source()->progress().failure.value_or("").find("may use: it") !=
              std::string::npos);
        CHECK(pair.giver.source()->progress().pages == 0);
        CHECK(pair.source.now == vmm::MicrovmState::running);
        CHECK_FALSE(called(pair.source, "save"));
    }
    SUBCASE("and takes a guest whose CPU it has") {
        pair.source.model = {{1, 0, 0, 2, 3, 4, 5, {}}};
        pair.receive();
        pair.send();
        pair.run_until(SourcePhase::handed_over);
        REQUIRE(pair.destination.built_for.size() == 1);
        CHECK(pair.destination.built_for[0].edx == 5);
    }
    SUBCASE("or the source does not tell it") {
        pair.receive();
        pair.send();
        pair.run_until(SourcePhase::handed_over);
        CHECK(pair.destination.built_for.empty());
    }
}

TEST_CASE("what is written after the first round, and by the pause itself, arrives too") {
    Pair pair;
    pair.source.on_save = [&] {
        write_text(pair.source, 7 * page, "saved");
        REQUIRE(pair.source.ram.discard(machine::Gpa{3 * page}, page));
    };
    write_text(pair.source, 3 * page, "gone.");
    pair.receive();
    pair.send();
    pair.run_until(SourcePhase::handed_over);
    CHECK(text_in(pair.destination, 7 * page) == "saved");
    CHECK(text_in(pair.destination, 3 * page) == std::string(5, '\0'));
}

TEST_CASE("over several connections and compressed, the newest version of each page arrives") {
    Pair pair;
    const auto write_all = [&](std::byte value) { fill(pair.source, value); };
    write_all(std::byte{1});
    int round = 1;
    pair.source.on_take = [&] {
        if (pair.source.now == vmm::MicrovmState::running) {
            write_all(static_cast<std::byte>(++round));
        }
    };
    pair.source.on_save = [&] { write_all(std::byte{99}); };
    pair.receive();
    SendOrder order;
    order.max_rounds = 6;
    SUBCASE("3") {
        order.connections = 3;
    }
    SUBCASE("8, compressed") {
        order.connections = max_connections;
        order.compression = Compression::zstd;
    }
    SUBCASE("1, compressed") {
        order.compression = Compression::zstd;
    }
    pair.send(order);
    pair.run_until(SourcePhase::handed_over);
    const auto there = pair.destination.ram.slice(machine::Gpa{0}, 1 << 20).value();
    CHECK(std::ranges::all_of(there, [](std::byte b) { return b == std::byte{99}; }));
    const Progress progress = pair.giver.source()->progress();
    CHECK(progress.pages == 7 * 256);
    CHECK((progress.bytes < 1 << 20) == (order.compression == Compression::zstd));
}

TEST_CASE("after one round the guest runs there, and the rest of its memory follows it") {
    Pair pair;
    const auto write_all = [&](std::byte value) { fill(pair.source, value); };
    write_all(std::byte{1});
    pair.source.on_save = [&] {
        write_all(std::byte{2});
        REQUIRE(pair.source.ram.discard(machine::Gpa{3 * page}, page));
    };
    // A device that looks at its queue while it is loaded, and a guest that writes at once.
    std::byte seen{};
    pair.destination.on_load = [&] { seen = pair.destination.ram.bytes()[9 * page]; };
    pair.destination.on_arrive = [&] { write_text(pair.destination, 7 * page, "there"); };
    pair.receive();
    SendOrder order;
    order.max_rounds = 30;
    order.is_post_copy = true;
    SUBCASE("plain") {}
    SUBCASE("compressed") {
        order.compression = Compression::zstd;
    }
    pair.send(order);
    pair.run_until(SourcePhase::handed_over);
    pair.run_until([&] { return !pair.taker.is_busy() && pair.source.ended; });
    CHECK(pair.giver.source()->progress().rounds == 1);
    CHECK(seen == std::byte{2});
    CHECK(text_in(pair.destination, 7 * page) == "there");
    for (std::uint64_t at = 0; at < 1 << 20; at += page) {
        CAPTURE(at);
        const auto here = pair.destination.ram.bytes().subspan(at + 5, page - 5);
        const std::byte expected = at == 3 * page ? std::byte{} : std::byte{2};
        CHECK(std::ranges::all_of(here, [&](std::byte byte) { return byte == expected; }));
    }
    CHECK(pair.source.now == vmm::MicrovmState::paused);
    CHECK(called(pair.source, "forget_guest"));
}

TEST_CASE("a stranger among the further connections is hung up on") {
    Pair pair;
    SendOrder order;
    order.connections = 2;
    std::optional<host::UniqueFd> stranger;
    pair.receive();
    pair.send(order);
    pair.run_until([&] {
        if (!stranger && pair.taker.destination()->phase() == DestinationPhase::receiving) {
            stranger = start_connecting({Address::Kind::unix_socket, pair.path, 0});
            const auto join = encode({FrameKind::join, std::vector<std::byte>(16)});
            static_cast<void>(::send(stranger->get(), join.data(), join.size(), MSG_NOSIGNAL));
        }
        return pair.giver.source()->phase() == SourcePhase::handed_over;
    });
}

TEST_CASE("a drive is copied, with what is written to it until the guest stops") {
    Pair pair;
    SendOrder order;
    order.max_rounds = 3;
    pair.add_drive(order);
    REQUIRE(::ftruncate(pair.source.drive.get(), FakeMicrovm::drive_bytes) == 0);
    pair.write_drive("first", 0);
    pair.write_drive("again", 9 * page);
    pair.source.on_take = [&] {
        if (pair.source.now == vmm::MicrovmState::running) {
            pair.write_drive("round", 9 * page);
        }
    };
    pair.source.on_save = [&] { pair.write_drive("final", FakeMicrovm::drive_bytes - 5); };
    pair.receive();
    pair.send(order);
    pair.run_until(SourcePhase::handed_over);
    std::string expected(FakeMicrovm::drive_bytes, '\0');
    expected.replace(0, 5, "first");
    expected.replace(9 * page, 5, "round");
    expected.replace(FakeMicrovm::drive_bytes - 5, 5, "final");
    CHECK(pair.taken_drive() == expected);
    CHECK(pair.giver.source()->progress().drive_pages >= 4);
    CHECK(pair.giver.source()->progress().remaining_drive_pages == 0);
}

TEST_CASE("a drive that was being copied is gone again when the guest stays") {
    Pair pair;
    SendOrder order;
    pair.add_drive(order);
    pair.source.on_save = [&] {
        CHECK(std::filesystem::exists(pair.drive_path));
        pair.destination.refusal = "no such file";
    };
    REQUIRE(::ftruncate(pair.source.drive.get(), FakeMicrovm::drive_bytes) == 0);
    pair.receive();
    pair.send(order);
    pair.run_until(SourcePhase::resumed);
    pair.run_until([&] { return pair.destination.ended.has_value(); });
    CHECK_FALSE(std::filesystem::exists(pair.drive_path));
}

TEST_CASE("a drive that is there already is not overwritten, and an unknown one is not copied") {
    Pair pair;
    SendOrder order;
    pair.add_drive(order);
    std::ofstream{pair.drive_path} << "mine";
    pair.receive();
    pair.send(order);
    pair.run_until(SourcePhase::resumed);
    CHECK(pair.giver.source()->progress().failure->find("File exists") != std::string::npos);
    CHECK(pair.taken_drive() == "mine");
    order.copied_drives = {"other"};
    CHECK_THROWS_WITH(pair.send(order), doctest::Contains("no drive other"));
    order.copied_drives = {"d", "d"};
    CHECK_THROWS_WITH(pair.send(order), doctest::Contains("twice"));
}

TEST_CASE("whatever the destination cannot do leaves the guest where it was") {
    Pair pair;
    SUBCASE("build") {
        pair.destination.refusal = "no such file";
    }
    SUBCASE("load") {
        pair.source.on_save = [&] { pair.destination.refusal = "no such file"; };
    }
    pair.receive();
    pair.send();
    pair.run_until(SourcePhase::resumed);
    pair.run_until([&] { return pair.source.now == vmm::MicrovmState::running; });
    CHECK(pair.giver.source()->progress().failure == "the destination refused: no such file");
    pair.run_until([&] { return pair.destination.ended.has_value(); });
    CHECK(pair.destination.ended->code == 165);
    CHECK(pair.destination.ended->sentence == "migration: no such file");
    CHECK_FALSE(called(pair.destination, "arrive"));
    CHECK_FALSE(pair.giver.is_busy());
}

TEST_CASE("a source whose guest cannot be saved goes on, and the destination ends") {
    Pair pair;
    pair.source.on_save = [] { throw std::runtime_error("the guest has ended"); };
    pair.receive();
    pair.send();
    pair.run_until([&] { return pair.destination.ended.has_value(); });
    pair.run_until([&] { return pair.source.now == vmm::MicrovmState::running; });
    CHECK(pair.giver.source()->progress().failure == "the guest has ended");
}

TEST_CASE("a cancel before the commit wins") {
    Pair pair;
    pair.receive();
    SUBCASE("by the source") {
        pair.source.on_save = [&] { pair.giver.cancel(); };
        pair.send();
    }
    SUBCASE("by the destination") {
        pair.source.on_save = [&] { pair.taker.cancel(); };
        pair.send();
    }
    pair.run_until(SourcePhase::resumed);
    pair.run_until([&] { return pair.source.now == vmm::MicrovmState::running; });
    pair.run_until([&] { return pair.destination.ended.has_value(); });
    CHECK_FALSE(called(pair.destination, "arrive"));
    CHECK_THROWS_WITH(pair.giver.cancel(), "no migration is going on");
}

TEST_CASE("strangers at the destination's door are hung up on") {
    Pair pair;
    pair.receive();
    for (int count = 0; count < 3; ++count) {
        const auto stranger = start_connecting({Address::Kind::unix_socket, pair.path, 0});
        REQUIRE(::send(stranger.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    }
    pair.send();
    pair.run_until(SourcePhase::handed_over);
}

TEST_CASE("a bandwidth limit is kept while the guest runs") {
    Pair pair;
    const auto bytes = pair.source.ram.slice(machine::Gpa{0}, 1 << 20).value();
    std::ranges::fill(bytes, std::byte{1});
    pair.receive();
    SendOrder order;
    order.max_bytes_per_s = 4 << 20;  // a quarter of a second
    const auto start = Clock::now();
    pair.send(order);
    pair.run_until(SourcePhase::handed_over);
    CHECK(Clock::now() - start >= std::chrono::milliseconds{200});
    CHECK(Clock::now() - start < std::chrono::seconds{5});
}

TEST_CASE("a guest that writes all it has in each round is throttled, and stopped after the last") {
    Pair pair;
    const auto bytes = pair.source.ram.slice(machine::Gpa{0}, 1 << 20).value();
    std::ranges::fill(bytes, std::byte{1});
    pair.source.on_take = [&] { pair.source.ram.log_write(bytes); };
    pair.receive();
    SendOrder order;
    order.max_rounds = 7;
    SUBCASE("up to a limit") {
        order.max_throttle_percent = 70;
    }
    SUBCASE("never, if it must not be") {}
    pair.send(order);
    pair.run_until(SourcePhase::handed_over);
    const Progress progress = pair.giver.source()->progress();
    CHECK(progress.rounds == 7);
    CHECK(progress.pages == 8 * 256);
    CHECK(progress.throttle_percent == order.max_throttle_percent);
    CHECK(pair.source.throttled == (order.max_throttle_percent == 0
                                        ? std::vector<unsigned>{}
                                        : std::vector<unsigned>{20, 40, 60, 70}));
}

TEST_CASE("a guest that was throttled runs as before when its migration fails") {
    Pair pair;
    const auto bytes = pair.source.ram.slice(machine::Gpa{0}, 1 << 20).value();
    std::ranges::fill(bytes, std::byte{1});
    pair.source.on_take = [&] {
        pair.source.ram.log_write(bytes);
        if (!pair.source.throttled.empty()) {
            pair.giver.cancel();
        }
    };
    pair.receive();
    SendOrder order;
    order.max_rounds = 7;
    order.max_throttle_percent = 50;
    pair.send(order);
    const std::vector<unsigned>& throttled = pair.source.throttled;
    pair.run_until([&] { return !throttled.empty() && throttled.back() == 0; });
    CHECK(throttled.front() == 20);
    CHECK(pair.source.now == vmm::MicrovmState::running);
}

// Who sends the guest again joins the thread of the last time, which then must want nothing more of
// the loop.
TEST_CASE("a migration that fails is over once its guest is as it was, not before") {
    Pair pair;
    bool was_busy = true;
    unsigned calls = 0;
    pair.source.on_resume = [&] {
        ++calls;
        was_busy = was_busy && pair.giver.is_busy();
    };
    SendOrder order;
    SUBCASE("stopped") {
        pair.source.on_save = [&] { pair.giver.cancel(); };
    }
    SUBCASE("throttled") {
        const auto bytes = pair.source.ram.slice(machine::Gpa{0}, 1 << 20).value();
        std::ranges::fill(bytes, std::byte{1});
        pair.source.on_take = [&pair, bytes] {
            pair.source.ram.log_write(bytes);
            if (!pair.source.throttled.empty()) {
                pair.giver.cancel();
            }
        };
        order.max_rounds = 7;
        order.max_throttle_percent = 20;
    }
    pair.receive();
    pair.send(order);
    pair.run_until(SourcePhase::resumed);
    CHECK(calls >= 1);
    CHECK(was_busy);
}

TEST_CASE("nothing is sent to nobody, nor a guest that does not run") {
    Pair pair;
    CHECK_THROWS_WITH_AS(pair.send(), doctest::Contains("cannot connect to unix:"),
                         std::system_error);
    pair.source.now = vmm::MicrovmState::paused;
    CHECK_THROWS_WITH(pair.send(), "the microVM does not run");
    CHECK_THROWS_WITH(pair.giver.resolve(SourceEvent::told_to_end), "the guest is not in doubt");
}

TEST_CASE("a process that ends while it waits does not wait for the other side") {
    Pair pair;
    pair.receive();
    SUBCASE("alone") {}
    SUBCASE("with a source whose calls nobody serves") {
        pair.send();
    }
    pair.giver.stop();
    pair.taker.stop();
    CHECK_FALSE(called(pair.destination, "arrive"));
}

}  // namespace
}  // namespace shoal::migration
