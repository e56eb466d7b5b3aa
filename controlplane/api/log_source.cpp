// inotify(7) tells of more output, the mirror of the end.
#include "controlplane/api/log_source.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "controlplane/http/problem.h"

namespace shoal::rest {
namespace {

constexpr std::size_t piece_bytes = std::size_t{64} << 10;

}  // namespace

std::uint64_t offset_of_last_lines(const std::string& path, std::uint64_t count) {
    const host::UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    const off_t end = file ? ::lseek(file.get(), 0, SEEK_END) : 0;
    // What was given back to the file system is no lines.
    const off_t begin =
        ::lseek(file.get(), std::max<off_t>(end - off_t{piece_bytes}, 0), SEEK_DATA);
    if (count == 0 || end <= 0 || begin < 0) {
        return static_cast<std::uint64_t>(std::max<off_t>(end, 0));
    }
    std::string text(static_cast<std::size_t>(std::max<off_t>(end - begin, 0)), '\0');
    const ssize_t size = ::pread(file.get(), text.data(), text.size(), begin);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    std::size_t at = text.size() - (text.ends_with('\n') ? 1 : 0);
    for (; count > 0; --count) {
        const std::size_t newline = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
        if (newline == std::string::npos) {
            return static_cast<std::uint64_t>(begin);
        }
        at = newline;
    }
    return static_cast<std::uint64_t>(begin) + at + 1;
}

LogSource::LogSource(boost::asio::io_context& context, node::Mirror& mirror, LogRequest request)
    : context_{context}, mirror_{mirror}, request_{std::move(request)}, changes_{context} {
    mirror_.add_listener(*this);
}

LogSource::~LogSource() {
    mirror_.remove_listener(*this);
}

void LogSource::next(Handler handler) {
    handler_ = std::move(handler);
    boost::asio::post(context_, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->look();
        }
    });
}

void LogSource::on_microvm_changed(const std::string& name) {
    if (name == request_.name && handler_) {
        next(std::move(handler_));
    }
}

void LogSource::look() {
    if (!handler_) {
        return;
    }
    // In this order: what was written before the end is seen.
    const bool is_last_look = is_over();
    open();
    wait_for_write();
    std::string piece = read();
    if (!piece.empty()) {
        std::exchange(handler_, {})(std::move(piece));
    } else if (is_last_look) {
        std::exchange(handler_, {})(std::nullopt);
    }
}

bool LogSource::is_over() const {
    return !request_.is_over || request_.is_over(mirror_.find(request_.name));
}

// It comes with the first start.
void LogSource::open() {
    if (file_) {
        return;
    }
    file_ = host::UniqueFd{::open(request_.path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file_ || !request_.is_over) {
        return;
    }
    host::UniqueFd changes{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    const std::string itself = "/proc/self/fd/" + std::to_string(file_.get());
    if (changes && ::inotify_add_watch(changes.get(), itself.c_str(), IN_MODIFY) >= 0) {
        // Out of descriptors: more is seen when the microVM changes.
        boost::system::error_code ignored;
        const int copy = ::fcntl(changes.get(), F_DUPFD_CLOEXEC, 0);
        static_cast<void>(copy >= 0 ? changes_.assign(copy, ignored) : ignored);
    }
}

void LogSource::wait_for_write() {
    if (!changes_.is_open() || std::exchange(is_waiting_, true)) {
        return;
    }
    changes_.async_wait(decltype(changes_)::wait_read, [weak = std::weak_ptr{self_}](
                                                           const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || !self) {
            return;
        }
        LogSource& source = **self;
        std::array<char, 4096> events{};
        while (::read(source.changes_.native_handle(), events.data(), events.size()) > 0) {
        }
        source.is_waiting_ = false;
        source.look();
    });
}

std::string LogSource::read() {
    if (!file_) {
        return {};
    }
    const off_t data = ::lseek(file_.get(), static_cast<off_t>(request_.offset), SEEK_DATA);
    if (data < 0) {  // ENXIO: nothing from there on
        return {};
    }
    request_.offset = static_cast<std::uint64_t>(data);
    std::string piece(piece_bytes, '\0');
    const ssize_t count =
        ::pread(file_.get(), piece.data(), piece.size(), static_cast<off_t>(request_.offset));
    piece.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    request_.offset += piece.size();
    return piece;
}

}  // namespace shoal::rest
