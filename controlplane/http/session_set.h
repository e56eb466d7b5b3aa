// SessionSet: the sessions of a server, up to a limit.
#pragma once

#include <memory>
#include <vector>

#include "controlplane/http/session.h"

namespace shoal::rest {

inline constexpr std::size_t max_connections = 1024;

// Of each server.
class SessionSet {
public:
    // `handle` answers their requests.
    SessionSet(Handle handle, PutBodies put_bodies)
        : handle_{std::move(handle)}, put_bodies_{put_bodies} {}
    SessionSet(const SessionSet&) = delete;
    SessionSet& operator=(const SessionSet&) = delete;
    // Closes them.
    ~SessionSet();

    // One more. Nothing is read before it is told to begin.
    [[nodiscard]] std::shared_ptr<Session> add(Stream stream);
    // Has it answer requests or, where there are too many, refuse them.
    void begin(Session& session) const;

private:
    Handle handle_;
    PutBodies put_bodies_;
    // Sessions count themselves; they may outlive the server by what is pending in the loop.
    std::shared_ptr<std::size_t> count_ = std::make_shared<std::size_t>(0);
    std::vector<std::weak_ptr<Session>> sessions_;
};

}  // namespace shoal::rest
