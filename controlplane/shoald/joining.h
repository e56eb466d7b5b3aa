// Joining: where hosts that have no certificate yet get one, at a host that has the authority's
// key.
#pragma once

#include <boost/asio/io_context.hpp>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/peer/server.h"
#include "controlplane/pki/authority.h"
#include "controlplane/shoald/options.h"

namespace shoal::daemon {

class Joining {
public:
    // Borrows context and service. Throws std::runtime_error.
    Joining(const Options& options, boost::asio::io_context& context, rest::Service& service);
    Joining(const Joining&) = delete;
    Joining& operator=(const Joining&) = delete;
    ~Joining() = default;

    [[nodiscard]] const pki::Authority& authority() const noexcept { return authority_; }
    // Shows what is in the files now.
    void use(const store::TlsFiles& files) const;
    [[nodiscard]] std::string fingerprint() const { return authority_.fingerprint(); }
    // Once the store is mirrored.
    void start() { server_.start(); }

private:
    pki::Authority authority_;
    peer::Tls tls_;
    rest::Api api_;
    peer::Server server_;  // a port of its own: nobody without a certificate gets at another one
};

}  // namespace shoal::daemon
