// ConsoleFile: bytes between the program and the driver of the console.
#include "guest/kernel/fs/console_file.h"

#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {
namespace {

constexpr std::size_t line_bytes = 512;      // on the stack: what programs print line by line
constexpr std::size_t buffer_bytes = 65536;  // as much as a pipe of Linux holds

// As Linux sets up a new terminal (tty_std_termios).
constexpr struct termios initial_settings = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD | HUPCL,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_line = 0,
    .c_cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0},
};

}  // namespace

ConsoleFile::ConsoleFile(FileType type, std::uint32_t permissions, ConsoleDevice& device,
                         ConsoleStream stream) noexcept
    : Inode{type, permissions}, settings{initial_settings}, device_{device}, stream_{stream} {}

Result<std::size_t> ConsoleFile::read(OpenFile&, std::uint64_t, Destination& to,
                                      std::size_t count) {
    if (count == 0) {
        return std::size_t{0};
    }
    std::array<std::byte, line_bytes> line;
    std::span<std::byte> room{line};
    if (count > line.size()) {
        buffer_.resize(buffer_bytes);
        room = buffer_;
    }
    room = room.first(std::min(count, room.size()));
    const auto got = device_.read(room);
    if (got && !to.put(room.first(*got))) {
        return fail(Errno::fault);
    }
    return got;
}

Result<std::size_t> ConsoleFile::write_all(std::span<const std::byte> bytes) {
    const ConsoleStream stream =
        stream_ == ConsoleStream::error ? ConsoleStream::error : ConsoleStream::output;
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto taken = device_.write(stream, bytes.subspan(done));
        if (!taken || *taken == 0) {
            return done == 0 && !taken ? fail(taken.error()) : Result<std::size_t>{done};
        }
        done += *taken;
    }
    return done;
}

Result<std::size_t> ConsoleFile::write(OpenFile&, std::uint64_t, Source& from, std::size_t count) {
    std::array<std::byte, line_bytes> line;
    std::span<std::byte> room{line};
    if (count > line.size()) {
        buffer_.resize(buffer_bytes);
        room = buffer_;
    }
    std::size_t done = 0;
    while (done < count) {
        const auto piece = room.first(std::min(count - done, room.size()));
        auto written = from.get(piece) ? write_all(piece) : Result<std::size_t>{fail(Errno::fault)};
        if (!written && done == 0) {
            return written;
        }
        done += written ? *written : 0;
        if (!written || *written < piece.size()) {
            break;
        }
    }
    return done;
}

Readiness ConsoleFile::readiness(const OpenFile& file) const {
    Readiness ready;
    if (!file.may_read() || !device_.has_input()) {
        ready.readable = Readiness::Is::no;
    }
    return ready;
}

WaitQueue* ConsoleFile::wait_queue(const OpenFile& file) noexcept {
    return file.may_read() ? &device_.input_queue() : &always_writable_;
}

}  // namespace shoal::guest
