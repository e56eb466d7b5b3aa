// Which sanitizer this is built with: its runtime calls the kernel and takes memory as nobody else
// does.
#pragma once

namespace shoal::host {

#ifdef __has_feature
constexpr bool has_asan = __has_feature(address_sanitizer);
constexpr bool has_tsan = __has_feature(thread_sanitizer);
#else
constexpr bool has_asan = false;
constexpr bool has_tsan = false;
#endif

}  // namespace shoal::host
