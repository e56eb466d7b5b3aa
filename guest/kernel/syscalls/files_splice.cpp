// splice, tee and vmsplice: into pipes and out of them, through a buffer of the kernel's.
#include <memory>
#include <new>

#include "guest/kernel/fs/pipe.h"
#include "guest/kernel/syscalls/files_position.h"
#include "guest/kernel/syscalls/files_wait.h"

namespace shoal::guest {

using namespace files;

namespace {

constexpr std::uint32_t splice_nonblock = 2;  // SPLICE_F_NONBLOCK
constexpr std::uint32_t splice_flags = 0xF;
constexpr std::size_t step_bytes = Pipe::default_capacity;

enum class Keep { no, yes };

// One end of a splice.
struct End {
    OpenFileRef file{};
    Pipe* pipe = nullptr;                // if it is one
    std::optional<Position> position{};  // if it is none and has positions
};

// Errno::badf; Errno::spipe for an offset where there are none.
Result<End> find_end(const FileContext& context, std::uint64_t descriptor, UserAddress offset) {
    End end{OpenFileRef{context.table.find(descriptor)}};
    if (!end.file || end.file->has(open_flags::path)) {
        return fail(Errno::badf);
    }
    end.pipe = end.file->inode().as_pipe();
    if (end.file->inode().seek() == Seek::refused) {
        return offset == 0 ? Result<End>{std::move(end)} : fail(Errno::spipe);
    }
    const auto position = fetch_position(*end.file, offset);
    if (!position) {
        return fail(position.error());
    }
    end.position = *position;
    return end;
}

// Bytes from one file to the other.
class Splice {
public:
    Splice(const FileContext& context, End& from, End& to, Keep keep) noexcept
        : context_{context}, from_{from}, to_{to}, keep_{keep} {}

    // Moves what is there and has room, or waits for it.
    [[nodiscard]] std::int64_t run(std::size_t count, std::uint32_t flags) {
        buffer_.reset(new (std::nothrow_t{}) std::byte[std::min(count, step_bytes)]);
        FileWait wait;
        if (!buffer_ || !wait.reserve(2)) {
            return negative(Errno::nomem);
        }
        Result<std::size_t> moved = move(count);
        const bool may_wait = (flags & splice_nonblock) == 0 &&
                              !from_.file->has(open_flags::nonblock) &&
                              !to_.file->has(open_flags::nonblock);
        if (!moved && moved.error() == Errno::again && may_wait) {
            wait.add(from_.file);
            wait.add(to_.file);
            const std::int64_t waited = wait.wait(no_deadline, [&]() -> std::int64_t {
                moved = move(count);
                return moved || moved.error() != Errno::again ? 1 : 0;
            });
            return waited == 1 ? result_of(moved) : waited;
        }
        return result_of(moved);
    }

private:
    // Nothing is taken from `from` that `to` has no room for.
    [[nodiscard]] Result<std::size_t> move(std::size_t count) {
        count = std::min(count, step_bytes);
        if (to_.pipe != nullptr) {
            count = std::min(count, to_.pipe->room());
            if (count == 0) {
                return fail(Errno::again);
            }
        }
        SpanDestination bytes{{buffer_.get(), count}};
        const auto got = from_.pipe != nullptr ? from_.pipe->peek(bytes, count)
                                               : from_.file->inode().read(
                                                     *from_.file, offset_of(from_), bytes, count);
        if (!got || *got == 0) {
            return got;
        }
        SpanSource source{{buffer_.get(), *got}};
        const std::optional<std::uint64_t> at =
            to_.position ? std::optional{to_.position->value} : std::nullopt;
        const auto put = try_write_file(context_, *to_.file, source, *got, at);
        if (put && keep_ == Keep::no) {
            advance(*put);
        }
        return put;
    }
    static std::uint64_t offset_of(const End& end) {
        return end.position ? end.position->value : 0;
    }
    void advance(std::size_t count) {
        if (from_.pipe != nullptr) {
            from_.pipe->drop(count);
        }
        for (End* end : {&from_, &to_}) {
            if (end->position) {
                end->position->value += count;
            }
        }
    }

    const FileContext& context_;
    End& from_;
    End& to_;
    Keep keep_;
    std::unique_ptr<std::byte[]> buffer_{};
};

// The checks that come first, in Linux's order.
Result<void> check(const End& from, const End& to, std::uint32_t flags) {
    if ((flags & ~splice_flags) != 0) {
        return fail(Errno::inval);
    }
    if (!from.file->may_read() || !to.file->may_write()) {
        return fail(Errno::badf);
    }
    const bool has_pipe = from.pipe != nullptr || to.pipe != nullptr;
    const bool is_same = from.pipe != nullptr && from.pipe == to.pipe;
    return has_pipe && !is_same && !to.file->has(open_flags::append) ? Result<void>{}
                                                                     : fail(Errno::inval);
}

}  // namespace

std::int64_t sys_splice(FileContext& context, const CallArguments& args) {
    auto from = find_end(context, args[0], args[1]);
    auto to = find_end(context, args[2], args[3]);
    if (!from || !to) {
        return negative(from ? to.error() : from.error());
    }
    const std::uint32_t flags = low32(args[5]);
    if (const auto checked = check(*from, *to, flags); !checked) {
        return negative(checked.error());
    }
    if (args[4] == 0) {
        return 0;
    }
    const std::int64_t moved = Splice{context, *from, *to, Keep::no}.run(args[4], flags);
    for (const End* end : {&*from, &*to}) {
        if (moved > 0 && end->position && !store_position(*end->file, *end->position)) {
            return negative(Errno::fault);
        }
    }
    return moved;
}

std::int64_t sys_tee(FileContext& context, const CallArguments& args) {
    auto from = find_end(context, args[0], 0);
    auto to = find_end(context, args[1], 0);
    if (!from || !to) {
        return negative(Errno::badf);
    }
    const std::uint32_t flags = low32(args[3]);
    if (const auto checked = check(*from, *to, flags); !checked) {
        return negative(checked.error());
    }
    if (from->pipe == nullptr || to->pipe == nullptr) {
        return negative(Errno::inval);
    }
    return args[2] == 0 ? 0 : Splice{context, *from, *to, Keep::yes}.run(args[2], flags);
}

// Pages are never given away: a copy does what the program can see.
std::int64_t sys_vmsplice(FileContext& context, const CallArguments& args) {
    const OpenFileRef file{context.table.find(args[0])};
    if (!file || file->inode().as_pipe() == nullptr) {
        return negative(Errno::badf);
    }
    return file->may_write() ? sys_writev(context, args) : sys_readv(context, args);
}

}  // namespace shoal::guest
