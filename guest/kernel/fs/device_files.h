// Devices: /dev/null, zero, full, random, urandom, tty and console, disks, clone, vsock, and the
// three standard streams.
#pragma once

#include "guest/kernel/fs/block_device.h"
#include "guest/kernel/fs/clone_file.h"
#include "guest/kernel/fs/console_file.h"
#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/file_table.h"

namespace shoal::guest {

using RandomFunction = void (*)(std::span<std::byte>);

class Devices {
public:
    // Borrows all of them for as long as the files exist.
    Devices(FileSystem& file_system, ConsoleDevice& console, RandomFunction random) noexcept
        : file_system_{file_system}, console_{console}, random_{random} {}

    // The device with these numbers. One that does not exist fails when it is opened (Errno::nxio).
    // Empty when memory is gone.
    [[nodiscard]] InodeRef make(FileType type, std::uint32_t permissions, std::uint32_t major,
                                std::uint32_t minor);
    // Before populate(): the disk is /dev/vda, vdb and so on (254:0, 254:16), in order.
    void add_disk(BlockDevice& disk) { disks_.push_back(&disk); }
    // Before populate(): there is a /dev/clone (240:0, a number for local use).
    void set_clone_source(CloneSource& source) { clones_ = &source; }
    // Makes /dev with its files; names that exist are left alone.
    [[nodiscard]] Result<void> populate();
    // Descriptors 0, 1 and 2 of an empty table: /dev/console for a stream that is a terminal, a
    // pipe for another, as the program would most often see them on the host.
    [[nodiscard]] Result<void> open_standard_streams(FileTable& table);

private:
    [[nodiscard]] bool has_tty() const;
    [[nodiscard]] InodeRef make_disk(std::uint32_t permissions, std::uint32_t major,
                                     std::uint32_t minor);
    [[nodiscard]] InodeRef console_node(std::uint32_t permissions);
    [[nodiscard]] EntryRef stream_entry(ConsoleStream stream);

    FileSystem& file_system_;
    ConsoleDevice& console_;
    RandomFunction random_;
    CloneSource* clones_ = nullptr;
    std::vector<BlockDevice*> disks_{};
};

}  // namespace shoal::guest
