// Byte streams over pipes and plain files: they never block and never lose a byte.
#include "devices/backend/stream.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
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

// A client that has so much to say.
struct Talker final : StreamClient {
    explicit Talker(int fd) : stream{fd} {}
    [[nodiscard]] int input_fd() const noexcept override { return -1; }
    [[nodiscard]] int output_fd() const noexcept override { return stream.fd(); }
    [[nodiscard]] bool wants_input() const noexcept override { return false; }
    [[nodiscard]] bool wants_output() const noexcept override { return !rest.empty(); }
    void on_input_ready() noexcept override {}
    void on_output_ready() noexcept override { rest.erase(0, stream.try_write(bytes_of(rest))); }

    OutputStream stream;
    std::string rest = std::string(200'000, 'x');
};

TEST_CASE("what nobody reads is given up at the end, and what is read slowly is not") {
    SUBCASE("a pipe without a reader") {
        std::string path = "/tmp/shoal-stream-XXXXXX";
        REQUIRE(::mkdtemp(path.data()) != nullptr);
        const std::string name = path + "/pipe";
        REQUIRE(::mkfifo(name.c_str(), 0600) == 0);
        const host::UniqueFd pipe{::open(name.c_str(), O_RDWR | O_CLOEXEC)};
        Talker talker{pipe.get()};
        drain_output(talker, Patience::for_ever);
        CHECK(!talker.rest.empty());
        ::unlink(name.c_str());
        ::rmdir(path.c_str());
    }
    SUBCASE("one whose reader stands still, where nobody has the time") {
        const Pipe pipe;
        Talker talker{pipe.in.get()};
        drain_output(talker, Patience::one_second);
        CHECK(!talker.rest.empty());
    }
    SUBCASE("one that is read") {
        Pipe pipe;
        Talker talker{pipe.in.get()};
        std::size_t size = 0;
        {
            const std::jthread reader{[&] {
                std::array<char, 5000> buffer;
                ssize_t count = 0;
                while ((count = ::read(pipe.out.get(), buffer.data(), buffer.size())) > 0) {
                    size += static_cast<std::size_t>(count);
                }
            }};
            drain_output(talker, Patience::for_ever);
            pipe.in = {};
        }
        CHECK(size == 200'000);
    }
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
