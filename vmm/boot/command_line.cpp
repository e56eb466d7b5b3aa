// Kernel command lines, as Linux and Firecracker spell them.
#include "vmm/boot/command_line.h"

namespace shoal::boot {
namespace {

// Where the space before "--" is, or the end.
std::size_t end_of_kernel_words(const std::string& line) {
    if (line == "--" || line.starts_with("-- ")) {
        return 0;
    }
    if (const std::size_t at = line.find(" -- "); at != std::string::npos) {
        return at;
    }
    return line.ends_with(" --") ? line.size() - 3 : line.size();
}

}  // namespace

std::string with_words(const std::string& command_line, const std::string& words) {
    const std::size_t end = end_of_kernel_words(command_line);
    const std::string before = command_line.substr(0, end);
    std::string after = command_line.substr(end);
    if (!after.empty() && after.front() != ' ') {
        after.insert(0, 1, ' ');
    }
    const bool needs_space = !before.empty() && !words.empty() && words.front() != ' ';
    return before + (needs_space ? " " : "") + words + after;
}

std::string linux_arguments(const std::optional<std::string>& users,
                            const std::optional<RootDevice>& root) {
    std::string words = "pci=off";
    if (root) {
        words += root->partuuid ? " root=PARTUUID=" + *root->partuuid : " root=/dev/vda";
        words += root->access == RootAccess::read_only ? " ro" : " rw";
    }
    return with_words(users.value_or(default_arguments), words);
}

}  // namespace shoal::boot
