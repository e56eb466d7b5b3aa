// The list of files, and their places in guest memory.
#include "vmm/boot/initrd_map.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "devices/abi/address_map.h"
#include "devices/abi/ready_tables.h"
#include "devices/host/check.h"
#include "vmm/boot/image_file.h"

namespace shoal::boot {
namespace {

namespace ready = abi::ready_tables;

constexpr std::uint64_t list_bytes_max = 64ULL << 20;
constexpr std::string_view rights_word = "rights ";
constexpr std::string_view copy_word = "copy ";
constexpr std::uint64_t large_page_bytes = 2ULL << 20;
constexpr std::uint64_t pages_max = 1ULL << 20;  // in all tables: 4 GiB, more than an initrd has

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
        const std::string line = text.substr(start, end - start);
        if (line.starts_with(rights_word)) {
            runs_.push_back(parse_run(line));
        } else if (line.starts_with(copy_word)) {
            copies_.push_back(parse_copy(line));
        } else {
            pieces_.push_back(parse(line));
        }
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

InitrdMap::Copy InitrdMap::parse_copy(const std::string& line) {
    Copy copy;
    std::string_view rest = std::string_view{line}.substr(copy_word.size());
    if (!take_number(rest, copy.offset) || !take_number(rest, copy.size_bytes) ||
        !take_number(rest, copy.from)) {
        throw BootError("initrd map: \"" + line + "\" is not copy OFFSET SIZE FROM PATH");
    }
    copy.path = rest;
    return copy;
}

InitrdMap::Run InitrdMap::parse_run(const std::string& line) {
    Run run;
    std::string_view rest = std::string_view{line}.substr(rights_word.size());
    bool is_sound = take_number(rest, run.page) && take_number(rest, run.offset) &&
                    take_number(rest, run.count) && run.page < pages_max &&
                    run.offset % abi::page_size == 0 && run.count - 1 < pages_max;
    const std::string_view rights = rest;
    std::uint64_t shift = 0;
    const bool is_writable = rights.starts_with('w');
    if (is_writable) {
        const auto [end, error] =
            std::from_chars(rights.data() + 1, rights.data() + rights.size(), shift);
        is_sound &= error == std::errc{} && end == rights.data() + rights.size() &&
                    shift <= ready::shift_max;
    } else {
        is_sound &= rights == "r" || rights == "x" || rights == "f" || rights == "fx";
    }
    if (!is_sound) {
        throw BootError("initrd map: \"" + line + "\" is not rights PAGE OFFSET PAGES RIGHTS");
    }
    run.bits = ready::entry_read | (rights.ends_with('x') ? 0 : ready::entry_no_execute) |
               (is_writable ? ready::entry_write | ready::entry_owned : 0) |
               shift << ready::shift_bit;
    run.first_bits = rights.starts_with('f') ? ready::entry_file_start : 0;
    return run;
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
    const auto check_place = [initrd_bytes](const auto& what) {
        if (what.offset > initrd_bytes || what.size_bytes > initrd_bytes - what.offset) {
            throw BootError("initrd map: " + std::to_string(what.size_bytes) + " bytes at " +
                            std::to_string(what.offset) + " reach beyond the initrd's " +
                            std::to_string(initrd_bytes));
        }
    };
    for (const Copy& copy : copies_) {
        check_place(copy);
        const auto into = memory.slice(machine::Gpa{start.value() + copy.offset}, copy.size_bytes);
        SHOAL_CHECK(into);
        ImageFile{"initrd map", copy.path}.read(copy.from, *into);
    }
    for (const Piece& piece : pieces_) {
        check_place(piece);
        // One after the other: there may be more files than descriptors.
        const host::UniqueFd file = open(piece);
        memory.map_file(machine::Gpa{start.value() + piece.offset}, file.get(), piece.size_bytes);
    }
}

void InitrdMap::fill_tables(const machine::GuestMemory& memory,
                            const std::optional<ReadyTables>& place, machine::Gpa start,
                            std::uint64_t initrd_bytes) const {
    std::uint64_t pages = 0;
    for (const Run& run : runs_) {
        pages = std::max(pages, run.page + run.count);
        const std::uint64_t size_bytes = run.count * abi::page_size;
        if (run.offset > initrd_bytes || size_bytes > initrd_bytes - run.offset) {
            throw BootError("initrd map: page tables for " + std::to_string(run.count) +
                            " pages at " + std::to_string(run.offset) +
                            " reach beyond the initrd's " + std::to_string(initrd_bytes) +
                            " bytes");
        }
    }
    if (!place || pages == 0) {
        return;
    }
    const std::uint64_t bytes =
        (pages * sizeof(std::uint64_t) + ready::granule_bytes - 1) & ~(ready::granule_bytes - 1);
    if (bytes > place->most_bytes) {
        throw BootError("initrd map: page tables of " + std::to_string(bytes) +
                        " bytes; the kernel takes " + std::to_string(place->most_bytes));
    }
    const std::uint64_t end = place->start.value() + bytes;
    // In whole large pages, as the kernel divides its memory.
    if ((end + large_page_bytes - 1) / large_page_bytes * large_page_bytes > start.value()) {
        return;
    }
    const auto table = memory.slice(place->start, bytes);
    if (!table) {
        return;
    }
    for (const Run& run : runs_) {
        for (std::uint64_t i = 0; i < run.count; ++i) {
            const std::uint64_t entry = (start.value() + run.offset + i * abi::page_size) |
                                        run.bits | (i == 0 ? run.first_bits : 0);
            std::memcpy(table->data() + (run.page + i) * sizeof entry, &entry, sizeof entry);
        }
    }
    SHOAL_CHECK(memory.write(place->end_at, end));
}

}  // namespace shoal::boot
