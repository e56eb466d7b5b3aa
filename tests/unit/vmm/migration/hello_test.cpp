#include "vmm/migration/hello.h"

#include <doctest/doctest.h>

#include "vmm/state/state_error.h"

namespace shoal::migration {
namespace {

vmm::MicrovmConfig sample() {
    vmm::MicrovmConfig config;
    vmm::DriveConfig& drive = config.drives.emplace_back();
    drive.drive_id = "d";
    drive.path_on_host = "/disk";
    vmm::NetworkInterfaceConfig& interface = config.network_interfaces.emplace_back();
    interface.iface_id = "n";
    interface.host_dev_name = "tap0";
    config.vsock = vmm::VsockConfig{{}, 3, "/vsock"};
    return config;
}

TEST_CASE("a configuration comes back as it was") {
    const auto bytes = encode_hello(sample());
    const vmm::MicrovmConfig config = decode_hello(bytes);
    CHECK(config.drives.front().path_on_host == "/disk");
    CHECK(encode_hello(config) == bytes);
}

TEST_CASE("what no API can have made is refused") {
    vmm::MicrovmConfig config = sample();
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
    CHECK_THROWS_AS(static_cast<void>(decode_hello(encode_hello(config))), state::StateError);
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
    vmm::MicrovmConfig config = sample();
    config.vsock->uds_path.resize(max_hello_bytes);
    CHECK_THROWS_WITH(static_cast<void>(encode_hello(config)), doctest::Contains("262144"));
}

}  // namespace
}  // namespace shoal::migration
