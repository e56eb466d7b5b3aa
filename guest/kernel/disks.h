// The machine's disks, and the root file system on one of them.
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "guest/drivers/virtio_mmio.h"
#include "guest/kernel/boot/command_line.h"
#include "guest/kernel/fs/device_files.h"

namespace shoal::guest {

// The disks among the devices, in their order; set up, and there for ever.
[[nodiscard]] std::vector<BlockDevice*> start_disks(std::span<const VirtioMmioDevice> devices);

// Whether the command line asks for a root file system. Without rootfstype=, an initramfs is enough
// to boot from, as on Linux.
enum class Initramfs { absent, present };
[[nodiscard]] bool wants_root(const CommandLine& command_line, Initramfs initramfs);

// Mounts what root= names. Precondition: the file system is empty. The error is a phrase.
[[nodiscard]] std::expected<void, const char*> mount_root(const CommandLine& command_line,
                                                          std::span<BlockDevice* const> disks,
                                                          FileSystem& file_system,
                                                          Devices& devices);

}  // namespace shoal::guest
