// Numbers between spaces; a reason is the rest of its line.
#include "controlplane/node/process/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>

#include "devices/host/clock.h"
#include "devices/host/os_error.h"

namespace shoal::node {
namespace {

// The number at the begin of `text`, and one separator behind it, are taken off.
template <typename Number>
bool take(std::string_view& text, Number& number, char separator) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || rest == end || *rest != separator) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()) + 1);
    return true;
}

void write_all(int fd, std::string_view text, const char* name) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0 && errno != EINTR) {
            host::throw_os_error(std::string{"cannot write "} + name);
        }
        text.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
    }
}

}  // namespace

std::string to_text(const Supervision& supervision) {
    return std::to_string(supervision.supervisor.pid) + " " +
           std::to_string(supervision.supervisor.start_ticks) + " " +
           std::to_string(supervision.started_ms) + "\n";
}

std::string to_text(const Exit& exit) {
    return std::to_string(exit.code) + " " + std::to_string(exit.ended_ms) + " " + exit.reason +
           "\n";
}

std::optional<Supervision> supervision_in(std::string_view text) {
    Supervision supervision;
    const bool is_whole = take(text, supervision.supervisor.pid, ' ') &&
                          take(text, supervision.supervisor.start_ticks, ' ') &&
                          take(text, supervision.started_ms, '\n');
    return is_whole && text.empty() && supervision.supervisor.pid > 0 ? std::optional{supervision}
                                                                      : std::nullopt;
}

std::optional<Exit> exit_in(std::string_view text) {
    Exit exit;
    if (!take(text, exit.code, ' ') || !take(text, exit.ended_ms, ' ') || !text.ends_with('\n') ||
        text.find('\n') != text.size() - 1 || exit.code < 0 || exit.code > 255) {
        return std::nullopt;
    }
    exit.reason = std::string{text.substr(0, text.size() - 1)};
    return exit;
}

void write_whole(int folder, const char* name, std::string_view text) {
    const std::string partial = std::string{name} + ".partial";
    const host::UniqueFd file{
        ::openat(folder, partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (!file) {
        host::throw_os_error("cannot create " + partial);
    }
    write_all(file.get(), text, name);
    host::check_os(::renameat(folder, partial.c_str(), folder, name), "renameat");
}

std::optional<std::string> read_whole(int folder, const char* name, std::size_t limit_bytes) {
    const host::UniqueFd file{::openat(folder, name, O_RDONLY | O_CLOEXEC)};
    if (!file && errno == ENOENT) {
        return std::nullopt;
    }
    if (!file) {
        host::throw_os_error(std::string{"cannot open "} + name);
    }
    std::string bytes(limit_bytes, '\0');
    const ssize_t count = host::check_os(::read(file.get(), bytes.data(), bytes.size()), "read");
    bytes.resize(static_cast<std::size_t>(count));
    return bytes;
}

host::UniqueFd try_lock(int folder, const char* name) {
    host::UniqueFd file{::openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (!file) {
        host::throw_os_error(std::string{"cannot open "} + name);
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            return {};
        }
        host::throw_os_error(std::string{"cannot lock "} + name);
    }
    return file;
}

std::int64_t wall_clock_ms() noexcept {
    return static_cast<std::int64_t>(host::realtime_ns() / 1'000'000);
}

}  // namespace shoal::node
