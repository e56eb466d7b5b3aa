// Pipe: a ring of bytes.
#include "guest/kernel/fs/pipe.h"

#include <algorithm>
#include <bit>

#include "guest/kernel/fs/text.h"

namespace shoal::guest {

std::span<std::byte> Pipe::ring(std::size_t at, std::size_t count) noexcept {
    at %= capacity_;
    return {bytes_.get() + at, std::min(count, capacity_ - at)};
}

Result<std::size_t> Pipe::copy_out(Destination& to, std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    if (count_ == 0) {
        return writers_ == 0 ? Result<std::size_t>{std::size_t{0}} : fail(Errno::again);
    }
    count = std::min(count, count_);
    std::size_t done = 0;
    while (done < count) {
        const auto piece = ring(start_ + done, count - done);
        if (!to.put(piece)) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        done += piece.size();
    }
    return done;
}

void Pipe::drop(std::size_t count) noexcept {
    const bool had_room = room() >= atomic_bytes;
    start_ = (start_ + count) % capacity_;
    count_ -= count;
    // A writer of one byte waits for as much, too: as on Linux, where room comes in pages.
    if (!had_room && room() >= atomic_bytes) {
        wake_all();
    }
}

// Both queues: a file that is open for reading and writing waits in the first.
void Pipe::wake_all() noexcept {
    readers_waiting_.wake_all();
    writers_waiting_.wake_all();
}

Result<std::size_t> Pipe::read(OpenFile&, std::uint64_t, Destination& to, std::size_t count) {
    const auto done = copy_out(to, count);
    if (done) {
        drop(*done);
    }
    return done;
}

Result<std::size_t> Pipe::peek(Destination& to, std::size_t count) {
    return copy_out(to, count);
}

Result<std::size_t> Pipe::write(OpenFile&, std::uint64_t, Source& from, std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    if (readers_ == 0) {
        return fail(Errno::pipe);
    }
    // What fits PIPE_BUF is written whole or not at all.
    if (room() == 0 || (count <= atomic_bytes && count > room())) {
        return fail(Errno::again);
    }
    if (!bytes_) {
        bytes_.reset(new (std::nothrow_t{}) std::byte[capacity_]);
        if (!bytes_) {
            return fail(Errno::nomem);
        }
    }
    count = std::min(count, room());
    std::size_t done = 0;
    while (done < count) {
        const auto piece = ring(start_ + count_, count - done);
        if (!from.get(piece)) {
            break;
        }
        count_ += piece.size();
        done += piece.size();
    }
    if (done == 0) {
        return fail(Errno::fault);
    }
    readers_waiting_.wake_all();
    return done;
}

Result<void> Pipe::set_capacity(std::size_t size_bytes) {
    constexpr std::size_t page_bytes = 4096;
    if (size_bytes == 0 || size_bytes > (1U << 31)) {
        return fail(Errno::inval);
    }
    const std::size_t wanted = std::bit_ceil(std::max(size_bytes, page_bytes));
    if (wanted > capacity_max) {
        return fail(Errno::perm);
    }
    if (wanted < count_) {
        return fail(Errno::busy);
    }
    std::unique_ptr<std::byte[]> bytes{new (std::nothrow_t{}) std::byte[wanted]};
    if (!bytes) {
        return fail(Errno::nomem);
    }
    SpanDestination to{{bytes.get(), wanted}};
    static_cast<void>(copy_out(to, count_));
    bytes_ = std::move(bytes);
    start_ = 0;
    capacity_ = wanted;
    wake_all();
    return {};
}

Result<void> Pipe::opened(OpenFile& file) {
    readers_ += file.may_read() ? 1U : 0U;
    writers_ += file.may_write() ? 1U : 0U;
    return {};
}

void Pipe::closed(OpenFile& file) noexcept {
    readers_ -= file.may_read() ? 1U : 0U;
    writers_ -= file.may_write() ? 1U : 0U;
    if (readers_ == 0 || writers_ == 0) {
        wake_all();
    }
}

Readiness Pipe::readiness(const OpenFile& file) const {
    const auto is = [](bool holds) { return holds ? Readiness::Is::yes : Readiness::Is::no; };
    Readiness ready;
    ready.readable = is(file.may_read() && count_ != 0);
    ready.hung_up = is(file.may_read() && writers_ == 0);
    ready.writable = is(file.may_write() && (readers_ == 0 || room() >= atomic_bytes));
    ready.error = is(file.may_write() && readers_ == 0);
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
