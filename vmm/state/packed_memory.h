// A compressed memory file: zstd frames of packed_frame_bytes of the memory each, one more with
// what stands behind the memory (memory_mark.h), and a table of where they lie (seek_table.h). Each
// frame has a checksum. `zstd -d` makes the memory file of it that is not compressed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/page_source.h"
#include "vmm/state/memory_mark.h"
#include "vmm/state/new_file.h"
#include "vmm/state/seek_table.h"

namespace shoal::state {

// What a fault makes this process decompress. Of a Python program's memory (96 of 256 MiB) frames
// of 16 KiB, 64 KiB and 2 MiB make a file of 33.7, 32.6 and 30.2 MB, and take 0.03, 0.11 and 2.4
// ms.
inline constexpr std::uint32_t packed_frame_bytes = 64 << 10;

// All of a memory, and its mark, into a new file. Pages that nobody has touched are not looked at.
void write_packed(const machine::GuestMemory& memory, const MemoryMark& mark, NewFile& file);

struct ZstdReader;

class PackedMemory final : public vmm::PageSource {
public:
    // Takes a file of `memory_bytes`; `path` is for errors. Throws StateError for what
    // write_packed() has not written, as far as can be told without the memory's frames.
    PackedMemory(std::string path, host::UniqueFd fd, std::uint64_t memory_bytes);
    ~PackedMemory() override;

    [[nodiscard]] const MemoryMark& mark() const noexcept { return mark_; }
    // The frames with these pages, which are within the memory, are wanted soon: the kernel reads
    // what of them is not in its cache, all together, while this process goes on.
    void expect(std::span<const std::uint32_t> pages) const;
    // The frame with that page, which is within the memory. Throws StateError with the frame's
    // number, and std::system_error.
    [[nodiscard]] vmm::Pages read(std::uint64_t offset) override;

private:
    void read_table(std::uint64_t memory_bytes);
    void check_sizes(std::uint64_t memory_bytes) const;
    [[nodiscard]] std::span<const std::byte> read_frame(std::size_t idx);
    [[noreturn]] void refuse(const std::string& why) const;

    const std::string path_;
    const host::UniqueFd fd_;
    std::vector<FrameSizes> frames_;
    std::vector<std::uint64_t> starts_;  // of the frames, in the file
    std::vector<std::byte> plain_;
    std::unique_ptr<ZstdReader> zstd_;
    MemoryMark mark_;
};

// Whether the file ends like one.
[[nodiscard]] bool is_packed(int fd);

}  // namespace shoal::state
