// Other hosts may ask what is here alone, and no more: the rest is in the store that all have.
#include "controlplane/shoald/peers.h"

#include <utility>

#include "controlplane/api/calls.h"
#include "controlplane/api/exec.h"
#include "controlplane/api/pass_on.h"
#include "controlplane/api/usage.h"

namespace shoal::daemon {

Peers::Peers(const Options& options, boost::asio::io_context& context,
             boost::asio::thread_pool& workers, rest::Service& service, rest::Consoles& consoles,
             const content::BundleFolder& templates, const content::BundleFolder& images)
    : tls_{peer::make_tls(options.peer_tls)},
      service_{service},
      logs_{context, service_, options.state_dir + "/logs"},
      server_{
          context, options.address, options.peer_port, tls_,
          [this](rest::Request request, rest::Respond respond) {
              rest::when_up_to_date(service_, std::move(request), std::move(respond),
                                    [this](const rest::Request& ready, rest::Respond answer) {
                                        api_.handle(ready, std::move(answer));
                                    });
          },
          // One that was deleted has its certificate still, until that expires.
          [this](const std::string& host) { return service_.mirror.find_host(host) != nullptr; }},
      client_{context, tls_},
      templates_{{context, workers, templates}, {context, workers, templates, client_}},
      images_{{context, workers, images}, {context, workers, images, client_}} {
    rest::add_logs(api_, logs_);
    rest::add_calls(api_, service_, context);
    rest::add_exec(api_, service_, context);
    rest::add_usage(api_, service_, options.run_dir + "/microvms");
    rest::add_console(api_, {context, service_, consoles, options.state_dir + "/logs",
                             options.run_dir + "/microvms"});
    peer::add_bundle_files(api_, templates_.files);
    peer::add_bundle_files(api_, images_.files);
    service.ask_host = [this](const model::Host& host, const rest::Request& request,
                              std::chrono::seconds patience, rest::Respond respond) {
        // Output may be silent for long.
        client_.send({host.name, host.peer_address}, request, {patience, std::chrono::seconds{0}},
                     std::move(respond));
    };
}

void Peers::use(const store::TlsFiles& files) const {
    store::use_files(*tls_, files, "between hosts");
}

// Another one each time: the one before may not answer.
void Peers::renew_certificate(const std::string& body, rest::Respond respond) {
    std::vector<peer::Peer> peers;
    for (const auto& [name, entry] : service_.mirror.hosts()) {
        if (name != service_.host && entry.host.renews_certificates) {
            peers.push_back({name, entry.host.peer_address});
        }
    }
    if (peers.empty()) {
        return respond(rest::to_response(
            rest::Problem{503, "no host of the cluster has the authority's key (--peer-ca-key)"}));
    }
    rest::Request request;
    request.method = "POST";
    request.path = {"v1", "certificate"};
    request.body = body;
    client_.send(peers[renewal_count_++ % peers.size()], request, {}, std::move(respond));
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
