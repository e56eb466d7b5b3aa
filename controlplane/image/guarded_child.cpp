// poll(2) on the program's output, which it closes by ending.
#include "controlplane/image/guarded_child.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <stdexcept>

#include "controlplane/node/process/child_process.h"
#include "devices/host/file_size.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::images {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr int poll_ms = 100;
constexpr std::chrono::seconds look_period{1};
constexpr std::size_t max_output_bytes = 4096;  // its end

[[noreturn]] void fail(const std::string& sentence) {
    throw std::runtime_error{sentence};
}

// Has something to say once it must not go on.
class Watchdog {
public:
    explicit Watchdog(const Guard& guard) : guard_{guard} {}

    // Throws std::runtime_error.
    void look() {
        const auto now = steady_clock::now();
        if (guard_.stop.stop_requested()) {
            fail("shoald ends");
        }
        if (now - began_ > guard_.limits.time) {
            fail("it takes more than " + std::to_string(guard_.limits.time.count()) + " s");
        }
        if (now - looked_ >= look_period) {
            expect_small(guard_);
            looked_ = steady_clock::now();  // Looking takes time, too.
        }
    }

private:
    const Guard& guard_;
    steady_clock::time_point began_ = steady_clock::now();
    steady_clock::time_point looked_ = began_;
};

// Its last words, until it closes its output.
std::string read_guarded(int fd, const Guard& guard) {
    Watchdog watchdog{guard};
    std::string text;
    std::array<char, 4096> buffer;
    while (true) {
        watchdog.look();
        pollfd waited{fd, POLLIN, 0};
        if (::poll(&waited, 1, poll_ms) <= 0) {
            continue;
        }
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count <= 0) {
            return text;
        }
        text.append(buffer.data(), static_cast<std::size_t>(count));
        text.erase(0, text.size() - std::min(text.size(), max_output_bytes));
    }
}

// `msg="..."`, with its quotes escaped as in Go.
std::string unquoted(std::string_view text) {
    std::string message;
    for (std::size_t at = 0; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) {
            ++at;
        }
        message += text[at];
    }
    return message;
}

}  // namespace

void expect_small(const Guard& guard) {
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
    std::error_code error;
    fs::recursive_directory_iterator at{guard.folder, error};
    for (; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
        struct stat status {};
        if (::lstat(at->path().c_str(), &status) == 0) {
            bytes += host::allocated_bytes(status) / status.st_nlink;
            ++files;
        }
        if (bytes > guard.limits.bytes) {
            fail("it takes more than " + std::to_string(guard.limits.bytes) +
                 " bytes of the disk while it is made");
        }
        if (files > guard.limits.files) {
            fail("it has more than " + std::to_string(guard.limits.files) + " files");
        }
    }
    // The program goes on meanwhile: what was there a moment ago may be gone.
    if (error && error != std::errc::no_such_file_or_directory) {
        fail("its files cannot be counted: " + error.message());
    }
}

void run_guarded(const std::vector<std::string>& words, const Guard& guard) {
    if (::access(words.front().c_str(), X_OK) != 0) {
        fail("there is no " + words.front() +
             ": images are imported by the packages skopeo, umoci and erofs-utils");
    }
    host::Pipe pipe = host::make_pipe();
    const pid_t child = node::start_child(words, pipe.write.get());
    pipe.write = {};
    std::string said;
    try {
        said = read_guarded(pipe.read.get(), guard);
    } catch (...) {
        ::kill(child, SIGKILL);
        static_cast<void>(node::wait_for_child(child));
        throw;
    }
    if (!node::wait_for_child(child)) {
        const std::string message = message_in(said);
        fail(message.empty() ? words.front() + " failed" : message);
    }
    expect_small(guard);
}

std::string message_in(const std::string& output) {
    std::string line = node::last_words(output);
    constexpr std::string_view key = "msg=\"";
    if (const std::size_t at = line.find(key); at != std::string::npos) {
        return unquoted(std::string_view{line}.substr(at + key.size()));
    }
    // What is no letter in front, and spaces behind, are decoration.
    const auto is_word = [](char byte) { return byte > ' ' && byte < 0x7F; };
    const auto first = std::ranges::find_if(line, is_word);
    line.erase(line.begin(), first);
    while (line.ends_with(' ')) {
        line.pop_back();
    }
    return line;
}

}  // namespace shoal::images
