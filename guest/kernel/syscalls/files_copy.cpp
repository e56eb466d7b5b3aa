// sendfile and copy_file_range: from file to file without a stop in the program's memory.
#include "guest/kernel/syscalls/files_position.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

// Writes what it is given to a file, and knows how much of it the file took. Never waits, since the
// bytes are another file's own.
class FileDestination final : public Destination {
public:
    FileDestination(FileContext& context, OpenFile& file, std::optional<std::uint64_t> offset)
        : context_{context}, file_{file}, offset_{offset} {}

    bool put(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            SpanSource source{bytes};
            const auto written = try_write_file(context_, file_, source, bytes.size(), offset_);
            if (!written) {
                error_ = written.error();
                return false;
            }
            bytes = bytes.subspan(*written);
            taken_ += *written;
            if (offset_) {
                *offset_ += *written;
            }
            if (*written == 0) {
                return false;
            }
        }
        return true;
    }
    bool put_zeros(std::size_t count) override {
        static constexpr std::array<std::byte, 512> zeros{};
        while (count > 0) {
            const auto piece = std::span{zeros}.first(std::min(count, zeros.size()));
            if (!put(piece)) {
                return false;
            }
            count -= piece.size();
        }
        return true;
    }
    [[nodiscard]] std::size_t taken() const { return taken_; }
    [[nodiscard]] Errno error() const { return error_; }

private:
    FileContext& context_;
    OpenFile& file_;
    std::optional<std::uint64_t> offset_;
    std::size_t taken_ = 0;
    Errno error_ = Errno::io;
};

std::int64_t finish(OpenFile& file, Position position, const FileDestination& to,
                    const Result<std::size_t>& done) {
    if (to.taken() == 0) {
        return done && *done == 0 ? 0 : negative(to.error());
    }
    position.value += to.taken();
    return store_position(file, position) ? static_cast<std::int64_t>(to.taken())
                                          : negative(Errno::fault);
}

struct Ends {
    OpenFileRef from;
    OpenFileRef to;
};

Result<Ends> find_ends(FileContext& context, std::uint64_t from, std::uint64_t to) {
    Ends ends{OpenFileRef{context.table.find(from)}, OpenFileRef{context.table.find(to)}};
    const bool is_usable = ends.from && ends.to && ends.from->may_read() && ends.to->may_write();
    return is_usable ? Result<Ends>{std::move(ends)} : fail(Errno::badf);
}

// What the target takes at once.
Result<std::size_t> send_some(FileContext& context, const Ends& ends, std::uint64_t offset,
                              std::size_t count) {
    FileDestination destination{context, *ends.to, {}};
    const auto done = ends.from->inode().read(*ends.from, offset, destination, count);
    const bool is_at_end = done && *done == 0;
    return destination.taken() != 0 || is_at_end ? Result<std::size_t>{destination.taken()}
                                                 : fail(destination.error());
}

bool overlap(std::uint64_t a, std::uint64_t b, std::size_t size) {
    return a < b ? b - a < size : a - b < size;
}

}  // namespace

std::int64_t sys_sendfile(FileContext& context, const CallArguments& args) {
    const auto ends = find_ends(context, args[1], args[0]);
    if (!ends) {
        return negative(ends.error());
    }
    OpenFile& from = *ends->from;
    OpenFile& to = *ends->to;
    if (from.inode().seek() == Seek::refused || from.inode().type() == FileType::directory ||
        &from.inode() == &to.inode() || to.has(open_flags::append)) {
        return negative(Errno::inval);
    }
    const auto position = fetch_position(from, args[2]);
    if (!position) {
        return negative(position.error());
    }
    const std::size_t count = std::min<std::size_t>(args[3], transfer_size_max);
    std::size_t sent = 0;
    do {
        const auto more = retry_until_ready(to, Transfer::write, [&] {
            return send_some(context, *ends, position->value + sent, count - sent);
        });
        if (!more && sent == 0) {
            return negative(more.error());
        }
        sent += more ? *more : 0;
        if (!more || *more == 0) {
            break;
        }
    } while (sent < count && writes_go_on(to));
    return store_position(from, {position->address, position->value + sent})
               ? static_cast<std::int64_t>(sent)
               : negative(Errno::fault);
}

std::int64_t sys_copy_file_range(FileContext& context, const CallArguments& args) {
    if (low32(args[5]) != 0) {
        return negative(Errno::inval);
    }
    const auto ends = find_ends(context, args[0], args[2]);
    if (!ends || ends->to->has(open_flags::append)) {
        return negative(Errno::badf);
    }
    OpenFile& from = *ends->from;
    OpenFile& to = *ends->to;
    if (from.inode().type() != FileType::regular || to.inode().type() != FileType::regular) {
        const bool is_directory =
            from.inode().type() == FileType::directory || to.inode().type() == FileType::directory;
        return negative(is_directory ? Errno::isdir : Errno::inval);
    }
    const auto source_at = fetch_position(from, args[1]);
    const auto target_at = fetch_position(to, args[3]);
    if (!source_at || !target_at) {
        return negative(source_at ? target_at.error() : source_at.error());
    }
    const std::size_t count = std::min<std::size_t>(args[4], transfer_size_max);
    if (&from.inode() == &to.inode() && overlap(source_at->value, target_at->value, count)) {
        return negative(Errno::inval);
    }
    FileDestination destination{context, to, target_at->value};
    const auto done = from.inode().read(from, source_at->value, destination, count);
    Position end = *target_at;
    end.value += destination.taken();
    if (destination.taken() != 0 && !store_position(to, end)) {
        return negative(Errno::fault);
    }
    return finish(from, *source_at, destination, done);
}

}  // namespace shoal::guest
