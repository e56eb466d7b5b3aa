// InitrdMap: files that are part of the initrd without being copied into it (`--initrd-map`), and
// page tables for them.
//
// `shoal run` leaves holes in its archive for the larger files of the host and lists them. The
// files' pages then lie in the guest's memory as the host's page cache has them: what the guest
// does not read is not read, and microVMs share it. The guest must not write there (Shoal's
// unikernel does not), and as with a program that runs on the host, such a file must not be
// truncated meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/boot/boot.h"

namespace shoal::boot {

class ImageFile;

class InitrdMap {
public:
    // Reads the list, whose numbers are decimal and whose entries end with a NUL each: "OFFSET SIZE
    // PATH" for a file, in whole pages; "copy OFFSET SIZE FROM PATH" for bytes from FROM on of a
    // file that are read there; "rights PAGE OFFSET PAGES RIGHTS" for pages of it in the
    // ready tables (devices/abi/ready_tables.h): from this page number on, what lies at this
    // offset, which a program may "r" or "x", or "f" or "fx" for the first pages of a file. "w" and
    // a number for what the program may write: copies of pages of the file that are by so many
    // nearer to its start. Throws BootError.
    explicit InitrdMap(const std::string& path);

    // Maps the files over the initrd that was loaded at `start`, and reads the copies. Throws
    // BootError when a file would reach beyond it, cannot be opened or is too short,
    // std::system_error when the host refuses.
    void apply(const machine::GuestMemory& memory, machine::Gpa start,
               std::uint64_t initrd_bytes) const;

    // Fills the tables for an initrd at `start` where the kernel's note wants them. Does without
    // when the kernel has no note, or RAM below the initrd has no room for them. Throws BootError
    // when they are more than the kernel takes, or name pages beyond the initrd.
    void fill_tables(const machine::GuestMemory& memory, const std::optional<ReadyTables>& place,
                     machine::Gpa start, std::uint64_t initrd_bytes) const;

private:
    // Pages in the tables.
    struct Run {
        std::uint64_t page = 0;
        std::uint64_t offset = 0;
        std::uint64_t count = 0;
        std::uint64_t bits = 0;        // of each entry
        std::uint64_t first_bits = 0;  // of the first one besides
    };
    struct Piece {
        std::uint64_t offset = 0;
        std::uint64_t size_bytes = 0;
        std::string path;
    };
    struct Copy {
        std::uint64_t offset = 0;
        std::uint64_t size_bytes = 0;
        std::uint64_t from = 0;
        std::string path;
    };
    [[nodiscard]] static Piece parse(const std::string& line);
    [[nodiscard]] static Copy parse_copy(const std::string& line);
    [[nodiscard]] static host::UniqueFd open(const Piece& piece);

    [[nodiscard]] static Run parse_run(const std::string& line);

    std::vector<Piece> pieces_;
    std::vector<Copy> copies_;
    std::vector<Run> runs_;
};

}  // namespace shoal::boot
