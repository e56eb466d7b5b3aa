// The list of files, and their places in guest memory.
#include "vmm/boot/initrd_map.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "devices/abi/address_map.h"
#include "vmm/boot/image_file.h"

namespace shoal::boot {
namespace {

constexpr std::uint64_t list_bytes_max = 64ULL << 20;

// Takes a number and the blank behind it from the front of `text`.
bool take_number(std::string_view& text, std::uint64_t& number) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || rest == text.data() + text.size() || *rest != ' ') {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()) + 1);
    return true;
}

}  // namespace

InitrdMap::InitrdMap(const std::string& path) {
    const ImageFile list{"initrd map", path};
    if (list.size_bytes() > list_bytes_max) {
        list.fail("has " + std::to_string(list.size_bytes()) + " bytes: the most is " +
                  std::to_string(list_bytes_max));
    }
    std::string text(list.size_bytes(), '\0');
    list.read(0, std::as_writable_bytes(std::span{text}));
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find('\0', start), text.size());
        pieces_.push_back(parse(text.substr(start, end - start)));
        start = end + 1;
    }
}

InitrdMap::Piece InitrdMap::parse(const std::string& line) {
    Piece piece;
    std::string_view rest = line;
    if (!take_number(rest, piece.offset) || !take_number(rest, piece.size_bytes) ||
        piece.offset % abi::page_size != 0 || piece.size_bytes % abi::page_size != 0 ||
        piece.size_bytes == 0) {
        throw BootError("initrd map: \"" + line + "\" is not OFFSET SIZE PATH in whole pages");
    }
    piece.path = rest;
    return piece;
}

host::UniqueFd InitrdMap::open(const Piece& piece) {
    host::UniqueFd file{::open(piece.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) < 0) {
        throw BootError("initrd map: " + piece.path + " cannot be opened: " + std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) < piece.size_bytes) {
        throw BootError("initrd map: " + piece.path + " has " + std::to_string(status.st_size) +
                        " bytes, " + std::to_string(piece.size_bytes) + " are to be mapped");
    }
    return file;
}

void InitrdMap::apply(const machine::GuestMemory& memory, machine::Gpa start,
                      std::uint64_t initrd_bytes) const {
    for (const Piece& piece : pieces_) {
        if (piece.offset > initrd_bytes || piece.size_bytes > initrd_bytes - piece.offset) {
            throw BootError("initrd map: " + std::to_string(piece.size_bytes) + " bytes at " +
                            std::to_string(piece.offset) + " reach beyond the initrd's " +
                            std::to_string(initrd_bytes));
        }
        // One after the other: there may be more files than descriptors.
        const host::UniqueFd file = open(piece);
        memory.map_file(machine::Gpa{start.value() + piece.offset}, file.get(), piece.size_bytes);
    }
}

}  // namespace shoal::boot
