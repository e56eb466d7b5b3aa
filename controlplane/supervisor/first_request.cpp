// One request and one answer do not need an HTTP library in a small, static program: the VMM is
// ours, and of its answer only the status and, when it refuses, the text count.
#include "controlplane/supervisor/first_request.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "controlplane/node/process/run_folder.h"
#include "devices/host/os_error.h"

namespace shoal::supervisor {
namespace {

constexpr std::string_view end_of_head = "\r\n\r\n";
constexpr std::size_t max_answer_bytes = std::size_t{16} << 10;
// A refusal becomes the reason in a status, which has 1024 bytes.
constexpr std::size_t max_refusal_bytes = 512;

std::size_t content_length(std::string_view head) {
    constexpr std::string_view field = "content-length:";
    const auto same = [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    };
    const auto found = std::search(head.begin(), head.end(), field.begin(), field.end(), same);
    std::size_t length = 0;
    if (found != head.end()) {
        std::string_view value =
            head.substr(static_cast<std::size_t>(found - head.begin()) + field.size());
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        std::from_chars(value.data(), value.data() + value.size(), length);
    }
    return std::min(length, max_answer_bytes);
}

std::string printable(std::string text) {
    text.resize(std::min(text.size(), max_refusal_bytes));
    std::ranges::replace_if(
        text, [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; },
        ' ');
    return text;
}

}  // namespace

Verdict verdict_of(const std::string& answer) {
    const std::size_t end = answer.find(end_of_head);
    if (end == std::string::npos) {
        return answer.size() > max_answer_bytes ? Verdict::refused : Verdict::incomplete;
    }
    if (answer.starts_with("HTTP/1.1 2")) {
        return Verdict::accepted;
    }
    const std::size_t whole = end + end_of_head.size() + content_length(answer.substr(0, end));
    return answer.size() >= whole ? Verdict::refused : Verdict::incomplete;
}

FirstRequest::FirstRequest()
    : request_{node::read_whole(AT_FDCWD, node::request_file, node::max_request_bytes)
                   .value_or(std::string{})} {
    if (is_wanted()) {
        std::array<int, 2> fds{};
        host::check_os(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()),
                       "socketpair");
        ours_ = host::UniqueFd{fds[0]};
        theirs_ = host::UniqueFd{fds[1]};
        theirs_text_ = std::to_string(theirs_.get());
    }
}

std::vector<char*> FirstRequest::with_connection(const std::vector<char*>& words) {
    static char option[] = "--api-fd";
    std::vector<char*> all = words;
    if (is_wanted()) {
        all.insert(all.end(), {option, theirs_text_.data()});
    }
    all.push_back(nullptr);
    return all;
}

void FirstRequest::pass_on() const noexcept {
    if (theirs_) {
        ::fcntl(theirs_.get(), F_SETFD, 0);
    }
}

void FirstRequest::send() {
    theirs_ = {};
    std::string_view left = request_;
    while (!left.empty()) {
        const ssize_t count = ::send(ours_.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            return;  // It has ended already, which its exit code tells.
        }
        left.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
    }
}

bool FirstRequest::read_answer() {
    std::array<char, 4096> bytes;
    const ssize_t count = ::recv(ours_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    answer_.append(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    const Verdict verdict = verdict_of(answer_);
    is_answered_ = count <= 0 || verdict != Verdict::incomplete;
    if (is_answered_ && verdict != Verdict::accepted) {
        const std::size_t end = answer_.find(end_of_head);
        refusal_ = node::not_loaded;
        if (end != std::string::npos) {
            refusal_ += ": " + printable(answer_.substr(end + end_of_head.size()));
        }
    }
    return is_answered_ && verdict == Verdict::accepted;
}

}  // namespace shoal::supervisor
