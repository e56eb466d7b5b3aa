#include "vmm/machine/file_ahead.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "devices/abi/address_map.h"
#include "devices/host/unique_fd.h"

namespace shoal::vmm {
namespace {

using Pages = std::vector<std::uint32_t>;
using Pairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

constexpr std::size_t page_count = 2048;

Pairs ranges(const Pages& pages) {
    Pairs all;
    for (const PageRange& range : ranges_to_read(pages)) {
        all.emplace_back(range.first, range.end);
    }
    return all;
}

TEST_CASE("pages are read together with their neighbours, in the file's order") {
    CHECK(ranges({}).empty());
    CHECK(ranges({7}) == Pairs{{7, 8}});
    CHECK(ranges({9, 7, 8, 8}) == Pairs{{7, 10}});
    CHECK(ranges({100, 0, 17}) == Pairs{{0, 18}, {100, 101}});  // 16 between them
    CHECK(ranges({0, 18}) == Pairs{{0, 1}, {18, 19}});          // 17
    CHECK(ranges({~0U, 0}) == Pairs{{0, 1}, {~0U, 1ULL << 32}});
}

// A file that was written and is not in the page cache; where the folder's file system has no
// other place, it is.
class ColdFile {
public:
    ColdFile() {
        std::string path = "/tmp/shoal-file-ahead-XXXXXX";
        fd_ = host::UniqueFd{::mkstemp(path.data())};
        REQUIRE(fd_);
        ::unlink(path.c_str());
        const std::string bytes(page_count * abi::page_size, 'x');
        REQUIRE(::pwrite(fd_.get(), bytes.data(), bytes.size(), 0) ==
                static_cast<ssize_t>(bytes.size()));
        REQUIRE(::fsync(fd_.get()) == 0);
        REQUIRE(::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
    }
    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] bool has_cached(std::uint64_t first, std::uint64_t end) const {
        void* mapped =
            ::mmap(nullptr, page_count * abi::page_size, PROT_READ, MAP_SHARED, fd_.get(), 0);
        REQUIRE(mapped != MAP_FAILED);
        std::vector<unsigned char> is_there(page_count);
        REQUIRE(::mincore(mapped, page_count * abi::page_size, is_there.data()) == 0);
        ::munmap(mapped, page_count * abi::page_size);
        return std::all_of(is_there.begin() + static_cast<std::ptrdiff_t>(first),
                           is_there.begin() + static_cast<std::ptrdiff_t>(end),
                           [](unsigned char page) { return (page & 1) != 0; });
    }

private:
    host::UniqueFd fd_;
};

class Count final : public host::MetricSink {
public:
    std::uint64_t value = 0;

    void counter(std::string_view /*name*/, std::uint64_t counted) override { value = counted; }
    void latency(std::string_view /*name*/, const host::Latency& /*value*/) override {}
};

TEST_CASE("pages that are wanted come into the page cache while nobody touches them") {
    const ColdFile file;
    const bool has_disk = !file.has_cached(0, 1);
    FileAhead ahead{file.fd(), Pages{page_count - 1, 3, 20, 1000}};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!(file.has_cached(3, 21) && file.has_cached(1000, 1001) &&
             file.has_cached(page_count - 1, page_count))) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        std::this_thread::yield();
    }
    Count count;
    while (count.value < 20) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        ahead.report(count);
    }
    CHECK(count.value == 20);
    if (has_disk) {
        CHECK_FALSE(file.has_cached(0, page_count));  // not all of it
    }
}

TEST_CASE("a file that cannot be read ahead is left alone, and what is begun is ended") {
    { const FileAhead nothing{-1, Pages{1, 2, 3}}; }
    Pages all(page_count);
    std::ranges::generate(all, [next = 0U]() mutable { return next++; });
    const ColdFile file;
    { const FileAhead ended{file.fd(), all}; }
    CHECK(::fcntl(file.fd(), F_GETFD) >= 0);
}

}  // namespace
}  // namespace shoal::vmm
