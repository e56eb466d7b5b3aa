// An owned memory mapping: unmapped once, moved and never copied.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <span>
#include <utility>

#include "devices/host/os_error.h"

namespace shoal::host {

class Mapping {
public:
    Mapping() noexcept = default;

    // Maps `size_bytes` of `fd` (or anonymous memory when fd is -1). Throws std::system_error.
    Mapping(std::size_t size_bytes, int protection, int flags, int fd, off_t offset = 0)
        : size_{size_bytes} {
        void* at = ::mmap(nullptr, size_bytes, protection, flags, fd, offset);
        if (at == MAP_FAILED) {
            throw_os_error("mmap of " + std::to_string(size_bytes) + " bytes");
        }
        data_ = static_cast<std::byte*>(at);
    }
    Mapping(Mapping&& other) noexcept
        : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Mapping() {
        if (data_ != nullptr) {
            ::munmap(data_, size_);
        }
    }

    // Unmaps all but `size_bytes` from `offset` on, which lie within it; both are whole pages.
    void trim(std::size_t offset, std::size_t size_bytes) noexcept {
        std::byte* const end = data_ + size_;
        data_ += offset;
        size_ = size_bytes;
        if (offset > 0) {
            ::munmap(data_ - offset, offset);
        }
        if (data_ + size_ < end) {
            ::munmap(data_ + size_, static_cast<std::size_t>(end - (data_ + size_)));
        }
    }

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace shoal::host
