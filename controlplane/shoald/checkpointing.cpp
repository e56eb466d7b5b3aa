// Composition alone.
#include "controlplane/shoald/checkpointing.h"

namespace shoal::daemon {

Checkpointing::Checkpointing(const Options& options, const std::string& vmm, const Parts& parts)
    : mirror_{parts.mirror},
      folder_{options.state_dir + "/checkpoints", vmm},
      workers_{node::Checkpointer::max_at_once},
      others_{{parts.context, workers_, mirror_, folder_, parts.peers.client()}},
      keeper_{{parts.context, workers_, parts.loop, mirror_, folder_, others_}, options.host},
      takeover_{{parts.context, workers_, parts.store, mirror_, folder_, parts.volumes},
                options.host},
      checkpointer_{{parts.loop, parts.store, mirror_, parts.runner, parts.vmm_client, others_,
                     parts.volumes},
                    options.host} {
    peer::add_checkpoints(parts.peers.api(), {parts.context, workers_, folder_, keeper_});
    parts.provisions.set_checkpoints(keeper_, takeover_, folder_);
}

Checkpointing::~Checkpointing() {
    mirror_.remove_listener(keeper_);
    mirror_.remove_listener(takeover_);
    mirror_.remove_listener(checkpointer_);
}

void Checkpointing::start() {
    mirror_.add_listener(keeper_);
    mirror_.add_listener(takeover_);
    mirror_.add_listener(checkpointer_);
    keeper_.start();
    checkpointer_.start();
}

}  // namespace shoal::daemon
