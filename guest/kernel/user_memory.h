// User memory: the only way from an address that the program gave to its bytes.
//
// Every address and size is hostile. The functions make pages accessible on demand, as an access
// by the program would, and fail where the program itself could not have read or written. After a
// failure part of the bytes may have been copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/errno.h"

namespace shoal::guest {

using UserAddress = std::uint64_t;

[[nodiscard]] bool copy_from_user(void* to, UserAddress from, std::size_t size_bytes);
[[nodiscard]] bool copy_to_user(UserAddress to, const void* from, std::size_t size_bytes);
[[nodiscard]] bool clear_user(UserAddress to, std::size_t size_bytes);

// Copies up to and including the NUL and returns the length without it. Errno::fault;
// Errno::nametoolong when there is no NUL within to.size() bytes.
[[nodiscard]] Result<std::size_t> copy_string_from_user(std::span<char> to, UserAddress from);

}  // namespace shoal::guest
