// Copies between the kernel and the program: pages are made accessible first, then touched, so the
// kernel itself never faults.
#include "guest/kernel/user_memory.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/process.h"

namespace shoal::guest {

bool copy_from_user(void* to, UserAddress from, std::size_t size_bytes) {
    if (!process().memory->resolve_all(from, size_bytes, Access::read)) {
        return false;
    }
    std::memcpy(to, reinterpret_cast<const void*>(from), size_bytes);
    return true;
}

bool copy_to_user(UserAddress to, const void* from, std::size_t size_bytes) {
    if (!process().memory->resolve_all(to, size_bytes, Access::write)) {
        return false;
    }
    std::memcpy(reinterpret_cast<void*>(to), from, size_bytes);
    return true;
}

bool clear_user(UserAddress to, std::size_t size_bytes) {
    if (!process().memory->resolve_all(to, size_bytes, Access::write)) {
        return false;
    }
    std::memset(reinterpret_cast<void*>(to), 0, size_bytes);
    return true;
}

Result<std::size_t> copy_string_from_user(std::span<char> to, UserAddress from) {
    for (std::size_t done = 0; done < to.size();) {
        const std::size_t piece = std::min(to.size() - done, page_size - (from + done) % page_size);
        if (!copy_from_user(to.data() + done, from + done, piece)) {
            return fail(Errno::fault);
        }
        if (const void* end = std::memchr(to.data() + done, '\0', piece); end != nullptr) {
            return static_cast<std::size_t>(static_cast<const char*>(end) - to.data());
        }
        done += piece;
    }
    return fail(Errno::nametoolong);
}

}  // namespace shoal::guest
