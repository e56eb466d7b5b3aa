// AddressSpace: the program's memory. Areas say what should be where; pages follow on demand.
//
// Anonymous memory comes in 2 MiB pages where it can: an entry costs a nub call, and RAM that is
// mapped but not touched costs the host nothing. Files of the initramfs are mapped where they lie
// and copied when written.
// One per process, or shared by two between vfork and execve. All functions but the first few are
// about the space that is selected. One vCPU: no locks. User addresses are below user_end
// (page_table.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guest/kernel/errno.h"
#include "guest/kernel/fs/directory.h"
#include "guest/kernel/page_table.h"

namespace shoal::guest {

// As PROT_* of Linux.
inline constexpr unsigned prot_none = 0;
inline constexpr unsigned prot_read = 1;
inline constexpr unsigned prot_write = 2;
inline constexpr unsigned prot_execute = 4;

enum class Access { read, write, execute };

enum class AreaKind { mapping, heap, stack, stubs };

struct Area {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    unsigned protection = prot_none;
    AreaKind kind = AreaKind::mapping;
    EntryRef file;                  // empty: anonymous
    std::uint64_t file_offset = 0;  // of `start`
    bool is_ready = false;          // its pages are as ready tables had them
    bool is_shared = false;         // MAP_SHARED: it shows what the file is now, read-only
};

enum class Placement {
    anywhere,   // the address is a hint
    replace,    // exactly there, instead of what is there (MAP_FIXED)
    exclusive,  // exactly there, if nothing is (MAP_FIXED_NOREPLACE)
};

struct MapRequest {
    std::uint64_t address = 0;
    std::uint64_t size_bytes = 0;
    unsigned protection = prot_none;
    Placement placement = Placement::anywhere;
    EntryRef file;
    std::uint64_t file_offset = 0;
    bool is_stack = false;   // used from its end on
    bool is_shared = false;  // of a file
};

enum class FaultResult { resolved, bad_address, past_end_of_file, out_of_memory };

class AddressSpace {
public:
    // The areas of heap and stack, as the nub's tables have them for the first one. Mappings start
    // at a random page. At most as many spaces as the nub has: is_sound() tells.
    AddressSpace();
    // Gives all pages back.
    ~AddressSpace();
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    // Whether there were tables for it.
    [[nodiscard]] bool is_sound() const { return number_ < NUB_SPACES; }
    // Makes it the one that the CPU uses.
    void select() const;
    // fork: makes `child`, which is fresh, like this one, which is selected before and after. Of
    // the stack only what lies above `stack_pointer`. Errno::nosys when it is too large for a copy,
    // Errno::nomem.
    [[nodiscard]] Result<void> copy_to(AddressSpace& child, std::uint64_t stack_pointer);

    // Addresses and offsets are whole pages, or the call fails with EINVAL. A page of an area that
    // is writable and executable is one of both at a time.
    [[nodiscard]] Result<std::uint64_t> map(const MapRequest& request);
    // Where `size_bytes` from the start of a file, which hold all that it has of ready tables
    // (ready_tables.h), find these tables linked: from `from` on. 0 when it has none. The place is
    // to be mapped next. Files that are mapped from their start anywhere get such a place by
    // themselves.
    [[nodiscard]] std::uint64_t link_ready(const EntryRef& file, std::uint64_t size_bytes,
                                           std::uint64_t from);
    [[nodiscard]] Result<void> unmap(std::uint64_t address, std::uint64_t size_bytes);
    [[nodiscard]] Result<void> protect(std::uint64_t address, std::uint64_t size_bytes,
                                       unsigned protection);
    // mremap: with may_move == Placement::anywhere the mapping may get another address.
    [[nodiscard]] Result<std::uint64_t> remap(std::uint64_t address, std::uint64_t old_size,
                                              std::uint64_t new_size, Placement placement,
                                              std::uint64_t new_address);
    // MADV_DONTNEED: private memory reads as at first again.
    [[nodiscard]] Result<void> discard(std::uint64_t address, std::uint64_t size_bytes);
    // Returns the break after the call; unchanged if it cannot be moved there.
    std::uint64_t set_break(std::uint64_t address);

    // Reads what resolve() wants there from a disk, while other threads run.
    void bring_in(std::uint64_t address);
    // Makes the page that holds `address` accessible.
    [[nodiscard]] FaultResult resolve(std::uint64_t address, Access access);
    // Pages of its shared mappings of the file may have become others, or are about to go.
    void forget_shared_pages(const Inode& file);
    // Makes all of the bytes accessible; false when some may not be accessed so.
    [[nodiscard]] bool resolve_all(std::uint64_t address, std::uint64_t size_bytes, Access access);
    // Maps pages of a file's area ahead of use: the first of them, and where the program may write
    // its own copies, since it will.
    void prefetch(std::uint64_t address, std::uint64_t size_bytes);

    // For the kernel's changes to the program's code (patch/syscall_patcher.h).
    // The bytes at `address`, up to the end of the page, as the kernel may write them: of a file's
    // executable page, which becomes the program's own. nullptr when it is no such page.
    [[nodiscard]] std::byte* own_text(std::uint64_t address);
    // Writes code between stubs_start and stubs_end. False when that place is not free.
    [[nodiscard]] bool write_stub(std::uint64_t address, std::span<const std::byte> code);

    [[nodiscard]] const std::vector<Area>& areas() const { return areas_; }
    // What is mapped and present.
    [[nodiscard]] std::uint64_t resident_bytes() const;

    // AT_... pairs as the initial stack has them, for /proc/self/auxv.
    void set_auxiliary_vector(std::span<const std::byte> bytes) {
        auxiliary_vector_.assign(bytes.begin(), bytes.end());
    }
    [[nodiscard]] std::span<const std::byte> auxiliary_vector() const { return auxiliary_vector_; }

private:
    [[nodiscard]] Area* find_area(std::uint64_t address);
    [[nodiscard]] std::uint64_t find_gap(std::uint64_t size_bytes, std::uint64_t alignment,
                                         std::uint64_t from) const;
    [[nodiscard]] std::uint64_t find_ready_place(const MapRequest& request,
                                                 std::uint64_t size_bytes);
    [[nodiscard]] const Area* find_ready(const MapRequest& request, std::uint64_t end);
    void release_unlike(const Area& old, const MapRequest& request, std::uint64_t end);
    void forget(std::uint64_t start, std::uint64_t end);
    [[nodiscard]] bool is_free(std::uint64_t start, std::uint64_t end) const;
    [[nodiscard]] bool is_covered(std::uint64_t start, std::uint64_t end) const;
    [[nodiscard]] std::ptrdiff_t position_of(std::uint64_t start) const;
    void split_areas_at(std::uint64_t address);
    void insert(Area area);
    void remove(std::uint64_t start, std::uint64_t end);

    // Of all in the 2 MiB from `block` on.
    [[nodiscard]] bool is_alone(const Area& area, std::uint64_t block) const;
    FaultResult resolve_anonymous(const Area& area, std::uint64_t page);
    FaultResult share_page(const Area& area, std::uint64_t page);
    FaultResult resolve_file(const Area& area, std::uint64_t page);
    FaultResult turn_page(const Area& area, std::uint64_t page, Access access);
    FaultResult borrow_pages(const Area& area, std::uint64_t page, std::uint64_t end);
    FaultResult make_own(const Area& area, std::uint64_t page);
    FaultResult make_own(const Area& area, std::uint64_t page, std::uint64_t start,
                         std::uint64_t end);
    FaultResult copy_pages(const Area& area, std::uint64_t first, std::size_t wanted);
    [[nodiscard]] std::uint64_t copied_end(const Area& area) const;
    [[nodiscard]] bool reserve_stubs();
    [[nodiscard]] std::byte* stub_page(std::uint64_t page);

    unsigned number_ = NUB_SPACES;
    std::vector<Area> areas_;  // by address, disjoint
    std::vector<std::byte> auxiliary_vector_;
    std::uint64_t mappings_start_;
    std::uint64_t break_ = NUB_HEAP;
    bool has_stubs_ = false;
};

}  // namespace shoal::guest
