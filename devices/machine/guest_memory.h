// GuestMemory: the microVM's RAM. The only way from a guest address to host memory.
//
// RAM is one memfd unless something else was asked for (Backing). It starts at guest address 0;
// what does not fit below the hole at 3 GiB continues at 4 GiB (devices/abi/address_map.h). In the
// host it lies at a multiple of 2 MiB, as in the guest. Pages that nobody touches cost nothing.
// Thread-safe: the layout never changes after construction; the bytes are shared with the guest,
// which may change them at any time, so copy first, then check, then use the copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "devices/host/mapping.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/gpa.h"
#include "devices/machine/replaced_pages.h"
#include "devices/machine/write_log.h"

namespace shoal::machine {

enum class MemoryError {
    out_of_range,  // some of the bytes are not RAM: past the end, in the hole, or wrapping
    host_refused,  // the host did not take the pages back
};

// Where a page comes from.
enum class Backing {
    memfd,          // which others may share
    copy_of_memfd,  // of its own, since make_private(): pages that it has not written to since
    copy_of_file,   // the same of a file that others may have, too
    huge_pages,     // anonymous, by 2 MiB at a time where the host has them: nobody shares it
    others,         // anonymous, and others fill it: what nobody has touched is not zeros
};

// What may be copied to and from the guest: no pointers to chase, no padding to leak.
template <typename T>
concept GuestLayout =
    std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

// A contiguous piece of RAM, as KVM wants to hear about it.
struct RamRegion {
    Gpa start;
    std::span<std::byte> bytes;
    std::uint64_t file_offset = 0;  // within the memfd
};

class GuestMemory {
public:
    // `size_bytes` is a multiple of the page size, at least abi::min_ram_bytes.
    // Throws std::invalid_argument for a bad size and std::system_error when the host refuses.
    explicit GuestMemory(std::uint64_t size_bytes);
    // A copy of a file's first bytes, made page by page when the guest writes: whatever maps the
    // same file shares the rest. Takes the file, which nobody may change from now on. Throws as
    // above, and when the file is too short.
    GuestMemory(std::uint64_t size_bytes, host::UniqueFd file);

    // In the place of a memfd that nobody has used yet: what KVM knows of the place stays right.
    // Throws as above.
    void become_copy(host::UniqueFd file);
    void become_huge_pages();
    void become_filled_by_others();
    [[nodiscard]] Backing backing() const noexcept { return backing_; }

    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
    [[nodiscard]] std::span<const RamRegion> regions() const noexcept { return regions_; }
    // The memfd, which others may share; -1 when it has another backing.
    [[nodiscard]] int fd() const noexcept { return backing_ == Backing::memfd ? file_.get() : -1; }
    // What a page holds that nobody has written to since it became a copy: the memfd or the file;
    // -1 when there is none.
    [[nodiscard]] int content_fd() const noexcept { return file_.get(); }
    // All of it, as the file has it: without the hole.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return mapping_.bytes(); }

    // Borrows `size_bytes` of RAM that lie within one region.
    [[nodiscard]] std::expected<std::span<std::byte>, MemoryError> slice(
        Gpa at, std::uint64_t size_bytes) const noexcept;

    template <GuestLayout T>
    [[nodiscard]] std::expected<T, MemoryError> read(Gpa at) const noexcept {
        const auto bytes = slice(at, sizeof(T));
        if (!bytes) {
            return std::unexpected(bytes.error());
        }
        T value;
        std::memcpy(&value, bytes->data(), sizeof value);
        return value;
    }

    template <GuestLayout T>
    [[nodiscard]] std::expected<void, MemoryError> write(Gpa at, const T& value) const noexcept {
        return write_bytes(at, std::as_bytes(std::span{&value, 1}));
    }

    [[nodiscard]] std::expected<void, MemoryError> write_bytes(
        Gpa at, std::span<const std::byte> source) const noexcept;

    // From now on writes go to copies of pages, at the same addresses: the memfd keeps what it
    // holds at this moment. Takes a microsecond for a MiB. Another backing stays as it is. Nobody
    // may touch the memory meanwhile. Returns the mapping of before, whose end takes the kernel a
    // while: let it end where nobody waits. Throws std::system_error; nothing has changed then.
    [[nodiscard]] host::Mapping make_private();
    // Of a copy of its own memfd: adds the pages that were discarded since it became one, or since
    // the last call: the memfd has them still. One thread at a time.
    void take_discarded(std::span<std::uint64_t> bitmap) const noexcept;
    // The same: gives the host these whole pages of the memfd. Only what this memory has copies of,
    // and nobody else maps.
    [[nodiscard]] std::expected<void, MemoryError> free_original(
        std::uint64_t offset, std::uint64_t size_bytes) const noexcept;

    // Puts the first `size_bytes` of a file in place of RAM that lies within one region; all in
    // whole pages. No copy, and read-only: a write by the guest ends it. The file must not become
    // shorter. Before the guest runs. Throws std::system_error.
    void map_file(Gpa at, int fd, std::uint64_t size_bytes) const;

    // Gives the host the whole pages of a range that lies within one region: they read as zeros
    // until somebody writes to them, and cost nothing until then. A copy gives no more
    // away when it is in ReplacedPages::max_pieces pieces. One thread at a time.
    [[nodiscard]] std::expected<void, MemoryError> discard(Gpa at,
                                                           std::uint64_t size_bytes) const noexcept;
    // `bytes` is what slice() returned, or a part of it.
    [[nodiscard]] std::expected<void, MemoryError> discard(
        std::span<std::byte> bytes) const noexcept;

    // What this process writes to. write(), write_bytes() and discard() add to it by themselves;
    // who writes to a slice tells afterwards. `bytes` is what slice() returned, or a part of it.
    [[nodiscard]] WriteLog& write_log() const noexcept { return *write_log_; }
    void log_write(std::span<const std::byte> bytes) const noexcept;

private:
    void add_regions();
    void become(Backing backing, host::UniqueFd file);
    [[nodiscard]] bool release(std::uint64_t from, std::uint64_t end) const noexcept;
    [[nodiscard]] bool replace(std::uint64_t from, std::uint64_t end) const noexcept;
    [[nodiscard]] std::uint64_t offset_of(std::span<const std::byte> bytes) const noexcept;

    std::uint64_t size_bytes_;
    Backing backing_;
    host::UniqueFd file_;
    host::Mapping mapping_;
    std::vector<RamRegion> regions_;
    std::unique_ptr<WriteLog> discarded_;      // since it is a copy of its memfd
    std::unique_ptr<ReplacedPages> replaced_;  // of what discards put in place
    std::unique_ptr<WriteLog> write_log_ = std::make_unique<WriteLog>(size_bytes_);
};

}  // namespace shoal::machine
