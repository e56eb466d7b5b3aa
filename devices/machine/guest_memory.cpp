// GuestMemory: the memfd, its mapping, and the one place where guest addresses are checked.
#include "devices/machine/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "devices/host/log.h"

namespace shoal::machine {
namespace {

std::uint64_t checked_size(std::uint64_t size_bytes) {
    if (size_bytes < abi::min_ram_bytes || size_bytes % abi::page_size != 0) {
        throw std::invalid_argument("guest memory of " + std::to_string(size_bytes) +
                                    " bytes: the smallest is 1 MiB, in whole pages");
    }
    return size_bytes;
}

host::UniqueFd make_memfd(std::uint64_t size_bytes) {
    host::UniqueFd fd{
        host::check_os(::memfd_create("shoal-guest-ram", MFD_CLOEXEC), "memfd_create")};
    if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) < 0) {
        host::throw_os_error("guest memory of " + std::to_string(size_bytes) + " bytes");
    }
    return fd;
}

// Touching what lies behind a file's end would kill the process.
std::uint64_t checked_length(int file, std::uint64_t size_bytes) {
    struct stat status {};
    host::check_os(::fstat(file, &status), "fstat");
    if (static_cast<std::uint64_t>(status.st_size) < size_bytes) {
        throw std::invalid_argument("the memory file has " + std::to_string(status.st_size) +
                                    " bytes, the guest's memory " + std::to_string(size_bytes));
    }
    return size_bytes;
}

constexpr std::uint64_t huge_page_bytes = 2 << 20;

// At a multiple of 2 MiB, where one entry of a page table can stand for all of them. Linux puts
// anonymous mappings there by itself since 6.7, and those of files never.
host::Mapping reserve(std::uint64_t size_bytes) {
    host::Mapping place{size_bytes + huge_page_bytes, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1};
    // SAFETY: the address as a number.
    const auto skew = reinterpret_cast<std::uintptr_t>(place.data()) % huge_page_bytes;
    place.trim((huge_page_bytes - skew) % huge_page_bytes, size_bytes);
    return place;
}

void map_over(const host::Mapping& place, int flags, int fd) {
    if (::mmap(place.data(), place.size(), PROT_READ | PROT_WRITE,
               flags | MAP_NORESERVE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        host::throw_os_error("mmap of the guest's memory");
    }
}

// Of anonymous pages.
bool empty(std::span<std::byte> pages) noexcept {
    return ::madvise(pages.data(), pages.size(), MADV_DONTNEED) == 0;
}

// Of a private copy: new pages in the place of old ones. Without them the file's would come back.
bool replace_with_zeros(std::span<std::byte> pages) noexcept {
    return ::mmap(pages.data(), pages.size(), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

// A hole in the file frees the page for every mapping of it: ours and the guest's.
bool punch_hole(int memfd, std::uint64_t first, std::uint64_t size_bytes) noexcept {
    int result = -1;
    do {
        result = ::fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                             static_cast<off_t>(first), static_cast<off_t>(size_bytes));
    } while (result < 0 && errno == EINTR);
    return result == 0;
}

}  // namespace

GuestMemory::GuestMemory(std::uint64_t size_bytes)
    : size_bytes_{checked_size(size_bytes)},
      backing_{Backing::memfd},
      file_{make_memfd(size_bytes)},
      mapping_{reserve(size_bytes)} {
    map_over(mapping_, MAP_SHARED, file_.get());
    add_regions();
}

GuestMemory::GuestMemory(std::uint64_t size_bytes, host::UniqueFd file)
    : size_bytes_{checked_size(size_bytes)},
      backing_{Backing::copy_of_file},
      mapping_{reserve(checked_length(file.get(), size_bytes))} {
    become(Backing::copy_of_file, std::move(file));
    add_regions();
}

void GuestMemory::become_copy(host::UniqueFd file) {
    checked_length(file.get(), size_bytes_);
    become(Backing::copy_of_file, std::move(file));
}

void GuestMemory::become_huge_pages() {
    become(Backing::huge_pages, {});
    if (::madvise(mapping_.data(), size_bytes_, MADV_HUGEPAGE) < 0) {
        host::log(host::LogLevel::warn, "the host's kernel has no transparent huge pages");
    }
}

void GuestMemory::become_filled_by_others() {
    become(Backing::others, {});
}

void GuestMemory::become(Backing backing, host::UniqueFd file) {
    map_over(mapping_, file ? MAP_PRIVATE : MAP_PRIVATE | MAP_ANONYMOUS, file.get());
    backing_ = backing;
    file_ = std::move(file);
    if (backing != Backing::huge_pages) {
        replaced_ = std::make_unique<ReplacedPages>(size_bytes_ / abi::page_size);
    }
}

// To move a mapping is to move its page tables; to unmap it would be to look at every page.
host::Mapping GuestMemory::make_private() {
    if (backing_ != Backing::memfd) {
        return {};
    }
    host::Mapping old = reserve(size_bytes_);
    auto discarded = std::make_unique<WriteLog>(size_bytes_);
    auto replaced = std::make_unique<ReplacedPages>(size_bytes_ / abi::page_size);
    const auto move = [this](std::byte* from, std::byte* to) {
        return ::mremap(from, size_bytes_, size_bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, to) !=
               MAP_FAILED;
    };
    if (!move(mapping_.data(), old.data())) {
        host::throw_os_error("mremap of the guest's memory");
    }
    if (::mmap(mapping_.data(), size_bytes_, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, file_.get(), 0) == MAP_FAILED) {
        const int error = errno;
        SHOAL_CHECK(move(old.data(), mapping_.data()));
        host::throw_os_error("mmap of the guest's memory", error);
    }
    backing_ = Backing::copy_of_memfd;
    discarded_ = std::move(discarded);
    replaced_ = std::move(replaced);
    return old;
}

void GuestMemory::take_discarded(std::span<std::uint64_t> bitmap) const noexcept {
    discarded_->take(bitmap);
}

std::expected<void, MemoryError> GuestMemory::free_original(
    std::uint64_t offset, std::uint64_t size_bytes) const noexcept {
    SHOAL_CHECK(backing_ == Backing::copy_of_memfd);
    if (!punch_hole(file_.get(), offset, size_bytes)) {
        return std::unexpected(MemoryError::host_refused);
    }
    return {};
}

void GuestMemory::add_regions() {
    const std::uint64_t low = std::min(size_bytes_, abi::ram_hole_start);
    regions_.push_back({Gpa{0}, mapping_.bytes().first(low), 0});
    if (size_bytes_ > low) {
        regions_.push_back({Gpa{abi::ram_hole_end}, mapping_.bytes().subspan(low), low});
    }
}

std::expected<std::span<std::byte>, MemoryError> GuestMemory::slice(
    Gpa at, std::uint64_t size_bytes) const noexcept {
    for (const RamRegion& region : regions_) {
        if (at < region.start) {
            continue;
        }
        const std::uint64_t offset = at.value() - region.start.value();
        if (offset <= region.bytes.size() && size_bytes <= region.bytes.size() - offset) {
            return region.bytes.subspan(offset, size_bytes);
        }
    }
    return std::unexpected(MemoryError::out_of_range);
}

std::expected<void, MemoryError> GuestMemory::write_bytes(
    Gpa at, std::span<const std::byte> source) const noexcept {
    const auto target = slice(at, source.size());
    if (!target) {
        return std::unexpected(target.error());
    }
    std::ranges::copy(source, target->begin());
    log_write(*target);
    return {};
}

// Not writable: KVM would otherwise copy a page at its first read, to be ready for a write.
void GuestMemory::map_file(Gpa at, int fd, std::uint64_t size_bytes) const {
    const auto target = slice(at, size_bytes);
    SHOAL_CHECK(target && at.value() % abi::page_size == 0 && size_bytes % abi::page_size == 0);
    if (::mmap(target->data(), size_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
        MAP_FAILED) {
        host::throw_os_error("mmap of " + std::to_string(size_bytes) + " bytes of a file");
    }
}

std::expected<void, MemoryError> GuestMemory::discard(Gpa at,
                                                      std::uint64_t size_bytes) const noexcept {
    const auto bytes = slice(at, size_bytes);
    if (!bytes) {
        return std::unexpected(bytes.error());
    }
    return discard(*bytes);
}

std::expected<void, MemoryError> GuestMemory::discard(std::span<std::byte> bytes) const noexcept {
    const std::uint64_t from = offset_of(bytes);
    const std::uint64_t first = (from + abi::page_size - 1) & ~(abi::page_size - 1);
    const std::uint64_t end = (from + bytes.size()) & ~(abi::page_size - 1);
    if (first >= end) {
        return {};
    }
    if (!(replaced_ ? replace(first, end) : release(first, end))) {
        return std::unexpected(MemoryError::host_refused);
    }
    return {};
}

bool GuestMemory::release(std::uint64_t from, std::uint64_t end) const noexcept {
    const auto pages = mapping_.bytes().subspan(from, end - from);
    if (!(backing_ == Backing::memfd ? punch_hole(file_.get(), from, pages.size())
                                     : empty(pages))) {
        return false;
    }
    log_write(pages);
    return true;
}

// Where there are new pages already they are emptied, which splits nothing. What is done is told
// at once: the rest may fail.
bool GuestMemory::replace(std::uint64_t from, std::uint64_t end) const noexcept {
    const std::uint64_t last = end / abi::page_size;
    for (std::uint64_t page = from / abi::page_size; page < last;) {
        const ReplacedPages::Run run = replaced_->run_from(page, last);
        const auto pages =
            mapping_.bytes().subspan(page * abi::page_size, (run.end - page) * abi::page_size);
        if (run.is_replaced) {
            if (!empty(pages)) {
                return false;
            }
        } else if (!replaced_->may_replace(page, run.end)) {
            replaced_->log_limit();
            return false;
        } else if (!replace_with_zeros(pages)) {
            return false;
        } else {
            replaced_->replaced(page, run.end);
        }
        if (discarded_) {
            discarded_->add(page * abi::page_size, pages.size());
        }
        log_write(pages);
        page = run.end;
    }
    return true;
}

void GuestMemory::log_write(std::span<const std::byte> bytes) const noexcept {
    if (write_log_->is_on()) {
        write_log_->add(offset_of(bytes), bytes.size());
    }
}

std::uint64_t GuestMemory::offset_of(std::span<const std::byte> bytes) const noexcept {
    const auto from = static_cast<std::uint64_t>(bytes.data() - mapping_.data());
    SHOAL_CHECK(from <= size_bytes_ && bytes.size() <= size_bytes_ - from);
    return from;
}

}  // namespace shoal::machine
