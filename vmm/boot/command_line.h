// Putting a kernel command line together.
#pragma once

#include <optional>
#include <string>

namespace shoal::boot {

// `words` become the last before the "--" behind which the kernel reads no more: what follows is
// for the program that it starts.
[[nodiscard]] std::string with_words(const std::string& command_line, const std::string& words);

// What a guest of Firecracker gets when its user names no arguments.
inline constexpr const char* default_arguments =
    "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd "
    "swiotlb=noforce";

enum class RootAccess { read_only, read_write };

struct RootDevice {
    std::optional<std::string> partuuid;  // none: the first disk, /dev/vda
    RootAccess access = RootAccess::read_write;
};

// The user's words or the default ones, then those that Firecracker adds.
[[nodiscard]] std::string linux_arguments(const std::optional<std::string>& users,
                                          const std::optional<RootDevice>& root);

}  // namespace shoal::boot
