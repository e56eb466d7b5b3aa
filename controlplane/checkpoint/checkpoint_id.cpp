// In the form of run folders' names (controlplane/node/mirror/attempt.h): a microVM and two
// numbers.
#include "controlplane/checkpoint/checkpoint_id.h"

#include "controlplane/node/mirror/attempt.h"

namespace shoal::checkpoints {

std::string to_text(const CheckpointId& id) {
    return node::to_folder_name({id.microvm, id.placement, id.generation});
}

std::optional<CheckpointId> id_in(std::string_view text) {
    const auto words = node::attempt_in(text);
    return words ? std::optional{CheckpointId{words->name, words->created, words->restarts}}
                 : std::nullopt;
}

}  // namespace shoal::checkpoints
