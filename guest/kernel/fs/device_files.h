// Devices: /dev/null, zero, full, random, urandom, tty and console, and the three standard streams.
#pragma once

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
    // Makes /dev with its files; names that exist are left alone.
    [[nodiscard]] Result<void> populate();
    // Descriptors 0, 1 and 2 of an empty table: /dev/console for a stream that is a terminal, a
    // pipe for another, as the program would most often see them on the host.
    [[nodiscard]] Result<void> open_standard_streams(FileTable& table);

private:
    [[nodiscard]] bool has_tty() const;
    [[nodiscard]] InodeRef console_node(std::uint32_t permissions);
    [[nodiscard]] EntryRef stream_entry(ConsoleStream stream);

    FileSystem& file_system_;
    ConsoleDevice& console_;
    RandomFunction random_;
};

}  // namespace shoal::guest
