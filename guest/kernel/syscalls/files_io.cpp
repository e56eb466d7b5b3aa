// System calls that read and write at a position.
#include "guest/kernel/fs/block_device.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace files {

Result<std::size_t> try_write_file(const FileContext& context, OpenFile& file, Source& from,
                                   std::size_t count, std::optional<std::uint64_t> offset) {
    Inode& inode = file.inode();
    std::uint64_t at = offset ? *offset : file.position;
    if (file.has(open_flags::append)) {
        at = inode.size();
    }
    const auto written = inode.write(file, at, from, count);
    if (written && *written != 0) {
        if (!offset && inode.seek() == Seek::allowed) {
            file.position = at + *written;
        }
        touch(context, inode);
    }
    return written;
}

}  // namespace files

namespace {

using Offset = std::optional<std::uint64_t>;

Result<std::size_t> read_at(OpenFile& file, Destination& to, std::size_t count,
                            const Offset& offset) {
    const std::uint64_t at = offset ? *offset : file.position;
    const auto done = retry_until_ready(file, Transfer::read,
                                        [&] { return file.inode().read(file, at, to, count); });
    if (done && !offset && file.inode().seek() == Seek::allowed) {
        file.position += *done;
    }
    return done;
}

// The position is the file's: who moves it has its turn until it is moved.
bool moves_position(OpenFile& file, const Offset& offset) {
    const FileType type = file.inode().type();
    return !offset && (type == FileType::regular || type == FileType::block_device);
}

Result<std::size_t> read_file(OpenFile& file, Destination& to, std::size_t count,
                              const Offset& offset) {
    if (!moves_position(file, offset)) {
        return read_at(file, to, count, offset);
    }
    const Turn::Holder hold{file.turn};
    return read_at(file, to, count, offset);
}

// Waits, unless the file is O_NONBLOCK: also for the rest, where a file takes what it gets in
// parts.
Result<std::size_t> write_at(const FileContext& context, OpenFile& file, Source& from,
                             std::size_t count, const Offset& offset) {
    std::size_t done = 0;
    do {
        const auto written = retry_until_ready(file, Transfer::write, [&] {
            return try_write_file(context, file, from, count - done, offset);
        });
        if (!written) {
            return done == 0 ? written : Result<std::size_t>{done};
        }
        done += *written;
        if (*written == 0) {
            break;
        }
    } while (done < count && writes_go_on(file));
    return done;
}

Result<std::size_t> write_file(const FileContext& context, OpenFile& file, Source& from,
                               std::size_t count, const Offset& offset) {
    if (!moves_position(file, offset)) {
        return write_at(context, file, from, count, offset);
    }
    const Turn::Holder hold{file.turn};
    return write_at(context, file, from, count, offset);
}

// The checks that come before any transfer.
Result<OpenFileRef> file_for(FileContext& context, std::uint64_t descriptor, const Offset& offset) {
    if (offset && static_cast<std::int64_t>(*offset) < 0) {
        return fail(Errno::inval);
    }
    OpenFileRef file{context.table.find(descriptor)};
    if (!file || file->has(open_flags::path)) {
        return fail(Errno::badf);
    }
    if (offset && file->inode().seek() == Seek::refused) {
        return fail(Errno::spipe);
    }
    return file;
}

std::int64_t read_ranges(FileContext& context, std::uint64_t descriptor, const UserRanges& ranges,
                         const Offset& offset) {
    const auto file = file_for(context, descriptor, offset);
    if (!file || !(*file)->may_read()) {
        return negative(file ? Errno::badf : file.error());
    }
    UserDestination to{ranges};
    return result_of(read_file(**file, to, std::min(ranges.total(), transfer_size_max), offset));
}

std::int64_t write_ranges(FileContext& context, std::uint64_t descriptor, const UserRanges& ranges,
                          const Offset& offset) {
    const auto file = file_for(context, descriptor, offset);
    if (!file || !(*file)->may_write()) {
        return negative(file ? Errno::badf : file.error());
    }
    UserSource from{ranges};
    return result_of(
        write_file(context, **file, from, std::min(ranges.total(), transfer_size_max), offset));
}

using TransferRanges = std::int64_t(FileContext&, std::uint64_t, const UserRanges&, const Offset&);

std::int64_t transfer_vector(FileContext& context, const CallArguments& args, const Offset& offset,
                             TransferRanges& transfer) {
    if (context.table.find(args[0]) == nullptr) {
        return negative(Errno::badf);
    }
    const auto ranges = UserRanges::of_vector(args[1], args[2]);
    return ranges ? transfer(context, args[0], *ranges, offset) : negative(ranges.error());
}

// Flags that ask for what holds anyway: RWF_HIPRI, RWF_DSYNC, RWF_SYNC.
constexpr std::uint32_t harmless_flags = 0x7;

std::int64_t transfer_vector_2(FileContext& context, const CallArguments& args,
                               TransferRanges& transfer) {
    if ((low32(args[5]) & ~harmless_flags) != 0) {
        return negative(Errno::opnotsupp);
    }
    const bool at_position = static_cast<std::int64_t>(args[3]) == -1;
    return transfer_vector(context, args, at_position ? Offset{} : Offset{args[3]}, transfer);
}

}  // namespace

std::int64_t sys_read(FileContext& context, const CallArguments& args) {
    return read_ranges(context, args[0], {args[1], args[2]}, {});
}

std::int64_t sys_write(FileContext& context, const CallArguments& args) {
    return write_ranges(context, args[0], {args[1], args[2]}, {});
}

std::int64_t sys_pread64(FileContext& context, const CallArguments& args) {
    return read_ranges(context, args[0], {args[1], args[2]}, args[3]);
}

std::int64_t sys_pwrite64(FileContext& context, const CallArguments& args) {
    return write_ranges(context, args[0], {args[1], args[2]}, args[3]);
}

std::int64_t sys_readv(FileContext& context, const CallArguments& args) {
    return transfer_vector(context, args, {}, read_ranges);
}

std::int64_t sys_writev(FileContext& context, const CallArguments& args) {
    return transfer_vector(context, args, {}, write_ranges);
}

std::int64_t sys_preadv(FileContext& context, const CallArguments& args) {
    return transfer_vector(context, args, args[3], read_ranges);
}

std::int64_t sys_pwritev(FileContext& context, const CallArguments& args) {
    return transfer_vector(context, args, args[3], write_ranges);
}

std::int64_t sys_preadv2(FileContext& context, const CallArguments& args) {
    return transfer_vector_2(context, args, read_ranges);
}

std::int64_t sys_pwritev2(FileContext& context, const CallArguments& args) {
    return transfer_vector_2(context, args, write_ranges);
}

namespace {

// Disks have a size here and nowhere else.
std::int64_t seekable_size(Inode& inode) {
    const BlockDevice* disk = inode.as_disk();
    return static_cast<std::int64_t>(disk != nullptr ? disk->size_bytes() : inode.size());
}

Result<std::int64_t> seek_target(const OpenFile& file, std::int64_t offset, std::uint32_t whence) {
    Inode& inode = file.inode();
    const std::int64_t size = seekable_size(inode);
    std::int64_t base = 0;
    switch (whence) {
        case 0:  // SEEK_SET
            break;
        case 1:  // SEEK_CUR
            base = static_cast<std::int64_t>(file.position);
            break;
        case 2:  // SEEK_END
            base = size;
            break;
        case 3:    // SEEK_DATA
        case 4: {  // SEEK_HOLE
            if (offset < 0 || offset >= size) {
                return fail(Errno::nxio);
            }
            const auto at = static_cast<std::uint64_t>(offset);
            const std::uint64_t found = whence == 3 ? inode.next_data(at) : inode.next_hole(at);
            if (whence == 3 && found >= static_cast<std::uint64_t>(size)) {
                return fail(Errno::nxio);
            }
            return static_cast<std::int64_t>(found);
        }
        default:
            return fail(Errno::inval);
    }
    std::int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target)) {
        return fail(Errno::overflow);
    }
    return target < 0 ? fail(Errno::inval) : Result<std::int64_t>{target};
}

}  // namespace

std::int64_t sys_lseek(FileContext& context, const CallArguments& args) {
    OpenFile* file = context.table.find(args[0]);
    if (file == nullptr || file->has(open_flags::path)) {
        return negative(Errno::badf);
    }
    if (file->inode().seek() == Seek::refused) {
        return negative(Errno::spipe);
    }
    if (file->inode().type() == FileType::character_device) {
        return 0;
    }
    const auto target = seek_target(*file, static_cast<std::int64_t>(args[1]), low32(args[2]));
    if (target) {
        file->position = static_cast<std::uint64_t>(*target);
    }
    return result_of(target);
}

}  // namespace shoal::guest
