// Read in pieces of many pages; what is a hole has the sum of zeros.
#include "controlplane/checkpoint/page_sums.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "devices/host/crc32c.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::checkpoints {
namespace {

constexpr std::string_view magic = "SHOALSUM";
constexpr std::size_t head_bytes = magic.size() + sizeof(std::uint64_t);
constexpr std::size_t sum_bytes = sizeof(std::uint32_t);
constexpr std::size_t piece_bytes = std::size_t{1} << 20;
constexpr std::array<std::byte, page_bytes> zeros{};

std::uint64_t pages_in(std::uint64_t size_bytes) {
    return size_bytes / page_bytes + (size_bytes % page_bytes != 0 ? 1 : 0);
}

std::uint64_t bytes_of_sums(std::uint64_t size_bytes) {
    return head_bytes + (pages_in(size_bytes) + 1) * sum_bytes;
}

// Of its last page, which may be cut short, and of others.
std::uint64_t bytes_of_page(std::uint64_t size_bytes, std::uint64_t page) {
    return std::min(page_bytes, size_bytes - page * page_bytes);
}

class File {
public:
    explicit File(const std::string& path)
        : path_{path}, fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)} {
        struct stat status {};
        if (!fd_ || ::fstat(fd_.get(), &status) < 0) {
            host::throw_os_error("cannot open " + path);
        }
        size_bytes_ = static_cast<std::uint64_t>(status.st_size);
    }
    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
    void expect_at_most(std::uint64_t bytes) const {
        if (size_bytes_ > bytes) {
            throw std::runtime_error{path_ + " has " + std::to_string(size_bytes_) +
                                     " bytes: at most " + std::to_string(bytes) + " are allowed"};
        }
    }
    // The first page at or behind this one that may be no hole; the number of pages: there is none.
    [[nodiscard]] std::uint64_t next_data(std::uint64_t page) const {
        const off_t at = ::lseek(fd_.get(), static_cast<off_t>(page * page_bytes), SEEK_DATA);
        if (at < 0 && errno == ENXIO) {
            return pages_in(size_bytes_);
        }
        return static_cast<std::uint64_t>(host::check_os(at, ("cannot read " + path_).c_str())) /
               page_bytes;
    }
    // Exactly so many.
    void read(std::uint64_t offset, std::span<std::byte> bytes) const {
        while (!bytes.empty()) {
            const ssize_t count =
                ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) {
                continue;
            }
            if (host::check_os(count, ("cannot read " + path_).c_str()) == 0) {
                throw std::runtime_error{path_ + " has become shorter"};
            }
            bytes = bytes.subspan(static_cast<std::size_t>(count));
            offset += static_cast<std::uint64_t>(count);
        }
    }

private:
    std::string path_;
    host::UniqueFd fd_;
    std::uint64_t size_bytes_ = 0;
};

}  // namespace

std::vector<std::byte> encode(const PageSums& sums) {
    std::vector<std::byte> bytes(bytes_of_sums(sums.size_bytes));
    std::memcpy(bytes.data(), magic.data(), magic.size());
    std::memcpy(&bytes[magic.size()], &sums.size_bytes, sizeof sums.size_bytes);
    if (!sums.pages.empty()) {
        std::memcpy(&bytes[head_bytes], sums.pages.data(), sums.pages.size() * sum_bytes);
    }
    const std::size_t end = bytes.size() - sum_bytes;
    const std::uint32_t own = host::crc32c(std::span{bytes}.first(end));
    std::memcpy(&bytes[end], &own, sum_bytes);
    return bytes;
}

std::optional<PageSums> parse_sums(std::span<const std::byte> bytes) {
    PageSums sums;
    if (bytes.size() < head_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
        return std::nullopt;
    }
    std::memcpy(&sums.size_bytes, &bytes[magic.size()], sizeof sums.size_bytes);
    if (sums.size_bytes > max_file_bytes || bytes.size() != bytes_of_sums(sums.size_bytes)) {
        return std::nullopt;
    }
    const std::size_t end = bytes.size() - sum_bytes;
    std::uint32_t own = 0;
    std::memcpy(&own, &bytes[end], sum_bytes);
    if (own != host::crc32c(bytes.first(end))) {
        return std::nullopt;
    }
    sums.pages.resize(pages_in(sums.size_bytes));
    if (!sums.pages.empty()) {
        std::memcpy(sums.pages.data(), &bytes[head_bytes], sums.pages.size() * sum_bytes);
    }
    return sums;
}

PageSums sums_of(const std::string& path) {
    const File file{path};
    file.expect_at_most(max_file_bytes);
    PageSums sums{file.size_bytes(), {}};
    sums.pages.assign(pages_in(sums.size_bytes), host::crc32c(zeros));
    if (!sums.pages.empty()) {
        const auto last_bytes = bytes_of_page(sums.size_bytes, sums.pages.size() - 1);
        sums.pages.back() = host::crc32c(std::span{zeros}.first(last_bytes));
    }
    std::vector<std::byte> piece(piece_bytes);
    for (std::uint64_t page = file.next_data(0); page < sums.pages.size();
         page = file.next_data(page)) {
        const std::uint64_t offset = page * page_bytes;
        std::span<std::byte> bytes =
            std::span{piece}.first(std::min<std::uint64_t>(piece_bytes, sums.size_bytes - offset));
        file.read(offset, bytes);
        while (!bytes.empty()) {
            const auto of_page = bytes.first(std::min<std::uint64_t>(page_bytes, bytes.size()));
            sums.pages[page++] = host::crc32c(of_page);
            bytes = bytes.subspan(of_page.size());
        }
    }
    return sums;
}

void update_sums(PageSums& sums, const std::string& path, std::span<const std::uint64_t> pages) {
    const File file{path};
    std::array<std::byte, page_bytes> buffer;
    for (std::uint64_t page = 0; page < pages.size() * 64; ++page) {
        if ((pages[page / 64] >> page % 64 & 1) != 0) {
            const auto bytes = std::span{buffer}.first(bytes_of_page(sums.size_bytes, page));
            file.read(page * page_bytes, bytes);
            sums.pages.at(page) = host::crc32c(bytes);
        }
    }
}

std::string sums_beside(const std::string& path) {
    return path + ".sums";
}

void write_sums(const std::string& path, const PageSums& sums) {
    const std::string name = sums_beside(path);
    const host::UniqueFd file{
        ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644)};
    const std::vector<std::byte> all = encode(sums);
    for (std::span<const std::byte> bytes{all}; !bytes.empty();) {
        bytes = bytes.subspan(static_cast<std::size_t>(host::check_os(
            ::write(file.get(), bytes.data(), bytes.size()), ("cannot write " + name).c_str())));
    }
}

PageSums read_sums(const std::string& path) {
    const std::string name = sums_beside(path);
    if (!std::filesystem::exists(name)) {
        throw Damage{name + " is not there"};
    }
    const File file{name};
    file.expect_at_most(bytes_of_sums(max_file_bytes));
    std::vector<std::byte> bytes(file.size_bytes());
    file.read(0, bytes);
    auto sums = parse_sums(bytes);
    if (!sums) {
        throw Damage{name + " is damaged"};
    }
    return *std::move(sums);
}

void expect_sound(const std::string& path) {
    const PageSums expected = read_sums(path);
    const PageSums found = sums_of(path);
    if (found.size_bytes != expected.size_bytes) {
        throw Damage{path + " has " + std::to_string(found.size_bytes) + " bytes and not " +
                     std::to_string(expected.size_bytes)};
    }
    const auto [there, here] = std::ranges::mismatch(expected.pages, found.pages);
    if (there != expected.pages.end()) {
        throw Damage{path + " is damaged in the " + std::to_string(page_bytes) + " bytes at " +
                     std::to_string((there - expected.pages.begin()) * std::int64_t{page_bytes})};
    }
}

}  // namespace shoal::checkpoints
