// VolumeTakeover: the volumes of microVMs that go on here from a checkpoint become what the
// checkpoint has of them, wherever they were.
//
//     disk    a copy of the checkpoint's, flushed, under a name that no earlier state has had
//     store   has the volume as this host's, if the microVM is still placed here, and its
//             checkpoint and the volume are what they were
//     start   the guest finds memory and volume of one moment
//
// The checkpoint stays whole: whoever has to start once more makes another copy. What others have
// of the volume is nobody's from the transaction on; they delete it when they see that.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/checkpoint/checkpoint_folder.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/store/store.h"
#include "controlplane/volume/volume_folder.h"

namespace shoal::node {

class VolumeTakeover final : public MirrorListener {
public:
    // What it borrows.
    struct Parts {
        boost::asio::io_context& context;
        boost::asio::thread_pool& workers;  // which wait for the disk
        store::Store& store;
        Mirror& mirror;
        const checkpoints::CheckpointFolder& checkpoints;
        const volumes::VolumeFolder& volumes;
    };

    // `host`: this host's name.
    VolumeTakeover(const Parts& parts, std::string host) : parts_{parts}, host_{std::move(host)} {}
    VolumeTakeover(const VolumeTakeover&) = delete;
    VolumeTakeover& operator=(const VolumeTakeover&) = delete;
    ~VolumeTakeover() override = default;

    // Of a microVM that is to be started here, now, from this checkpoint, which is here and sound
    // and has nobody's processes: the files of its volumes, in their order. For one start. Throws
    // NotYet (provisions.h) until they are there.
    [[nodiscard]] std::vector<std::string> expect(const MicroVm& microvm,
                                                  const checkpoints::CheckpointId& id);
    // Deletes what others have taken over.
    void on_microvm_changed(const std::string& name) override;

private:
    struct Takeover {
        Revision placement = 0;
        checkpoints::CheckpointId id;
        bool is_under_way = false;
        bool is_done = false;
        std::string failure;
    };
    void begin(const MicroVm& microvm, const checkpoints::CheckpointId& id);
    void commit(const std::string& name, store::Transaction transaction);
    void end(const std::string& name, const std::string& failure);

    Parts parts_;
    std::string host_;
    std::map<std::string, Takeover> takeovers_;  // by microVM
    std::shared_ptr<VolumeTakeover*> self_ = std::make_shared<VolumeTakeover*>(this);
};

}  // namespace shoal::node
