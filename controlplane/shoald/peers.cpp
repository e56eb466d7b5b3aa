// Other hosts may ask what is here alone, and no more: the rest is in the store that all have.
#include "controlplane/shoald/peers.h"

#include <utility>

#include "controlplane/api/calls.h"

namespace shoal::daemon {

Peers::Peers(const Options& options, boost::asio::io_context& context,
             boost::asio::thread_pool& workers, rest::Service& service,
             const templates::TemplateFolder& templates)
    : tls_{peer::make_tls(options.peer_tls)},
      service_{service},
      logs_{context, service_, options.state_dir + "/logs"},
      template_files_{context, workers, templates},
      server_{context, options.address, options.peer_port, tls_,
              [this](const rest::Request& request, rest::Respond respond) {
                  api_.handle(request, std::move(respond));
              }},
      client_{context, tls_},
      fetcher_{context, workers, templates, client_} {
    rest::add_logs(api_, logs_);
    rest::add_calls(api_, service_, context);
    templates::add_template_files(api_, template_files_);
    service.ask_host = [this](const model::Host& host, const rest::Request& request,
                              std::chrono::seconds patience, rest::Respond respond) {
        // Output may be silent for long.
        client_.send({host.name, host.peer_address}, request, {patience, std::chrono::seconds{0}},
                     std::move(respond));
    };
}

std::string Peers::fetch_template(const model::Template& wanted) {
    std::vector<peer::Peer> peers;
    for (const std::string& name : service_.mirror.objects().hosts_with(wanted)) {
        const auto found = service_.mirror.hosts().find(name);
        if (name != service_.host && found != service_.mirror.hosts().end() &&
            !found->second.host.peer_address.empty()) {
            peers.push_back({name, found->second.host.peer_address});
        }
    }
    return fetcher_.fetch(wanted.digest, std::move(peers));
}

}  // namespace shoal::daemon
