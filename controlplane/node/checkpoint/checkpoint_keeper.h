// CheckpointKeeper: the checkpoints on this host's disk: keeps those of others' microVMs for as
// long as the store has them as theirs, and fetches those of microVMs that are to go on here.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/checkpoint/checkpoint_folder.h"
#include "controlplane/node/mirror/mirror.h"

namespace shoal::node {

// How a checkpoint comes from another host. On the loop's thread.
class CheckpointSource {
public:
    struct Answer {
        std::string failure{};  // why it did not come, in a sentence; empty: it did
        bool is_local = false;  // it could not be written here: the other host may be well
    };
    using Fetched = std::move_only_function<void(Answer answer)>;

    virtual ~CheckpointSource() = default;
    // Its pack becomes the file `path`. Calls `fetched` later, once.
    virtual void fetch(const std::string& host, const checkpoints::CheckpointId& id,
                       const std::string& path, Fetched fetched) = 0;
};

// Whether a host keeps one. `mirror_at`: the revision that is known of the store.
[[nodiscard]] bool is_kept(const checkpoints::CheckpointId& id, const MicroVm* microvm,
                           const std::string& host, Revision mirror_at);

class CheckpointKeeper final : public MirrorListener {
public:
    using Id = checkpoints::CheckpointId;
    // Why it could not be done, in a sentence; empty: it is.
    using Done = std::move_only_function<void(std::string failure)>;

    struct Parts {
        boost::asio::io_context& context;
        boost::asio::thread_pool& workers;  // which wait for the disk
        store::EventLoop& loop;
        const Mirror& mirror;
        const checkpoints::CheckpointFolder& folder;
        CheckpointSource& source;
    };

    // Borrows the parts. `host`: this host's name.
    CheckpointKeeper(const Parts& parts, std::string host);
    CheckpointKeeper(const CheckpointKeeper&) = delete;
    CheckpointKeeper& operator=(const CheckpointKeeper&) = delete;
    ~CheckpointKeeper() override = default;

    // Once the mirror is ready: deletes what nobody needs.
    void start();
    void on_microvm_changed(const std::string& name) override { sweep(name); }

    // The pack in this partial folder becomes a checkpoint, and the folder goes.
    void install(const std::string& partial, const Id& id, const std::optional<Id>& base,
                 std::size_t drives, Done done);
    // Of a restorable microVM that is to be started here: its checkpoint, which is here and as it
    // was received. Throws NotYet while it is being checked or fetched, and NoCheckpoint when all
    // copies are damaged or no host has given it for long (provisions.h). One with volumes waits
    // longer, while the host that has them is away, too; and all for as long as it is this host's
    // own disk that fails.
    [[nodiscard]] Id expect(const std::string& name, const MicroVm& microvm);

private:
    // On the way to one that a microVM can start from.
    struct Fetch {
        std::size_t drives = 0;
        bool is_patient = false;
        std::size_t refusals = 0;  // by other hosts
        bool is_under_way = false;
        std::string failure;
        std::set<std::string> damaged;  // hosts whose copy is
        store::EventLoop::Duration since{};
    };
    // How work on a checkpoint's files has ended.
    struct Outcome {
        std::string failure;  // one sentence; empty: well
        bool is_damage = false;
        bool is_local = false;  // of neither the other host nor its copy
    };
    using OnOutcome = std::move_only_function<void(const Outcome&)>;

    void sweep(const std::string& name);
    // Does it on a worker, then calls `done` on the loop's thread.
    void work(std::move_only_function<void()> what, OnOutcome done);
    [[nodiscard]] bool are_reachable(const std::vector<std::string>& volumes) const;
    void go_on(const Id& id, const std::vector<std::string>& hosts);
    void check(const Id& id);
    void fetch(const Id& id, const std::string& host);
    void on_fetched(const Id& id, const std::string& host, const Outcome& outcome);

    Parts parts_;
    std::string host_;
    std::set<Id> here_;
    std::set<Id> sound_;  // of those, checked for a microVM that is to start
    std::map<Id, Fetch> fetches_;
    std::shared_ptr<CheckpointKeeper*> self_ = std::make_shared<CheckpointKeeper*>(this);
};

}  // namespace shoal::node
