// Peers: what the other hosts ask of this one, and this one of them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/logs.h"
#include "controlplane/api/service.h"
#include "controlplane/content/content_folder.h"
#include "controlplane/peer/client.h"
#include "controlplane/peer/content_routes.h"
#include "controlplane/peer/server.h"
#include "controlplane/shoald/options.h"

namespace shoal::daemon {

class Peers {
public:
    // Borrows all but the options. `service` is the users'. Throws std::runtime_error.
    Peers(const Options& options, boost::asio::io_context& context,
          boost::asio::thread_pool& workers, rest::Service& service);
    Peers(const Peers&) = delete;
    Peers& operator=(const Peers&) = delete;
    ~Peers() = default;

    // Of this host, for its record.
    [[nodiscard]] const std::string& address() const noexcept { return server_.address(); }
    // What others ask; to be added to before start().
    [[nodiscard]] rest::Api& api() noexcept { return api_; }
    // What asks others.
    [[nodiscard]] peer::Client& client() noexcept { return client_; }
    // Once the store is mirrored.
    void start() { server_.start(); }

private:
    peer::Tls tls_;
    rest::Service service_;  // as the users', but passes nothing on
    rest::LogService logs_;
    content::ContentFolder content_folder_;
    peer::ContentService contents_;
    rest::Api api_;
    peer::Server server_;
    peer::Client client_;
};

}  // namespace shoal::daemon
