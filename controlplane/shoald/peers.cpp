// Other hosts may ask what is here alone, and no more: the rest is in the store that all have.
#include "controlplane/shoald/peers.h"

#include <utility>

#include "controlplane/api/calls.h"
#include "controlplane/api/exec.h"

namespace shoal::daemon {

Peers::Peers(const Options& options, boost::asio::io_context& context,
             boost::asio::thread_pool& workers, rest::Service& service,
             const content::BundleFolder& templates, const content::BundleFolder& images)
    : tls_{peer::make_tls(options.peer_tls)},
      service_{service},
      logs_{context, service_, options.state_dir + "/logs"},
      server_{context, options.address, options.peer_port, tls_,
              [this](const rest::Request& request, rest::Respond respond) {
                  api_.handle(request, std::move(respond));
              }},
      client_{context, tls_},
      templates_{{context, workers, templates}, {context, workers, templates, client_}},
      images_{{context, workers, images}, {context, workers, images, client_}} {
    rest::add_logs(api_, logs_);
    rest::add_calls(api_, service_, context);
    rest::add_exec(api_, service_, context);
    peer::add_bundle_files(api_, templates_.files);
    peer::add_bundle_files(api_, images_.files);
    service.ask_host = [this](const model::Host& host, const rest::Request& request,
                              std::chrono::seconds patience, rest::Respond respond) {
        // Output may be silent for long.
        client_.send({host.name, host.peer_address}, request, {patience, std::chrono::seconds{0}},
                     std::move(respond));
    };
}

std::vector<peer::Peer> Peers::peers_with(const std::string& name,
                                          const std::string& digest) const {
    std::vector<peer::Peer> peers;
    for (const std::string& host : service_.mirror.objects().hosts_with(name, digest)) {
        const auto found = service_.mirror.hosts().find(host);
        if (host != service_.host && found != service_.mirror.hosts().end() &&
            !found->second.host.peer_address.empty()) {
            peers.push_back({host, found->second.host.peer_address});
        }
    }
    return peers;
}

std::string Peers::fetch_template(const std::string& name, const std::string& digest) {
    return templates_.fetcher.fetch(digest, peers_with(name, digest));
}

std::string Peers::fetch_image(const std::string& name, const std::string& digest) {
    return images_.fetcher.fetch(digest, peers_with(name, digest));
}

}  // namespace shoal::daemon
