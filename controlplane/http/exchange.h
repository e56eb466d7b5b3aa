// A request and its answer, without the wire: what the resources of the API see.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace shoal::rest {

class Stream;

// As much as the store takes as a value.
inline constexpr std::size_t max_body_bytes = std::size_t{512} << 10;

// A body, piece by piece, for as long as it takes. Destroyed when nobody reads it.
class Source {
public:
    // Nothing: the end.
    using Handler = std::move_only_function<void(std::optional<std::string>)>;

    virtual ~Source() = default;
    // One at a time. The handler runs later, once, on the loop's thread; not if the source has been
    // destroyed meanwhile.
    virtual void next(Handler handler) = 0;
    // After the end: why that is not the body's, in a sentence. Empty: it is.
    [[nodiscard]] virtual std::string failure() const { return {}; }
};

struct Request {
    std::string method;
    std::vector<std::string> path;  // segments, percent-decoded
    std::map<std::string, std::string> query;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
    std::shared_ptr<Source> source{};  // then the body is its pieces
};

struct Response {
    unsigned status = 200;
    std::string body{};
    std::string content_type = "application/json";
    std::map<std::string, std::string> headers{};
    std::shared_ptr<Source> source{};  // then the body is its pieces
    // Then the status is 101: the connection goes on as this one, of which the body has come
    // already. It holds on to whoever has the stream.
    std::shared_ptr<Stream> upgraded{};
};

// May be called at once or later, on the loop's thread; once.
using Respond = std::move_only_function<void(Response)>;

// Whoever answers requests. Outlives all of them.
using Handle = std::function<void(Request, Respond)>;

}  // namespace shoal::rest
