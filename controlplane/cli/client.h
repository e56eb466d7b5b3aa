// Client: requests to a shoald, one connection each.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "devices/host/unique_fd.h"

namespace shoal::cli {

inline constexpr const char* default_socket = "/run/shoal/shoald.socket";

struct Reply {
    unsigned status = 0;
    std::string body;
};

struct Call {
    std::string method;
    std::string target;
    std::string body{};
    std::string if_match{};  // a resource_version; empty: none
};

struct Upgraded {
    host::UniqueFd connection;
    std::string early;  // what has come of it already
};

class Client {
public:
    using Piece = std::function<void(std::string_view)>;

    explicit Client(std::string socket) : socket_{std::move(socket)} {}

    // Throws CliError with one sentence when nobody answers, or with the problem's when the answer
    // is no success.
    Reply call(const Call& call) const;
    // The same, with the body piece by piece as it comes.
    void stream(const Call& call, const Piece& piece) const;
    // The same, but the answer is that the connection goes on in another protocol.
    [[nodiscard]] Upgraded upgrade(const Call& call, std::string_view protocol) const;

private:
    [[nodiscard]] host::UniqueFd connect() const;

    std::string socket_;
};

// As one segment of a path, or a parameter's value.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace shoal::cli
