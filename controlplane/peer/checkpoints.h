// Checkpoints between hosts, as packs (checkpoint/checkpoint_folder.h):
//
//     PUT /v1/checkpoints/ID[?base=ID][&drives=N]  keep this; 204 once it is durable
//     GET /v1/checkpoints/ID                       give it back, whole
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/checkpoint/checkpoint_folder.h"
#include "controlplane/node/checkpoint/checkpoint_keeper.h"
#include "controlplane/node/checkpoint/checkpoint_outlet.h"
#include "controlplane/peer/client.h"

namespace shoal::peer {

// The asking side.
class Checkpoints final : public node::CheckpointOutlet, public node::CheckpointSource {
public:
    struct Parts {
        boost::asio::io_context& context;
        boost::asio::thread_pool& workers;  // which wait for the disk
        const node::Mirror& mirror;         // where hosts are
        const checkpoints::CheckpointFolder& folder;
        Client& client;
    };

    // Borrows the parts.
    explicit Checkpoints(const Parts& parts) : parts_{parts} {}
    Checkpoints(const Checkpoints&) = delete;
    Checkpoints& operator=(const Checkpoints&) = delete;
    ~Checkpoints() override = default;

    [[nodiscard]] std::string make_folder(const std::string& place, std::uint64_t bytes) override;
    void delete_folder(const std::string& folder) override;
    void ship(node::Shipment shipment, Done done) override;
    void fetch(const std::string& host, const checkpoints::CheckpointId& id,
               const std::string& path, Fetched fetched) override;

private:
    struct Shipping;

    void send_all(const std::shared_ptr<Shipping>& shipping);
    // Nothing: it is not known where that host is.
    [[nodiscard]] std::optional<Peer> find(const std::string& host) const;

    Parts parts_;
    std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

// What the answering side borrows.
struct CheckpointRoutes {
    boost::asio::io_context& context;
    boost::asio::thread_pool& workers;
    const checkpoints::CheckpointFolder& folder;
    node::CheckpointKeeper& keeper;
};
void add_checkpoints(rest::Api& api, const CheckpointRoutes& routes);

}  // namespace shoal::peer
