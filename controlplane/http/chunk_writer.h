// ChunkWriter: a body that comes piece by piece, as chunks (RFC 9112, 7.1). Nothing is taken from
// its source before what was taken last is written.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/http/exchange.h"
#include "controlplane/http/stream.h"

namespace shoal::rest {

// Until a reader takes what was written to it.
inline constexpr std::chrono::seconds write_timeout{30};

class ChunkWriter {
public:
    enum class End { whole, cut_off };
    using Done = std::move_only_function<void(End)>;

    // Borrows the stream.
    explicit ChunkWriter(Stream& stream) : stream_{stream} {}

    // `owner` is who has this and the stream: it lives until there is nothing to wait for. `done`
    // is called unless stop() is. A source that has failed is cut off: the last chunk is not
    // written.
    void start(std::shared_ptr<Source> source, std::weak_ptr<void> owner, Done done);
    void stop() noexcept;

private:
    void next();
    void write(std::optional<std::string> piece);
    void finish(End end);

    Stream& stream_;
    std::shared_ptr<Source> source_;
    std::weak_ptr<void> owner_;
    Done done_;
    std::string piece_;
};

}  // namespace shoal::rest
