// One line from a socket.
#include "devices/backend/vsock_greeting.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>

namespace shoal::backend {
namespace {

constexpr std::string_view blanks = " \t\r";

// Takes the next word off the front of `text`.
std::string_view take_word(std::string_view& text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
    return word;
}

bool is_connect(std::string_view word) noexcept {
    return std::ranges::equal(word, std::string_view{"connect"}, [](char given, char wanted) {
        return given == wanted || given + ('a' - 'A') == wanted;
    });
}

}  // namespace

std::optional<std::uint32_t> parse_connect_line(std::string_view line) noexcept {
    if (!is_connect(take_word(line))) {
        return std::nullopt;
    }
    const std::string_view digits = take_word(line);
    if (!take_word(line).empty()) {
        return std::nullopt;
    }
    std::uint32_t port = 0;
    const char* const end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, port);
    return error == std::errc{} && rest == end ? std::optional{port} : std::nullopt;
}

VsockGreeting::Status VsockGreeting::read(int fd) noexcept {
    while (size_ < line_.size()) {
        char* const at = line_.data() + size_;
        // Only looks, so as not to take what follows the line.
        const ssize_t seen = ::recv(fd, at, line_.size() - size_, MSG_PEEK | MSG_DONTWAIT);
        if (seen <= 0) {
            const bool later = seen < 0 && (errno == EAGAIN || errno == EINTR);
            return later ? Status::unfinished : Status::failed;
        }
        const char* const newline = std::find(at, at + seen, '\n');
        const bool ends = newline != at + seen;
        const std::size_t count = static_cast<std::size_t>(newline - at) + (ends ? 1 : 0);
        if (::recv(fd, at, count, MSG_DONTWAIT) != static_cast<ssize_t>(count)) {
            return Status::failed;
        }
        size_ += count;
        if (ends) {
            return parse(size_ - 1);
        }
    }
    return Status::failed;
}

VsockGreeting::Status VsockGreeting::parse(std::size_t size_bytes) noexcept {
    const auto port = parse_connect_line({line_.data(), size_bytes});
    port_ = port.value_or(0);
    return port ? Status::finished : Status::failed;
}

}  // namespace shoal::backend
