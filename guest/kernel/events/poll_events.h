// What an open file is ready for, in the words of poll(2) and epoll(7).
#pragma once

#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

// <asm-generic/poll.h>; those of epoll have the same values.
namespace poll_events {
inline constexpr std::uint32_t in = 0x001;
inline constexpr std::uint32_t priority = 0x002;
inline constexpr std::uint32_t out = 0x004;
inline constexpr std::uint32_t error = 0x008;
inline constexpr std::uint32_t hang_up = 0x010;
inline constexpr std::uint32_t invalid = 0x020;
inline constexpr std::uint32_t in_normal = 0x040;
inline constexpr std::uint32_t out_normal = 0x100;
inline constexpr std::uint32_t peer_closed = 0x2000;  // POLLRDHUP
inline constexpr std::uint32_t always = error | hang_up | invalid;
}  // namespace poll_events

[[nodiscard]] std::uint32_t poll_events_of(const OpenFile& file);

}  // namespace shoal::guest
