// Peers: what the other hosts ask of this one, and this one of them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <string>
#include <vector>

#include "controlplane/api/api.h"
#include "controlplane/api/console.h"
#include "controlplane/api/logs.h"
#include "controlplane/api/service.h"
#include "controlplane/peer/bundle_fetcher.h"
#include "controlplane/peer/bundle_routes.h"
#include "controlplane/peer/client.h"
#include "controlplane/peer/server.h"
#include "controlplane/shoald/options.h"

namespace shoal::daemon {

class Peers {
public:
    // Borrows all but the options. `service` is the users'. Throws std::runtime_error.
    Peers(const Options& options, boost::asio::io_context& context,
          boost::asio::thread_pool& workers, rest::Service& service, rest::Consoles& consoles,
          const content::BundleFolder& templates, const content::BundleFolder& images);
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
    // Shows what is in the files now, on connections from now on.
    void use(const store::TlsFiles& files) const;
    // Has a host that has the authority's key renew a certificate (rest::renew_certificate()).
    void renew_certificate(const std::string& body, rest::Respond respond);
    // Have one come from a host that has it; how that goes, in a sentence. `name` is what its
    // copies are called.
    [[nodiscard]] std::string fetch_template(const std::string& name, const std::string& digest);
    [[nodiscard]] std::string fetch_image(const std::string& name, const std::string& digest);
    // Called once one has come.
    void on_fetched(const std::function<void()>& fetched) {
        templates_.fetcher.on_fetched(fetched);
        images_.fetcher.on_fetched(fetched);
    }

private:
    // Of one kind: asked for, and fetched.
    struct Bundles {
        peer::BundleFiles files;
        peer::BundleFetcher fetcher;
    };
    [[nodiscard]] std::vector<peer::Peer> peers_with(const std::string& name,
                                                     const std::string& digest) const;

    peer::Tls tls_;
    rest::Service service_;  // as the users', but passes nothing on
    rest::LogService logs_;
    rest::Api api_;
    peer::Server server_;
    peer::Client client_;
    Bundles templates_;
    Bundles images_;
    std::size_t renewal_count_ = 0;
};

}  // namespace shoal::daemon
