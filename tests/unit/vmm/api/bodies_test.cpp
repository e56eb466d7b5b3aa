// Bodies: strict, and wrong ones are described as serde does it.
#include <doctest/doctest.h>

#include "tests/unit/vmm/api/api_rig.h"
#include "vmm/api/balloon.h"
#include "vmm/api/drive.h"
#include "vmm/api/logger.h"
#include "vmm/api/machine_config.h"
#include "vmm/api/network_interface.h"

namespace shoal::api {
namespace {

using namespace testing;

template <typename Body>
std::string error_of(std::string_view text) {
    try {
        static_cast<void>(decode<Body>(text));
    } catch (const JsonError& error) {
        return error.what();
    }
    return "none";
}

TEST_CASE("what is missing, unknown, doubled or of the wrong type is named with its place") {
    using Machine = vmm::MachineShape;
    CHECK(error_of<Machine>(R"({"mem_size_mib": 128})") ==
          "missing field `vcpu_count` at line 1 column 21");
    CHECK(error_of<Machine>("{}") == "missing field `vcpu_count` at line 1 column 2");
    CHECK(error_of<Machine>("{\n \"vcpu_count\": 1\n}") ==
          "missing field `mem_size_mib` at line 3 column 1");
    CHECK(error_of<vmm::DriveUpdate>(R"({"drive_id":"a","is_read_only":true})") ==
          "unknown field `is_read_only`, expected one of `drive_id`, `path_on_host`, "
          "`rate_limiter` at line 1 column 30");
    CHECK(error_of<BalloonUpdate>(R"({"foo":1})") ==
          "unknown field `foo`, expected `amount_mib` at line 1 column 6");
    CHECK(error_of<Machine>(R"({"vcpu_count":1,"vcpu_count":1})") ==
          "duplicate field `vcpu_count` at line 1 column 28");
    CHECK(error_of<Machine>(R"({"vcpu_count":"a"})") ==
          "invalid type: string \"a\", expected u8 at line 1 column 17");
    CHECK(error_of<Machine>(R"({"vcpu_count":true})") ==
          "invalid type: boolean `true`, expected u8 at line 1 column 18");
    CHECK(error_of<Machine>(R"({"vcpu_count":null})") ==
          "invalid type: null, expected u8 at line 1 column 18");
    CHECK(error_of<Machine>(R"({"vcpu_count":1.5})") ==
          "invalid type: floating point `1.5`, expected u8 at line 1 column 17");
    CHECK(error_of<Machine>(R"({"vcpu_count":1e3})") ==
          "invalid type: floating point `1000.0`, expected u8 at line 1 column 17");
    CHECK(error_of<Machine>(R"({"vcpu_count":256})") ==
          "invalid value: integer `256`, expected u8 at line 1 column 17");
    CHECK(error_of<Machine>(R"({"vcpu_count":-1})") ==
          "invalid value: integer `-1`, expected u8 at line 1 column 16");
    CHECK(error_of<Machine>(R"({"mem_size_mib":-9223372036854775808})") ==
          "invalid value: integer `-9223372036854775808`, expected u64 at line 1 column 36");
    CHECK(error_of<Machine>(R"({"smt":"yes"})") ==
          "invalid type: string \"yes\", expected a boolean at line 1 column 12");
    CHECK(error_of<Machine>(R"({"huge_pages":"1G"})") ==
          "unknown variant `1G`, expected one of `None`, `Transparent`, `2M` at line 1 column 18");
    CHECK(error_of<vmm::DriveConfig>(R"({"cache_type":"foo"})") ==
          "unknown variant `foo`, expected `Unsafe` or `Writeback` at line 1 column 19");
    CHECK(error_of<vmm::DriveConfig>(R"({"drive_id":7})") ==
          "invalid type: integer `7`, expected a string at line 1 column 13");
    CHECK(error_of<vmm::DriveConfig>("[]") ==
          "invalid type: sequence, expected struct Drive at line 1 column 2");
    CHECK(error_of<vmm::DriveConfig>(R"("x")") ==
          "invalid type: string \"x\", expected struct Drive at line 1 column 3");
}

TEST_CASE("null stands for what is absent, only where it may be absent") {
    const auto drive = decode<vmm::DriveConfig>(
        R"({"drive_id":"a","is_root_device":false,"path_on_host":"p","socket":null,)"
        R"("rate_limiter":{"bandwidth":{"size":1,"one_time_burst":null,"refill_time":2},)"
        R"("ops":null}})");
    CHECK_FALSE(drive.socket);
    REQUIRE(drive.rate_limiter);
    CHECK(drive.rate_limiter->bandwidth->one_time_burst == 0);
    CHECK_FALSE(drive.rate_limiter->ops);
    CHECK(error_of<vmm::MachineShape>(R"({"smt":null})") ==
          "invalid type: null, expected a boolean at line 1 column 11");
}

TEST_CASE("a token bucket takes unknown fields, a rate limiter does not") {
    CHECK(error_of<backend::TokenBucketConfig>(R"({"size":1,"refill_time":2,"more":[{}]})") ==
          "none");
    CHECK(error_of<backend::RateLimiterConfig>(R"({"more":1})") ==
          "unknown field `more`, expected `bandwidth` or `ops` at line 1 column 7");
}

TEST_CASE("MAC addresses and MTUs are checked") {
    const auto with = [](const std::string& field) {
        return error_of<vmm::NetworkInterfaceConfig>(R"({"iface_id":"e","host_dev_name":"t",)" +
                                                     field + "}");
    };
    CHECK(with(R"("guest_mac":"06:00:AC:10:00:02")") == "none");
    for (const char* mac : {"", "06:00:AC:10:00:0", "06:00:AC:10:00:02:", "06-00-AC-10-00-02",
                            "0g:00:AC:10:00:02", "06:00:AC:10:00:0 "}) {
        CHECK(with(R"("guest_mac":")" + std::string{mac} + "\"")
                  .starts_with("The provided MAC address is invalid. at line 1"));
    }
    CHECK(with(R"("mtu":68)") == "none");
    CHECK(with(R"("mtu":65535)") == "none");
    CHECK(with(R"("mtu":67)").starts_with("invalid value: integer `67`, expected u16"));
    CHECK(with(R"("mtu":65536)").starts_with("invalid value: integer `65536`, expected u16"));
}

TEST_CASE("log levels are taken in any letter case") {
    for (const char* level : {"Error", "warn", "WARNING", "Info", "dEbug", "trace", "OFF"}) {
        CHECK(parse_log_level(level));
    }
    CHECK(parse_log_level("warn") == host::LogLevel::warn);
    CHECK_FALSE(parse_log_level("loud"));
    CHECK_FALSE(parse_log_level(""));
}

TEST_CASE("a body that was told is what is taken") {
    const std::string text =
        R"({"drive_id":"rootfs","partuuid":null,"is_root_device":true,"cache_type":"Writeback",)"
        R"("is_read_only":false,"path_on_host":"disk.ext4","rate_limiter":{"bandwidth":{"size":9,)"
        R"("one_time_burst":null,"refill_time":100},"ops":null},"io_engine":"Async",)"
        R"("socket":null})";
    CHECK(to_json(decode<vmm::DriveConfig>(text)) == text);
    const std::string interface =
        R"({"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"06:00:ac:10:00:02","mtu":1500,)"
        R"("rx_rate_limiter":null,"tx_rate_limiter":null})";
    CHECK(to_json(decode<vmm::NetworkInterfaceConfig>(interface)) == interface);
}

}  // namespace
}  // namespace shoal::api
