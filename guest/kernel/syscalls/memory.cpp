// System calls on the program's memory.
#include <linux/mman.h>

#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/syscalls/files.h"

namespace shoal::guest {
namespace {

std::int64_t result_of(const Result<std::uint64_t>& result) {
    return result ? static_cast<std::int64_t>(*result) : negative(result.error());
}

std::int64_t result_of(const Result<void>& result) {
    return result ? 0 : negative(result.error());
}

// What a mapping of a file may be. Shared ones see what is written to the file; writable ones would
// have to mark pages of disks' files as written: nobody has needed them yet.
Result<EntryRef> mappable_file(const Process& process, std::uint64_t descriptor,
                               std::uint64_t protection, std::uint64_t flags) {
    const OpenFile* file = process.files.table.find(descriptor);
    if (file == nullptr) {
        return fail(Errno::badf);
    }
    if (!file->may_read()) {
        return fail(Errno::acces);
    }
    const bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    if (file->inode().type() != FileType::regular || (shared && (protection & prot_write) != 0)) {
        return fail(Errno::nodev);
    }
    return file->entry_ref();
}

}  // namespace

std::int64_t sys_brk(Process& process, const Arguments& args) {
    return static_cast<std::int64_t>(process.memory->set_break(args[0]));
}

std::int64_t sys_mmap(Process& process, const Arguments& args) {
    const auto [address, size, protection, flags, descriptor, offset] = args;
    const std::uint64_t type = flags & MAP_TYPE;
    if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE) {
        return negative(Errno::inval);
    }
    MapRequest request{address, size, static_cast<unsigned>(protection) & 7, Placement::anywhere,
                       {},      0};
    if ((flags & MAP_FIXED_NOREPLACE) != 0) {
        request.placement = Placement::exclusive;
    } else if ((flags & MAP_FIXED) != 0) {
        request.placement = Placement::replace;
    }
    if ((flags & MAP_ANONYMOUS) == 0) {
        const auto file = mappable_file(process, descriptor, protection, flags);
        if (!file) {
            return negative(file.error());
        }
        request.file = *file;
        request.is_shared = type != MAP_PRIVATE;
        request.file_offset = offset;
    }
    request.is_stack = (flags & MAP_STACK) != 0;
    const auto mapped = process.memory->map(request);
    if (mapped && request.file && (flags & MAP_TYPE) == MAP_PRIVATE &&
        (request.protection & prot_write) != 0) {
        process.memory->prefetch(*mapped, size);  // a library's data, which its loader will write
    }
    return result_of(mapped);
}

std::int64_t sys_munmap(Process& process, const Arguments& args) {
    return result_of(process.memory->unmap(args[0], args[1]));
}

std::int64_t sys_mprotect(Process& process, const Arguments& args) {
    return result_of(process.memory->protect(args[0], args[1], static_cast<unsigned>(args[2])));
}

std::int64_t sys_mremap(Process& process, const Arguments& args) {
    const auto [address, old_size, new_size, flags, new_address, unused] = args;
    Placement placement = Placement::exclusive;
    if ((flags & MREMAP_FIXED) != 0) {
        placement = Placement::replace;
    } else if ((flags & MREMAP_MAYMOVE) != 0) {
        placement = Placement::anywhere;
    }
    const std::uint64_t target = placement == Placement::replace ? new_address : 0;
    return result_of(process.memory->remap(address, old_size, new_size, placement, target));
}

std::int64_t sys_madvise(Process& process, const Arguments& args) {
    const auto [address, size, advice, unused1, unused2, unused3] = args;
    switch (advice) {
        case MADV_DONTNEED:
        case MADV_FREE:
            return result_of(process.memory->discard(address, size));
        case MADV_NORMAL:
        case MADV_RANDOM:
        case MADV_SEQUENTIAL:
        case MADV_WILLNEED:
        case MADV_DONTFORK:
        case MADV_DOFORK:
        case MADV_MERGEABLE:
        case MADV_UNMERGEABLE:
        case MADV_HUGEPAGE:
        case MADV_NOHUGEPAGE:
        case MADV_DONTDUMP:
        case MADV_DODUMP:
        case MADV_KEEPONFORK:
        case MADV_COLD:
        case MADV_PAGEOUT:
            return address % page_size == 0 ? 0 : negative(Errno::inval);
    }
    return negative(Errno::inval);  // also what programs rely on: MADV_WIPEONFORK, MADV_REMOVE
}

std::int64_t sys_msync(Process& process, const Arguments& args) {
    return process.memory->resolve_all(args[0], args[1], Access::read) ? 0 : negative(Errno::nomem);
}

}  // namespace shoal::guest
