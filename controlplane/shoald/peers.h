// Peers: what the other hosts ask of this one, and this one of them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/logs.h"
#include "controlplane/api/service.h"
#include "controlplane/peer/client.h"
#include "controlplane/peer/server.h"
#include "controlplane/shoald/options.h"
#include "controlplane/template/template_fetcher.h"
#include "controlplane/template/template_routes.h"

namespace shoal::daemon {

class Peers {
public:
    // Borrows all but the options. `service` is the users'. Throws std::runtime_error.
    Peers(const Options& options, boost::asio::io_context& context,
          boost::asio::thread_pool& workers, rest::Service& service,
          const templates::TemplateFolder& templates);
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
    // Has it come from a host that has it; how that goes, in a sentence.
    [[nodiscard]] std::string fetch_template(const model::Template& wanted);
    void on_template_fetched(std::function<void()> fetched) {
        fetcher_.on_fetched(std::move(fetched));
    }

private:
    peer::Tls tls_;
    rest::Service service_;  // as the users', but passes nothing on
    rest::LogService logs_;
    templates::TemplateFiles template_files_;
    rest::Api api_;
    peer::Server server_;
    peer::Client client_;
    templates::TemplateFetcher fetcher_;
};

}  // namespace shoal::daemon
