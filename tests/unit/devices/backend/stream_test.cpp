// Byte streams over pipes and plain files: they never block and never lose a byte.
#include "devices/backend/stream.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::backend {
namespace {

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        host::check_os(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
        out = host::UniqueFd{ends[0]};
        in = host::UniqueFd{ends[1]};
    }
    host::UniqueFd out;
    host::UniqueFd in;
};

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span{text});
}

TEST_CASE("reading an empty pipe does not block") {
    const Pipe pipe;
    const InputStream stream{pipe.out.get()};
    std::array<std::byte, 16> buffer{};
    CHECK(stream.try_read(buffer).status == ReadStatus::would_block);
    CHECK(stream.try_read({}).status == ReadStatus::would_block);
}

TEST_CASE("what is in a pipe is read in pieces, and then its end") {
    Pipe pipe;
    const InputStream stream{pipe.out.get()};
    REQUIRE(::write(pipe.in.get(), "hello", 5) == 5);
    pipe.in = {};
    std::array<std::byte, 3> buffer{};
    const ReadResult first = stream.try_read(buffer);
    CHECK(first.status == ReadStatus::data);
    CHECK(first.size_bytes == 3);
    CHECK(buffer[0] == std::byte{'h'});
    CHECK(stream.try_read(buffer).size_bytes == 2);
    CHECK(stream.try_read(buffer).status == ReadStatus::end_of_file);
    CHECK(stream.try_read(buffer).status == ReadStatus::end_of_file);
}

TEST_CASE("streams without a descriptor are at their end and swallow everything") {
    std::array<std::byte, 3> buffer{};
    CHECK(InputStream{-1}.try_read(buffer).status == ReadStatus::end_of_file);
    CHECK(OutputStream{-1}.try_write(buffer) == 3);
}

TEST_CASE("a read error is the end of the stream") {
    const host::UniqueFd folder{::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    std::array<std::byte, 3> buffer{};
    CHECK(InputStream{folder.get()}.try_read(buffer).status == ReadStatus::end_of_file);
}

TEST_CASE("a full pipe takes what fits, and the rest later") {
    const Pipe pipe;
    OutputStream stream{pipe.in.get()};
    const std::string text(1 << 20, 'x');
    const std::size_t taken = stream.try_write(bytes_of(text));
    CHECK(taken > 0);
    CHECK(taken < text.size());
    CHECK(stream.try_write(bytes_of(text)) == 0);
    CHECK_FALSE(stream.failed());

    std::vector<std::byte> drain(taken);
    REQUIRE(::read(pipe.out.get(), drain.data(), drain.size()) == static_cast<ssize_t>(taken));
    CHECK(stream.try_write(bytes_of(text).first(10)) == 10);
}

TEST_CASE("a plain file takes and gives everything") {
    const host::UniqueFd file{::memfd_create("test", MFD_CLOEXEC)};
    const std::string text(100'000, 'y');
    CHECK(OutputStream{file.get()}.try_write(bytes_of(text)) == text.size());
    REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
    std::vector<std::byte> buffer(text.size());
    CHECK(InputStream{file.get()}.try_read(buffer).size_bytes == text.size());
    CHECK(InputStream{file.get()}.try_read(buffer).status == ReadStatus::end_of_file);
}

TEST_CASE("after a write error everything is swallowed") {
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    REQUIRE(::sigaction(SIGPIPE, &ignore, &before) == 0);
    Pipe pipe;
    pipe.out = {};
    OutputStream stream{pipe.in.get()};
    const std::string text(10'000, 'z');
    CHECK(stream.try_write(bytes_of(text)) == text.size());
    CHECK(stream.failed());
    CHECK(stream.try_write(bytes_of(text)) == text.size());
    REQUIRE(::sigaction(SIGPIPE, &before, nullptr) == 0);
}

}  // namespace
}  // namespace shoal::backend
