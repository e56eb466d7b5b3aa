// What a supervisor and shoald tell each other through a microVM's run folder.
//
//     lock        held (flock) while the supervisor or the VMM lives
//     supervisor  who the supervisor is; written before the VMM is started
//     request     for a clone, or one that is restored: what the VMM is asked (HTTP) once it runs;
//                 written by shoald
//     input       a named pipe (console_input.h)
//     exit        how the VMM ended; the supervisor's last word
//
// Each file but the pipe appears whole, by a rename. A folder with a free lock and no exit is that
// of a supervisor that was killed; without `supervisor` too, nothing was ever started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/node/process/process_identity.h"
#include "devices/host/unique_fd.h"

namespace shoal::node {

// Descriptors that a supervisor is started with.
inline constexpr int lock_fd = 3;
inline constexpr int ready_fd = 4;  // a pipe's end, closed when the VMM runs or cannot

inline constexpr const char* lock_file = "lock";
inline constexpr const char* supervisor_file = "supervisor";
inline constexpr const char* exit_file = "exit";
inline constexpr const char* request_file = "request";
// What the reason of an Exit begins with when the VMM did not do what it was asked.
inline constexpr std::string_view not_loaded = "its snapshot cannot be loaded";
// A clone's arguments take up to 32 KiB, as JSON.
inline constexpr std::size_t max_request_bytes = std::size_t{256} << 10;

struct Supervision {
    ProcessIdentity supervisor;
    std::int64_t started_ms = 0;  // since 1970
    bool operator==(const Supervision&) const = default;
};

struct Exit {
    int code = 0;  // the program's; 128 + N: killed by signal N
    std::int64_t ended_ms = 0;
    std::string reason;  // one sentence where the code does not say it all
    bool operator==(const Exit&) const = default;
};

[[nodiscard]] std::string to_text(const Supervision& supervision);
[[nodiscard]] std::string to_text(const Exit& exit);
[[nodiscard]] std::optional<Supervision> supervision_in(std::string_view text);
[[nodiscard]] std::optional<Exit> exit_in(std::string_view text);

// In the folder that is open as `folder` (AT_FDCWD: the working directory). Throws
// std::system_error.
void write_whole(int folder, const char* name, std::string_view text);
// Nothing if there is no such file. No more than the limit is read.
[[nodiscard]] std::optional<std::string> read_whole(int folder, const char* name,
                                                    std::size_t limit_bytes = 4096);

// Takes the lock, creating its file. Empty when somebody holds it. Throws std::system_error.
[[nodiscard]] host::UniqueFd try_lock(int folder, const char* name = lock_file);

// Wall clock, in milliseconds since 1970.
[[nodiscard]] std::int64_t wall_clock_ms() noexcept;

}  // namespace shoal::node
