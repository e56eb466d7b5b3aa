// One read at a time: the next one waits until the piece before was taken.
#include "controlplane/content/file_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::content {
namespace {

constexpr std::size_t piece_bytes = std::size_t{256} << 10;

}  // namespace

struct FileSource::File {
    host::UniqueFd fd;
    std::string path;
};

FileSource::FileSource(boost::asio::io_context& context, boost::asio::thread_pool& workers,
                       const std::string& path)
    : context_{context}, workers_{workers} {
    host::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) {
        host::throw_os_error("cannot open " + path);
    }
    file_ = std::make_shared<const File>(File{std::move(fd), path});
}

void FileSource::next(Handler handler) {
    boost::asio::post(workers_, [&context = context_, file = file_, weak = std::weak_ptr{self_},
                                 handler = std::move(handler)]() mutable {
        boost::asio::post(context, [weak = std::move(weak), piece = read(*file),
                                    handler = std::move(handler)]() mutable {
            if (const auto self = weak.lock()) {
                (*self)->take(std::move(piece), std::move(handler));
            }
        });
    });
}

FileSource::Piece FileSource::read(const File& file) {
    Piece piece;
    piece.bytes.resize(piece_bytes);
    const ssize_t count = ::read(file.fd.get(), piece.bytes.data(), piece.bytes.size());
    if (count < 0) {
        piece.failure = "cannot read " + file.path + ": " + std::generic_category().message(errno);
    }
    piece.bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return piece;
}

void FileSource::take(Piece piece, Handler handler) {
    failure_ = std::move(piece.failure);
    piece.bytes.empty() ? handler(std::nullopt) : handler(std::move(piece.bytes));
}

}  // namespace shoal::content
