// The initramfs: puts the members of a cpio archive into the file system.
#pragma once

#include <expected>
#include <span>

#include "guest/kernel/fs/cpio.h"
#include "guest/kernel/fs/device_files.h"

namespace shoal::guest {

// `archive` outlives the file system, which borrows names and data from it. Parent directories that
// are missing are made; a later member replaces an earlier one of the same name; times are the
// archive's. After an error the file system holds the members that came before.
[[nodiscard]] std::expected<void, ArchiveError> unpack_initramfs(
    FileSystem& file_system, Devices& devices, std::span<const std::byte> archive);

}  // namespace shoal::guest
