#include "controlplane/cli/vmm_config.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace shoal::cli::test {
namespace {

namespace json = boost::json;

}  // namespace

TEST_CASE(
    "a kernel's files are its configuration's, its disk first, and its words alone say what is /") {
    RunOptions options;
    options.disks = {"/data", "/shared,direct"};
    const json::value config =
        json::parse(vmm_config(options, {"/k", "/i", "/root.erofs", "quiet", RootDevice::plain}));
    CHECK(config.at_pointer("/boot-source") ==
          json::value{{"kernel_image_path", "/k"}, {"boot_args", "quiet"}, {"initrd_path", "/i"}});
    const json::array& drives = config.at_pointer("/drives").as_array();
    REQUIRE(drives.size() == 3);
    CHECK(drives[0] == json::value{{"drive_id", "root"},
                                   {"is_root_device", false},
                                   {"is_read_only", true},
                                   {"path_on_host", "/root.erofs"}});
    CHECK(drives[1].at("path_on_host") == "/data");
    CHECK(drives[1].at("direct_io") == false);
    CHECK(drives[2].at("path_on_host") == "/shared");
    CHECK(drives[2].at("direct_io") == true);
}

TEST_CASE("what a kernel does not have is not in its configuration") {
    const json::value config =
        json::parse(vmm_config({}, {"/k", "", "", "quiet", RootDevice::plain}));
    CHECK_FALSE(config.at("boot-source").as_object().contains("initrd_path"));
    CHECK(config.at("drives").as_array().empty());
}

TEST_CASE(
    "a VMM opens what its configuration names and what is allowed, and only if that is said") {
    RunOptions options;
    options.disks = {"/data", "/old,ro", "/shared,direct"};
    const BootFiles boot{"/k", "/proc/self/fd/7", "/root.erofs", "quiet", RootDevice::plain};
    CHECK(allow_words(options, boot).empty());
    options.allowed = {"/run/a", "/tls,ro"};
    CHECK(allow_words(options, boot) ==
          std::vector<std::string>{"--allow", "/run/a", "--allow", "/tls,ro", "--allow", "/k,ro",
                                   "--allow", "/root.erofs,ro", "--allow", "/data", "--allow",
                                   "/old,ro", "--allow", "/shared"});
}

}  // namespace shoal::cli::test
