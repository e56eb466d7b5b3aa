// inotify(7) tells of more output, the mirror of the end.
#include "controlplane/api/log_source.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "controlplane/http/problem.h"

namespace shoal::rest {
namespace {

constexpr std::size_t piece_bytes = std::size_t{64} << 10;

}  // namespace

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
    const bool is_over = request_.end == LogRequest::End::at_end_of_file || has_ended();
    open();
    wait_for_write();
    std::string piece = read();
    if (!piece.empty()) {
        std::exchange(handler_, {})(std::move(piece));
    } else if (is_over) {
        std::exchange(handler_, {})(std::nullopt);
    }
}

bool LogSource::has_ended() const {
    const node::MicroVm* microvm = mirror_.find(request_.name);
    return microvm == nullptr ||
           (microvm->status && (microvm->status->phase == model::Phase::succeeded ||
                                microvm->status->phase == model::Phase::failed));
}

// It comes with the first start.
void LogSource::open() {
    if (file_) {
        return;
    }
    file_ = host::UniqueFd{::open(request_.path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file_ || request_.end == LogRequest::End::at_end_of_file) {
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
