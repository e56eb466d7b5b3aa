// InitrdMap: files that are part of the initrd without being copied into it (`--initrd-map`).
//
// `shoal run` leaves holes in its archive for the larger files of the host and lists them. The
// files' pages then lie in the guest's memory as the host's page cache has them: what the guest
// does not read is not read, and microVMs share it. The guest must not write there (Shoal's
// unikernel does not), and as with a program that runs on the host, such a file must not be
// truncated meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"

namespace shoal::boot {

class ImageFile;

class InitrdMap {
public:
    // Reads the list: "OFFSET SIZE PATH" for each file, in decimal and whole pages, each ended by a
    // NUL. Throws BootError.
    explicit InitrdMap(const std::string& path);

    // Maps the files over the initrd that was loaded at `start`. Throws BootError when a file would
    // reach beyond it, cannot be opened or is too short, std::system_error when the host refuses.
    void apply(const machine::GuestMemory& memory, machine::Gpa start,
               std::uint64_t initrd_bytes) const;

private:
    struct Piece {
        std::uint64_t offset = 0;
        std::uint64_t size_bytes = 0;
        std::string path;
    };
    [[nodiscard]] static Piece parse(const std::string& line);
    [[nodiscard]] static host::UniqueFd open(const Piece& piece);

    std::vector<Piece> pieces_;
};

}  // namespace shoal::boot
