// Refused ones count, too, until they have gone.
#include "controlplane/http/session_set.h"

#include <algorithm>
#include <string>

#include "controlplane/http/problem.h"

namespace shoal::rest {

SessionSet::~SessionSet() {
    for (const auto& session : sessions_) {
        if (const auto alive = session.lock()) {
            alive->close();
        }
    }
}

std::shared_ptr<Session> SessionSet::add(Stream stream) {
    ++*count_;
    std::erase_if(sessions_, [](const auto& session) { return session.expired(); });
    auto session = std::make_shared<Session>(std::move(stream), handle_, put_bodies_,
                                             [count = count_] { --*count; });
    sessions_.push_back(session);
    return session;
}

void SessionSet::begin(Session& session) const {
    if (*count_ > max_connections) {
        return session.refuse(to_response(
            Problem{503, "there are " + std::to_string(max_connections) + " connections already"}));
    }
    session.start();
}

}  // namespace shoal::rest
