// An image: a file that microVMs begin with. Mostly the root file system, with the program that it
// is for; or a kernel, or the initramfs of one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shoal::model {

enum class ImageKind { root, kernel, initramfs };

// Of a kernel for which nobody says another one. Linux resets, also after a panic, by a triple
// fault: that is no good end, as a reset by the keyboard controller (reboot=k) is for a VMM with an
// API.
inline constexpr const char* default_cmdline = "console=ttyS0 reboot=t panic=-1";

// What is asked for.
struct ImageSpec {
    std::string name;
    std::string from;     // where it is imported from; image/image_source.h
    std::string cmdline;  // of a kernel; empty: the default one
};

// What is there. Never changed.
struct Image {
    std::string name;
    std::string digest;                    // SHA-256 of its file, in hexadecimal digits
    std::string from;                      // as it was asked for
    std::vector<std::string> entrypoint;   // the words before the arguments
    std::vector<std::string> arguments;    // where a microVM has none
    std::vector<std::string> environment;  // KEY=VALUE; a microVM's own replace these by key
    std::string working_directory;         // absolute; empty: /
    std::string user;              // for whom it is made, and who its program is not; empty: root
    std::uint64_t size_bytes = 0;  // on the disk
    ImageKind kind = ImageKind::root;
    std::string cmdline;  // of a kernel, for microVMs that have none
};

// What a microVM of the image runs, the program first. Empty: nothing says.
[[nodiscard]] inline std::vector<std::string> command_of(
    const Image& image, const std::vector<std::string>& arguments) {
    std::vector<std::string> words = image.entrypoint;
    const std::vector<std::string>& rest = arguments.empty() ? image.arguments : arguments;
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
}

// What its copies are called where templates' copies are, too (/copies/HOST/NAME). No template can
// be called so.
[[nodiscard]] inline std::string copy_name_of_image(const std::string& name) {
    return "image:" + name;
}

// An OCI image's configuration (OCI Image Specification 1.0, "config"), as far as it is used.
struct OciDefaults {
    std::optional<std::vector<std::string>> entrypoint;
    std::optional<std::vector<std::string>> arguments;
    std::optional<std::vector<std::string>> environment;
    std::optional<std::string> working_directory;
    std::optional<std::string> user;  // USER[:GROUP], by names or numbers
};
struct OciConfig {
    std::string architecture;
    std::string os;
    std::optional<OciDefaults> config;
};

}  // namespace shoal::model
