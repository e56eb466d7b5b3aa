// Checkpointing: the checkpoints that this host makes, keeps for others, and goes on from.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "controlplane/checkpoint/checkpoint_folder.h"
#include "controlplane/node/checkpoint/checkpoint_keeper.h"
#include "controlplane/node/checkpoint/checkpointer.h"
#include "controlplane/node/checkpoint/volume_takeover.h"
#include "controlplane/node/host_provisions.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/process/runner.h"
#include "controlplane/node/process/vmm_client.h"
#include "controlplane/peer/checkpoints.h"
#include "controlplane/shoald/options.h"
#include "controlplane/shoald/peers.h"
#include "controlplane/store/store.h"

namespace shoal::daemon {

class Checkpointing {
public:
    struct Parts {
        boost::asio::io_context& context;
        store::EventLoop& loop;
        store::Store& store;
        node::Mirror& mirror;
        const node::Runner& runner;
        node::VmmClient& vmm_client;
        Peers& peers;
        node::HostProvisions& provisions;
        const volumes::VolumeFolder& volumes;
    };

    // Borrows the parts. `vmm`: path of `shoal-vmm`.
    Checkpointing(const Options& options, const std::string& vmm, const Parts& parts);
    Checkpointing(const Checkpointing&) = delete;
    Checkpointing& operator=(const Checkpointing&) = delete;
    ~Checkpointing();

    // Once the store is mirrored.
    void start();

private:
    node::Mirror& mirror_;
    checkpoints::CheckpointFolder folder_;
    // Of its own: what it does takes seconds, and a template is not to wait for it.
    boost::asio::thread_pool workers_;
    peer::Checkpoints others_;
    node::CheckpointKeeper keeper_;
    node::VolumeTakeover takeover_;
    node::Checkpointer checkpointer_;
};

}  // namespace shoal::daemon
