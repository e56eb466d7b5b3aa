// GET /vm/config and the configuration file are the same document.
#include "vmm/api/vm_config.h"

#include <doctest/doctest.h>

#include "tests/unit/vmm/api/api_rig.h"

namespace shoal::api {
namespace {

using namespace testing;

void configure(ApiRig& api) {
    const std::pair<const char*, const char*> requests[]{
        {"/machine-config", R"({"vcpu_count":2,"mem_size_mib":1024})"},
        {"/boot-source", R"({"kernel_image_path":"vmlinux.bin","boot_args":"console=ttyS0"})"},
        {"/drives/data", R"({"drive_id":"data","is_root_device":false,"socket":"s"})"},
        {"/drives/rootfs", R"({"drive_id":"rootfs","is_root_device":true,"path_on_host":"r.ext4",)"
                           R"("is_read_only":true,"partuuid":"0e-02"})"},
        {"/network-interfaces/eth0", R"({"iface_id":"eth0","host_dev_name":"tap0",)"
                                     R"("rx_rate_limiter":{"ops":{"size":1,"refill_time":2,)"
                                     R"("one_time_burst":3}}})"},
        {"/vsock", R"({"guest_cid":3,"uds_path":"v.sock"})"},
        {"/balloon", R"({"amount_mib":5,"deflate_on_oom":true})"},
        {"/entropy", "{}"},
        {"/serial", R"({"serial_out_path":"out"})"},
    };
    for (const auto& [path, body] : requests) {
        REQUIRE(api.put(path, body).status == Status::no_content);
    }
}

TEST_CASE("the configuration is told in full, with nulls for what is absent") {
    ApiRig api;
    CHECK(api.get("/vm/config").body ==
          R"({"balloon":null,"drives":[],"boot-source":{"kernel_image_path":"",)"
          R"("initrd_path":null},"cpu-config":null,"logger":null,"machine-config":{)"
          R"("vcpu_count":1,"mem_size_mib":128,"smt":false,"track_dirty_pages":false,)"
          R"("huge_pages":"None"},"metrics":null,"mmds-config":null,"network-interfaces":[],)"
          R"("vsock":null,"entropy":null,"pmem":[],"memory-hotplug":null})");
    configure(api);
    const std::string body = api.get("/vm/config").body;
    CHECK(body.find(R"("drives":[{"drive_id":"rootfs","partuuid":"0e-02","is_root_device":true,)"
                    R"("cache_type":"Unsafe","is_read_only":true,"path_on_host":"r.ext4",)"
                    R"("rate_limiter":null,"io_engine":"Sync","socket":null},{"drive_id":"data",)"
                    R"("partuuid":null,"is_root_device":false,"cache_type":"Unsafe",)"
                    R"("is_read_only":null,"path_on_host":null,"rate_limiter":null,)"
                    R"("io_engine":null,"socket":"s"}])") != std::string::npos);
    CHECK(body.find("serial") == std::string::npos);
}

TEST_CASE("what GET /vm/config tells can be given as a configuration file") {
    ApiRig told;
    configure(told);
    const std::string body = told.get("/vm/config").body;
    ApiRig taken;
    apply_config_file(taken.context, body);
    CHECK(taken.get("/vm/config").body == body);
    CHECK(taken.microvm.calls == std::vector<std::string>{"set_boot_source", "set_drive",
                                                          "set_drive", "set_network_interface",
                                                          "set_vsock"});
}

TEST_CASE("a configuration file is taken or refused with one sentence") {
    ApiRig api;
    const auto error_of = [&](const std::string& text) -> std::string {
        try {
            apply_config_file(api.context, text);
        } catch (const std::exception& error) {
            return error.what();
        }
        return "none";
    };
    const std::string boot = R"("boot-source":{"kernel_image_path":"k"})";
    CHECK(error_of("{" + boot + R"(,"drives":[],"what-is-this":1})") == "none");
    CHECK(error_of("{" + boot + "}").starts_with("missing field `drives`"));
    CHECK(error_of(R"({"drives":[]})").starts_with("missing field `boot-source`"));
    CHECK(error_of("{" + boot + R"(,"drives":[{"drive_id":"a","what":1}]})")
              .starts_with("unknown field `what`"));
    CHECK(error_of("{" + boot + R"(,"drives":[],"mmds-config":{"network_interfaces":["e"]}})") ==
          "The section mmds-config is not supported yet.");
    CHECK(error_of("{" + boot + R"(,"drives":[],"pmem":[{"id":"a"}]})") ==
          "The section pmem is not supported yet.");
    CHECK(error_of("{" + boot +
                   R"(,"drives":[],"machine-config":{"vcpu_count":0,)"
                   R"("mem_size_mib":1}})")
              .starts_with("Machine config error: "));
    CHECK(error_of("") == "EOF while parsing a value at line 1 column 0");
}

}  // namespace
}  // namespace shoal::api
