// Disks: looking for them, and mounting one.
#include "guest/kernel/disks.h"

#include "guest/drivers/virtio_block.h"
#include "guest/kernel/fs/erofs_tree.h"
#include "guest/kernel/physical_memory.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {
namespace {

// Of the memory. The host caches its disks too, so there is no use in more.
constexpr std::size_t cache_fraction = 8;

// Which disk /dev/vda, vdb and so on is; nullptr when there is none.
BlockDevice* disk_named(std::string_view name, std::span<BlockDevice* const> disks) {
    constexpr std::string_view prefix = "/dev/vd";
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 1 || name.back() < 'a') {
        return nullptr;
    }
    const auto idx = static_cast<std::size_t>(name.back() - 'a');
    return idx < disks.size() ? disks[idx] : nullptr;
}

}  // namespace

std::vector<BlockDevice*> start_disks(std::span<const VirtioMmioDevice> devices) {
    std::vector<BlockDevice*> disks;
    for (const VirtioMmioDevice& device : devices) {
        if (device.device_id == abi::virtio::device_id::block) {
            auto* disk = new VirtioBlock{device.place};
            add_event_source(*disk);
            disks.push_back(disk);
        }
    }
    return disks;
}

bool wants_root(const CommandLine& command_line, Initramfs initramfs) {
    return !command_line.root.empty() &&
           (!command_line.root_type.empty() || initramfs == Initramfs::absent);
}

std::expected<void, const char*> mount_root(const CommandLine& command_line,
                                            std::span<BlockDevice* const> disks,
                                            FileSystem& file_system, Devices& devices) {
    if (!command_line.root_type.empty() && command_line.root_type != "erofs") {
        return std::unexpected("only erofs can be mounted");
    }
    BlockDevice* disk = disk_named(command_line.root, disks);
    if (disk == nullptr) {
        return std::unexpected("there is no such disk");
    }
    auto& cache =
        *new BlockCache{*disk, physical_memory.total_bytes() / page_size / cache_fraction};
    physical_memory.add_holder(cache);
    const auto image = ErofsImage::open(cache);
    if (!image) {
        return std::unexpected(image.error());
    }
    auto& tree = *new ErofsTree{*image, file_system, devices};
    if (!mount_erofs(file_system, tree)) {
        return std::unexpected("its root directory is damaged");
    }
    return {};
}

}  // namespace shoal::guest
