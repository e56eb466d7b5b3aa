// Pipe: a ring of bytes.
#include "guest/kernel/fs/pipe.h"

#include <algorithm>
#include <array>

#include "guest/kernel/fs/text.h"

namespace shoal::guest {

std::span<std::byte> Pipe::ring(std::size_t at, std::size_t count) noexcept {
    at %= capacity;
    return {bytes_.get() + at, std::min(count, capacity - at)};
}

Result<std::size_t> Pipe::read(OpenFile&, std::uint64_t, Destination& to, std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    if (count_ == 0) {
        return writers_ == 0 ? Result<std::size_t>{std::size_t{0}} : fail(Errno::again);
    }
    std::size_t done = 0;
    while (done < count && count_ != 0) {
        const auto piece = ring(start_, std::min(count - done, count_));
        if (!to.put(piece)) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        start_ = (start_ + piece.size()) % capacity;
        count_ -= piece.size();
        done += piece.size();
    }
    return done;
}

Result<std::size_t> Pipe::write(OpenFile&, std::uint64_t, Source& from, std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    if (readers_ == 0) {
        return fail(Errno::pipe);
    }
    // What fits PIPE_BUF is written whole or not at all.
    const std::size_t room = capacity - count_;
    if (room == 0 || (count <= atomic_bytes && count > room)) {
        return fail(Errno::again);
    }
    if (!bytes_) {
        bytes_.reset(new (std::nothrow_t{}) std::byte[capacity]);
        if (!bytes_) {
            return fail(Errno::nomem);
        }
    }
    count = std::min(count, room);
    std::size_t done = 0;
    while (done < count) {
        const auto piece = ring(start_ + count_, count - done);
        if (!from.get(piece)) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        count_ += piece.size();
        done += piece.size();
    }
    return done;
}

Result<void> Pipe::opened(OpenFile& file) {
    readers_ += file.may_read() ? 1U : 0U;
    writers_ += file.may_write() ? 1U : 0U;
    return {};
}

void Pipe::closed(OpenFile& file) noexcept {
    readers_ -= file.may_read() ? 1U : 0U;
    writers_ -= file.may_write() ? 1U : 0U;
}

Readiness Pipe::readiness(const OpenFile& file) const {
    using Is = Readiness::Is;
    Readiness ready;
    ready.readable = file.may_read() && count_ != 0 ? Is::yes : Is::no;
    ready.hung_up = file.may_read() && writers_ == 0 ? Is::yes : Is::no;
    ready.writable =
        file.may_write() && (readers_ == 0 || capacity - count_ >= atomic_bytes) ? Is::yes : Is::no;
    ready.error = file.may_write() && readers_ == 0 ? Is::yes : Is::no;
    return ready;
}

EntryRef make_pipe_entry(const InodeRef& inode) {
    std::vector<char> name;
    Text{name}.add("pipe:[").add_number(inode->attributes.number).add("]");
    return Entry::make(nullptr, {name.data(), name.size()}, inode);
}

Result<PipeEnds> make_pipe(FileSystem& file_system, std::uint32_t flags) {
    const InodeRef pipe = file_system.make_inode<Pipe>();
    const EntryRef entry = pipe ? make_pipe_entry(pipe) : EntryRef{};
    if (!entry) {
        return fail(Errno::nomem);
    }
    flags &= open_flags::nonblock | open_flags::direct;
    const auto read_end = OpenFile::open(entry, open_flags::read_only | flags);
    const auto write_end = OpenFile::open(entry, open_flags::write_only | flags);
    if (!read_end || !write_end) {
        return fail(Errno::nomem);
    }
    return PipeEnds{*read_end, *write_end};
}

}  // namespace shoal::guest
