// Resources: their rules, and what they tell the microVM.
#include <doctest/doctest.h>

#include "tests/unit/vmm/api/api_rig.h"

namespace shoal::api {
namespace {

using namespace testing;

std::string drive(const std::string& id, const std::string& more) {
    return R"({"drive_id":")" + id + "\"," + more + "}";
}

TEST_CASE("ids are checked, in the path and against the body") {
    ApiRig api;
    CHECK(fault_of(api.put("/drives", "{}")) == "The ID cannot be empty.");
    CHECK(fault_of(api.put("/network-interfaces/", "{}")) == "The ID cannot be empty.");
    CHECK(fault_of(api.put("/drives/a-b", "{}")) ==
          "API Resource IDs can only contain alphanumeric characters and underscores.");
    CHECK(fault_of(api.put("/drives/a", drive("b", R"("is_root_device":true)"))) ==
          "The id from the path does not match the id from the body!");
    CHECK(fault_of(api.put("/network-interfaces/a", R"({"iface_id":"b","host_dev_name":"t"})")) ==
          "The id from the path [a] does not match the id from the body [b]!");
}

TEST_CASE("the microVM's own refusal reaches the client behind the resource's prefix") {
    ApiRig api;
    const auto refused = [&](const std::string& path, const std::string& body) {
        api.microvm.refusal = "/no/such: No such file";
        return fault_of(api.put(path, body));
    };
    CHECK(refused("/drives/a", drive("a", R"("is_root_device":true,"path_on_host":"p")")) ==
          "Drive config error: /no/such: No such file");
    CHECK(api.context.config.drives.empty());
    CHECK(refused("/network-interfaces/a", R"({"iface_id":"a","host_dev_name":"t"})") ==
          "Network config error: /no/such: No such file");
    CHECK(refused("/vsock", R"({"guest_cid":3,"uds_path":"v"})") ==
          "Vsock config error: /no/such: No such file");
    CHECK(refused("/boot-source", R"({"kernel_image_path":"k"})") ==
          "Boot source error: /no/such: No such file");
    CHECK_FALSE(api.context.config.boot_source);
    CHECK(fault_of(api.put("/actions", R"({"action_type":"InstanceStart"})")) ==
          "Start microvm error: Cannot start microvm without kernel configuration.");
    REQUIRE(api.put("/boot-source", R"({"kernel_image_path":"k"})").status == Status::no_content);
    CHECK(refused("/actions", R"({"action_type":"InstanceStart"})") ==
          "Start microvm error: /no/such: No such file");
    CHECK(api.put("/actions", R"({"action_type":"InstanceStart"})").status == Status::no_content);
}

TEST_CASE("a drive is a file or a socket, and never both") {
    ApiRig api;
    const std::string invalid =
        "Drive config error: Unable to create the block device: Invalid block config.";
    for (const char* more :
         {R"("is_root_device":false)", R"("is_root_device":false,"socket":"s","path_on_host":"p")",
          R"("is_root_device":false,"socket":"s","is_read_only":false)",
          R"("is_root_device":false,"socket":"s","io_engine":"Sync")",
          R"("is_root_device":false,"socket":"s","direct_io":true)",
          R"("is_root_device":false,"socket":"s","rate_limiter":{})"}) {
        CHECK(fault_of(api.put("/drives/a", drive("a", more))) == invalid);
    }
    CHECK(api.put("/drives/a", drive("a", R"("is_root_device":false,"socket":"s")")).status ==
          Status::no_content);
    CHECK_FALSE(api.context.config.drives.at(0).is_read_only);
}

TEST_CASE("memory in huge pages does not go with a drive whose process would have to share it") {
    ApiRig api;
    REQUIRE(api.put("/boot-source", R"({"kernel_image_path":"k"})").status == Status::no_content);
    REQUIRE(
        api.put("/drives/f", drive("f", R"("is_root_device":false,"path_on_host":"p")")).status ==
        Status::no_content);
    REQUIRE(api.put("/drives/v", drive("v", R"("is_root_device":false,"socket":"s")")).status ==
            Status::no_content);
    const auto put = [&](const std::string& huge_pages) {
        return api.put("/machine-config",
                       R"({"vcpu_count":1,"mem_size_mib":2,"huge_pages":")" + huge_pages + "\"}");
    };
    REQUIRE(put("Transparent").status == Status::no_content);
    const std::string start = R"({"action_type":"InstanceStart"})";
    CHECK(fault_of(api.put("/actions", start)) ==
          "Start microvm error: Memory with transparent huge pages cannot be shared with the "
          "process behind the drive v.");
    REQUIRE(put("None").status == Status::no_content);
    CHECK(api.put("/actions", start).status == Status::no_content);
}

TEST_CASE("the root device is the only one and stays in front") {
    ApiRig api;
    const std::string data = R"("is_root_device":false,"path_on_host":"d")";
    const std::string root = R"("is_root_device":true,"path_on_host":"r")";
    const auto put = [&](const std::string& id, const std::string& more) {
        return api.put("/drives/" + id, drive(id, more));
    };
    REQUIRE(put("data", data).status == Status::no_content);
    REQUIRE(put("root", root).status == Status::no_content);
    CHECK(fault_of(put("other", root)) ==
          "Drive config error: A root block device already exists!");
    CHECK(api.context.config.drives.size() == 2);
    CHECK(api.context.config.drives[0].drive_id == "root");
    REQUIRE(put("root", data).status == Status::no_content);  // no root device any more
    REQUIRE(put("data", root).status == Status::no_content);
    CHECK(api.context.config.drives[0].drive_id == "data");
    CHECK(api.context.config.drives[1].drive_id == "root");
}

TEST_CASE("a running drive's path and limiter change, and are told afterwards") {
    ApiRig api;
    REQUIRE(api.put("/drives/a", drive("a", R"("is_root_device":false,"path_on_host":"p",)"
                                            R"("rate_limiter":{"ops":{"size":1,"refill_time":2},)"
                                            R"("bandwidth":{"size":0,"refill_time":2}})"))
                .status == Status::no_content);
    REQUIRE(api.put("/drives/v", drive("v", R"("is_root_device":false,"socket":"s")")).status ==
            Status::no_content);
    CHECK_FALSE(api.context.config.drives[0].rate_limiter->bandwidth);  // limits nothing
    api.start();
    REQUIRE(api.patch("/drives/a", drive("a", R"("path_on_host":"q","rate_limiter":{"bandwidth":)"
                                              R"({"size":5,"refill_time":6},"ops":{"size":0,)"
                                              R"("refill_time":0}})"))
                .status == Status::no_content);
    CHECK(api.microvm.drive_update.path_on_host == "q");
    CHECK(api.microvm.drive_update.rate_limiter->ops->size == 0);  // the device takes it off
    CHECK(
        api.get("/vm/config")
            .body.find(
                R"("path_on_host":"q","rate_limiter":{"bandwidth":{"size":5,"one_time_burst":null,)"
                R"("refill_time":6},"ops":null})") != std::string::npos);
    const std::string backend =
        "Drive config error: Unable to patch the block device: Running method expected different "
        "backend.";
    CHECK(fault_of(api.patch("/drives/a", R"({"drive_id":"a"})")) == backend);
    CHECK(fault_of(api.patch("/drives/v", drive("v", R"("path_on_host":"q")"))) == backend);
    CHECK(api.patch("/drives/v", R"({"drive_id":"v"})").status == Status::no_content);
    CHECK(fault_of(api.patch("/drives/none", R"({"drive_id":"none"})")) ==
          "Drive config error: Device not found");
}

TEST_CASE("a MAC address belongs to one interface") {
    ApiRig api;
    const auto put = [&](const std::string& id) {
        return api.put("/network-interfaces/" + id, R"({"iface_id":")" + id +
                                                        R"(","host_dev_name":"t","guest_mac":)"
                                                        R"("AA:BB:CC:00:11:22"})");
    };
    REQUIRE(put("eth0").status == Status::no_content);
    REQUIRE(put("eth0").status == Status::no_content);
    CHECK(fault_of(put("eth1")) ==
          "Network config error: The MAC address is already in use: aa:bb:cc:00:11:22");
    CHECK(api.context.config.network_interfaces.size() == 1);
}

TEST_CASE("a machine has 1 to 32 vCPUs, even with SMT, and memory in whole pages") {
    ApiRig api;
    const std::string vcpus =
        "Machine config error: The number of vCPUs must be greater than 0, less than 32 and must "
        "be 1 or an even number if SMT is enabled.";
    const std::string memory =
        "Machine config error: The memory size (MiB) is either 0, or not a multiple of the "
        "configured page size.";
    const auto put = [&](const std::string& body) { return api.put("/machine-config", body); };
    CHECK(fault_of(put(R"({"vcpu_count":0,"mem_size_mib":1})")) == vcpus);
    CHECK(fault_of(put(R"({"vcpu_count":33,"mem_size_mib":1})")) == vcpus);
    CHECK(fault_of(put(R"({"vcpu_count":3,"mem_size_mib":1,"smt":true})")) == vcpus);
    CHECK(put(R"({"vcpu_count":32,"mem_size_mib":1,"smt":true})").status == Status::no_content);
    CHECK(fault_of(put(R"({"vcpu_count":1,"mem_size_mib":0})")) == memory);
    CHECK(fault_of(put(R"({"vcpu_count":1,"mem_size_mib":3,"huge_pages":"2M"})")) == memory);
    CHECK(fault_of(put(R"({"vcpu_count":1,"mem_size_mib":3,"huge_pages":"Transparent"})")) ==
          memory);
    CHECK(api.get("/machine-config").body ==
          R"({"vcpu_count":32,"mem_size_mib":1,"smt":true,"track_dirty_pages":false,)"
          R"("huge_pages":"None"})");
    SUBCASE("PATCH changes what it names") {
        CHECK(fault_of(api.patch("/machine-config", "{}")) == "Empty PATCH request.");
        CHECK(fault_of(api.patch("/machine-config", R"({"vcpu_count":5})")) == vcpus);
        REQUIRE(api.patch("/machine-config", R"({"vcpu_count":5,"smt":false})").status ==
                Status::no_content);
        CHECK(api.context.config.machine.vcpu_count == 5);
        CHECK(api.context.config.machine.mem_size_mib == 1);
    }
    SUBCASE("a CPU template is deprecated, and only the empty one is taken") {
        const Response none = put(R"({"vcpu_count":1,"mem_size_mib":1,"cpu_template":"None"})");
        CHECK(none.status == Status::no_content);
        CHECK(none.deprecation == Deprecation::deprecated);
        CHECK(fault_of(put(R"({"vcpu_count":1,"mem_size_mib":1,"cpu_template":"T2"})"))
                  .find("not supported yet") != std::string::npos);
        CHECK(api.get("/machine-config").body.find("cpu_template") == std::string::npos);
    }
    SUBCASE("memory is not less than the balloon's target, in either order") {
        const std::string balloon = R"({"amount_mib":2,"deflate_on_oom":false})";
        CHECK(fault_of(api.put("/balloon", balloon)) ==
              "Balloon config error: Amount of pages requested is too large.");
        REQUIRE(put(R"({"vcpu_count":1,"mem_size_mib":2})").status == Status::no_content);
        REQUIRE(api.put("/balloon", balloon).status == Status::no_content);
        CHECK(fault_of(put(R"({"vcpu_count":1,"mem_size_mib":1})")) ==
              "Machine config error: The memory size (MiB) is smaller than the previously set "
              "balloon device target size.");
    }
}

TEST_CASE("a command line is limited and printable") {
    ApiRig api;
    const auto put = [&](const std::string& args) {
        return api.put("/boot-source", R"({"kernel_image_path":"k","boot_args":")" + args + "\"}");
    };
    CHECK(put(std::string(2048, 'x')).status == Status::no_content);
    CHECK(fault_of(put(std::string(2049, 'x'))) ==
          "Boot source error: The kernel command line is invalid: it has 2049 bytes and may have "
          "2048");
    CHECK(fault_of(put("a\\u0000b")).starts_with("Boot source error: The kernel command line is"));
}

TEST_CASE("without a balloon there is none") {
    ApiRig api;
    CHECK(fault_of(api.get("/balloon")) == "Balloon config error: No balloon device found.");
    api.start();
    CHECK(fault_of(api.patch("/balloon", R"({"amount_mib":1})")) ==
          "Balloon update error: No balloon device found.");
    CHECK(fault_of(api.get("/balloon/statistics")) ==
          "Balloon config error: No balloon device found.");
}

TEST_CASE("statistics are told when they are on, and cannot be turned on later") {
    ApiRig api;
    const bool are_on = [] {
        bool on = false;
        SUBCASE("on") {
            on = true;
        }
        SUBCASE("off") {}
        return on;
    }();
    REQUIRE(api.put("/balloon", std::string{R"({"amount_mib":1,"deflate_on_oom":true,)"} +
                                    R"("stats_polling_interval_s":)" + (are_on ? "1}" : "0}"))
                .status == Status::no_content);
    api.start();
    api.microvm.statistics.target_pages = 256;
    api.microvm.statistics.swap_in = 4;
    const auto patch = [&](const char* seconds) {
        return api.patch("/balloon/statistics",
                         std::string{R"({"stats_polling_interval_s":)"} + seconds + "}");
    };
    const std::string change =
        "Balloon update error: Cannot enable/disable the statistics after "
        "boot.";
    if (are_on) {
        CHECK(api.get("/balloon/statistics").body ==
              R"({"target_pages":256,"actual_pages":0,"target_mib":0,"actual_mib":0,"swap_in":4})");
        CHECK(patch("5").status == Status::no_content);
        CHECK(api.get("/balloon").body.find(R"("stats_polling_interval_s":5)") !=
              std::string::npos);
        CHECK(fault_of(patch("0")) == change);
    } else {
        CHECK(fault_of(api.get("/balloon/statistics")) ==
              "Balloon config error: Statistics for the balloon device are not enabled");
        CHECK(patch("0").status == Status::no_content);
        CHECK(fault_of(patch("5")) == change);
    }
}

TEST_CASE("hinting starts with and without a body, and its status may hold null") {
    ApiRig api;
    REQUIRE(
        api.put("/balloon", R"({"amount_mib":0,"deflate_on_oom":true,"free_page_hinting":true})")
            .status == Status::no_content);
    api.start();
    CHECK(api.call(Method::patch, "/balloon/hinting/start").status == Status::no_content);
    CHECK(api.microvm.hinting.acknowledge_on_stop);
    CHECK(api.patch("/balloon/hinting/start", "{}").status == Status::no_content);
    CHECK(api.patch("/balloon/hinting/start", R"({"acknowledge_on_stop":false})").status ==
          Status::no_content);
    CHECK_FALSE(api.microvm.hinting.acknowledge_on_stop);
    CHECK(api.get("/balloon/hinting/status").body == R"({"host_cmd":7,"guest_cmd":null})");
    api.microvm.hinting_guest_cmd = 3;
    CHECK(api.get("/balloon/hinting/status").body == R"({"host_cmd":7,"guest_cmd":3})");
    CHECK(api.call(Method::patch, "/balloon/hinting/stop").status == Status::no_content);
}

TEST_CASE("a vsock needs a guest's CID") {
    ApiRig api;
    for (const char* cid : {"0", "2", "4294967296", "-1"}) {
        CHECK(fault_of(
                  api.put("/vsock", std::string{R"({"guest_cid":)"} + cid + R"(,"uds_path":"v"})"))
                  .starts_with(bad_json + "invalid value: integer `" + cid + "`, expected u32"));
    }
    CHECK(api.put("/vsock", R"({"guest_cid":4294967295,"uds_path":"v"})").status ==
          Status::no_content);
}

TEST_CASE("a fault's text is valid JSON whatever the client sent") {
    ApiRig api;
    const Response response = api.put("/entropy", "{\"\\\"\\u0001\\n\": 1}");
    CHECK(response.status == Status::bad_request);
    const JsonNode body = parse_json(response.body);
    CHECK(std::get<JsonNode::Object>(body.value).at(0).key == "fault_message");
    CHECK_NOTHROW(static_cast<void>(parse_json(api.get("/\"\\").body)));
}

}  // namespace
}  // namespace shoal::api
