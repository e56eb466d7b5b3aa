// One piece is on its way at any time.
#include "controlplane/http/chunk_writer.h"

#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <utility>

namespace shoal::rest {

namespace http = boost::beast::http;
using boost::system::error_code;

void ChunkWriter::start(std::shared_ptr<Source> source, std::weak_ptr<void> owner, Done done) {
    source_ = std::move(source);
    owner_ = std::move(owner);
    done_ = std::move(done);
    next();
}

void ChunkWriter::stop() noexcept {
    source_.reset();
    done_ = nullptr;
}

void ChunkWriter::next() {
    source_->next([this, owner = owner_.lock()](std::optional<std::string> piece) {
        write(std::move(piece));
    });
}

void ChunkWriter::write(std::optional<std::string> piece) {
    if (!source_) {
        return;
    }
    if (!piece && !source_->failure().empty()) {
        return finish(End::cut_off);
    }
    const bool is_last = !piece;
    piece_ = std::move(piece).value_or(std::string{});
    auto on_written = [this, owner = owner_.lock(), is_last](const error_code& error, std::size_t) {
        if (error || is_last) {
            finish(error ? End::cut_off : End::whole);
        } else if (source_) {
            next();
        }
    };
    stream_.expires_after(write_timeout);
    if (is_last) {
        boost::asio::async_write(stream_, http::make_chunk_last(), std::move(on_written));
    } else {
        boost::asio::async_write(stream_, http::make_chunk(boost::asio::buffer(piece_)),
                                 std::move(on_written));
    }
}

void ChunkWriter::finish(End end) {
    source_.reset();
    if (auto done = std::exchange(done_, nullptr)) {
        done(end);
    }
}

}  // namespace shoal::rest
