// Boost.JSON.
#include "controlplane/cli/vmm_config.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>

#include "devices/host/disk_word.h"

namespace shoal::cli {
namespace {

// Where the microVM goes on after a migration the working folder is another one.
std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
}

boost::json::array drives(const RunOptions& options, const BootFiles& boot) {
    boost::json::array drives;
    if (!boot.root_image.empty()) {
        drives.push_back({{"drive_id", "root"},
                          {"is_root_device", boot.root_device == RootDevice::announced},
                          {"is_read_only", true},
                          {"path_on_host", absolute(boot.root_image)}});
    }
    std::size_t idx = 0;  // whether there is a root or not
    for (const std::string& disk : options.disks) {
        const host::DiskWord word = host::parse_disk_word(disk);
        drives.push_back({{"drive_id", "disk" + std::to_string(idx++)},
                          {"is_root_device", false},
                          {"is_read_only", word.is_read_only},
                          {"cache_type", "Writeback"},
                          {"io_engine", "Async"},
                          {"direct_io", word.is_direct},
                          {"path_on_host", absolute(word.path)}});
    }
    return drives;
}

}  // namespace

std::string vmm_config(const RunOptions& options, const BootFiles& boot) {
    boost::json::object config{
        {"machine-config",
         {{"vcpu_count", options.vcpus},
          {"mem_size_mib", options.memory_mib},
          // Nothing is logged before the first snapshot.
          {"track_dirty_pages", true}}},
        {"boot-source", {{"kernel_image_path", boot.kernel}, {"boot_args", boot.boot_args}}},
        {"drives", drives(options, boot)},
        {"balloon", {{"amount_mib", 0}, {"deflate_on_oom", true}, {"free_page_reporting", true}}}};
    if (!boot.initramfs.empty()) {
        config["boot-source"].as_object()["initrd_path"] = boot.initramfs;
    }
    if (options.network) {
        boost::json::object interface {
            {"iface_id", "eth0"}, { "host_dev_name", options.network->tap }
        };
        if (!options.network->mac.empty()) {
            interface["guest_mac"] = options.network->mac;
        }
        config["network-interfaces"] = boost::json::array{std::move(interface)};
    }
    if (!options.vsock.empty()) {
        config["vsock"] = {{"guest_cid", 3}, {"uds_path", options.vsock}};
    }
    return boost::json::serialize(config);
}

std::vector<std::string> allow_words(const RunOptions& options, const BootFiles& boot) {
    std::vector<std::string> paths = options.allowed;
    if (paths.empty()) {
        return {};
    }
    for (const std::string& path : {boot.kernel, boot.initramfs, boot.root_image}) {
        // A descriptor of the process leads to memory, which has no folder that could be allowed.
        if (!path.empty() && !path.starts_with("/proc/self/fd/")) {
            paths.push_back(path + ",ro");
        }
    }
    for (const std::string& disk : options.disks) {
        const host::DiskWord word = host::parse_disk_word(disk);
        paths.push_back(word.path + (word.is_read_only ? ",ro" : ""));
    }
    std::vector<std::string> words;
    for (const std::string& path : paths) {
        words.insert(words.end(), {"--allow", path});
    }
    return words;
}

}  // namespace shoal::cli
