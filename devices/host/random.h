// Random bytes of the host's kernel (getrandom(2)).
#pragma once

#include <sys/random.h>

#include <type_traits>

#include "devices/host/os_error.h"

namespace shoal::host {

// All its bytes are random: a number, an array of bytes. Waits until the kernel has been seeded.
// Throws std::system_error.
template <typename T>
requires std::has_unique_object_representations_v<T>
[[nodiscard]] T random_value() {
    static_assert(sizeof(T) <= 256);  // so many come whole
    T value;
    check_os(::getrandom(&value, sizeof value, 0), "getrandom");
    return value;
}

}  // namespace shoal::host
