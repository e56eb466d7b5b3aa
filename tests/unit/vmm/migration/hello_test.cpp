#include "vmm/migration/hello.h"

#include <doctest/doctest.h>

#include "vmm/state/state_error.h"

namespace shoal::migration {
namespace {

Hello sample() {
    Hello hello;
    vmm::MicrovmConfig& config = hello.config;
    vmm::DriveConfig& drive = config.drives.emplace_back();
    drive.drive_id = "d";
    drive.path_on_host = "/disk";
    vmm::NetworkInterfaceConfig& interface = config.network_interfaces.emplace_back();
    interface.iface_id = "n";
    interface.host_dev_name = "tap0";
    config.vsock = vmm::VsockConfig{{}, 3, "/vsock"};
    return hello;
}

TEST_CASE("a configuration comes back as it was") {
    Hello hello = sample();
    SUBCASE("alone") {}
    SUBCASE("over several connections") {
        hello.further = {max_connections - 1, {std::byte{1}, std::byte{2}}};
    }
    SUBCASE("with a connection for what the guest waits for") {
        hello.further = {1, {std::byte{1}, std::byte{2}}};
        hello.is_post_copy = true;
    }
    SUBCASE("with the guest's CPU") {
        hello.cpu = {{1, 0, 0, 2, 3, 4, 5, {}}, {7, 1, 1, 6, 7, 8, 9, {}}};
    }
    SUBCASE("with a drive that is copied") {
        hello.drives.push_back({"d", max_drive_bytes});
    }
    const auto bytes = encode_hello(hello);
    const Hello again = decode_hello(bytes);
    CHECK(again.config.drives.front().path_on_host == "/disk");
    CHECK(again.drives.size() == hello.drives.size());
    CHECK(again.is_post_copy == hello.is_post_copy);
    REQUIRE(again.cpu.size() == hello.cpu.size());
    CHECK((hello.cpu.empty() || again.cpu[1].edx == 9));
    CHECK(encode_hello(again) == bytes);
}

TEST_CASE("more connections than there may be are refused") {
    Hello hello = sample();
    hello.further.count = max_connections;
    SUBCASE("of a post-copy, which has one") {
        hello.is_post_copy = true;
        hello.further.count = 2;
    }
    SUBCASE("none of a post-copy") {
        hello.is_post_copy = true;
        hello.further.count = 0;
    }
    CHECK_THROWS_AS(static_cast<void>(decode_hello(encode_hello(hello))), state::StateError);
}

TEST_CASE("a CPU of more CPUID entries than any has is refused") {
    Hello hello = sample();
    hello.cpu.resize(kvm::max_cpuid_entries);
    CHECK_NOTHROW(static_cast<void>(decode_hello(encode_hello(hello))));
    hello.cpu.emplace_back();
    CHECK_THROWS_AS(static_cast<void>(decode_hello(encode_hello(hello))), state::StateError);
}

TEST_CASE("a drive that cannot be copied is refused") {
    Hello hello = sample();
    SUBCASE("unknown") {
        hello.drives.push_back({"e", 512});
    }
    SUBCASE("twice") {
        hello.drives = {{"d", 512}, {"d", 512}};
    }
    SUBCASE("too large") {
        hello.drives.push_back({"d", max_drive_bytes + 512});
    }
    SUBCASE("a part of a sector") {
        hello.drives.push_back({"d", 513});
    }
    CHECK_THROWS_AS(static_cast<void>(decode_hello(encode_hello(hello))), state::StateError);
}

TEST_CASE("what no API can have made is refused") {
    Hello hello = sample();
    vmm::MicrovmConfig& config = hello.config;
    SUBCASE("no vCPUs") {
        config.machine.vcpu_count = 0;
    }
    SUBCASE("too many vCPUs") {
        config.machine.vcpu_count = 33;
    }
    SUBCASE("no memory") {
        config.machine.mem_size_mib = 0;
    }
    SUBCASE("memory that wraps when it becomes bytes") {
        config.machine.mem_size_mib = (1ULL << 44) + 1;
    }
    SUBCASE("two drives of one id") {
        config.drives.push_back(config.drives.front());
    }
    SUBCASE("a drive without a file") {
        config.drives.front().path_on_host.reset();
    }
    SUBCASE("two interfaces of one id") {
        config.network_interfaces.push_back(config.network_interfaces.front());
    }
    CHECK_THROWS_AS(static_cast<void>(decode_hello(encode_hello(hello))), state::StateError);
}

TEST_CASE("truncated and changed bytes are refused") {
    auto bytes = encode_hello(sample());
    CHECK_THROWS_AS(static_cast<void>(decode_hello({})), state::StateError);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_THROWS_AS(static_cast<void>(decode_hello(std::span{bytes}.first(size))),
                        state::StateError);
    }
    bytes[bytes.size() / 2] ^= std::byte{1};
    CHECK_THROWS_AS(static_cast<void>(decode_hello(bytes)), state::StateError);
}

TEST_CASE("a configuration that is too large is not sent") {
    Hello hello = sample();
    vmm::MicrovmConfig& config = hello.config;
    config.vsock->uds_path.resize(max_hello_bytes);
    CHECK_THROWS_WITH(static_cast<void>(encode_hello(hello)), doctest::Contains("262144"));
}

}  // namespace
}  // namespace shoal::migration
