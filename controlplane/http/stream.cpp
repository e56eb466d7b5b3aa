// Where reading and writing meets the layers.
#include "controlplane/http/stream.h"

namespace shoal::rest {

void Stream::read_some(const Buffers<boost::asio::mutable_buffer>& buffers, Done done) {
    std::visit([&](auto& layer) { layer.async_read_some(buffers, std::move(done)); }, layers_);
}

void Stream::write_some(const Buffers<boost::asio::const_buffer>& buffers, Done done) {
    std::visit([&](auto& layer) { layer.async_write_some(buffers, std::move(done)); }, layers_);
}

}  // namespace shoal::rest
