// Mover: this host's part in live migrations that the leader wants (model/move.h): as the source it
// has a VMM send its guest, as the destination it starts one that waits for it.
//
//     leader       writes the move: from, to
//     destination  starts a VMM that listens, and adds its address
//     source       tells its VMM to send
//     destination  sees the guest run: places it here and deletes the move, in one transaction; or
//                  that it never will: says why in the move
//     source       sees that: its guest goes on, and it deletes the move
//
// Nothing is remembered that the store, the run folders and the VMMs do not say, so that a shoald
// may be killed at any moment. Which of both VMMs runs the guest is between them
// (vmm/migration/README.md).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/process/runner.h"
#include "controlplane/node/process/vmm_client.h"
#include "controlplane/node/provisions.h"

namespace shoal::node {

struct MoverSettings {
    std::string host;     // this host's name
    std::string address;  // by which other hosts reach it; empty: it takes part in no moves
    std::string vmm;      // path of `shoal-vmm`
    std::string fence;    // the file of VMMs' deadline
    // Certificate, key and authority for the connections; empty: without encryption.
    std::string certificate{}, key{}, authority{};
};

// What the mover has its agent do. On the loop's thread.
class MoveAgent {
public:
    virtual ~MoveAgent() = default;
    virtual void look_at(const std::string& name) = 0;
    virtual void commit(const std::string& name, store::Transaction transaction) = 0;
    [[nodiscard]] virtual std::string log_of(const std::string& name) const = 0;
};

class Mover {
public:
    // Borrows all but the settings.
    Mover(store::EventLoop& loop, Mirror& mirror, Runner& runner, VmmClient& client,
          MoverSettings settings);
    Mover(const Mover&) = delete;
    Mover& operator=(const Mover&) = delete;
    ~Mover() = default;

    void set_agent(MoveAgent& agent) { agent_ = &agent; }
    // Borrowed. Without it microVMs are programs alone.
    void set_provisions(Provisions& provisions) { provisions_ = &provisions; }

    // Whether this microVM, placed elsewhere, is on its way to here under this epoch.
    [[nodiscard]] bool is_coming(const MicroVm& microvm, model::Epoch epoch) const;
    // One look at one that is coming.
    void receive(const MicroVm& microvm, const Attempt& attempt);
    // It is not here, nor on its way to here.
    void forget(const std::string& name);
    // One look at one that runs here and has a move.
    void send(const MicroVm& microvm, const Attempt& attempt);
    // The move of one that leaves the host in another way ends with it.
    static void end_move(const MicroVm& microvm, const std::string& name,
                         store::Transaction& transaction);

private:
    struct Status {
        std::string phase;
        std::string address;
        std::string failure;
    };
    // What the guest finds here instead of what it had at its source; empty: it has none.
    struct Place {
        std::string root;  // the file of its image
        std::string tap;
        std::vector<std::string> disks;  // the files of its volumes
    };
    using Then = std::function<void(const MicroVm&, const Status&)>;

    void ask(const MicroVm& microvm, const Attempt& attempt, Then then);
    void adopt_volumes(const MicroVm& microvm, store::Transaction& transaction) const;
    void order(const Attempt& attempt, const char* target, std::string body);
    void look_later(const std::string& name);
    void start(const MicroVm& microvm, const Attempt& attempt);
    [[nodiscard]] std::optional<Place> find_place(const MicroVm& microvm, const Attempt& attempt);
    [[nodiscard]] std::string receive_order(const MicroVm& microvm, const Attempt& attempt,
                                            const Place& place) const;
    void on_receiving(const MicroVm& microvm, const Attempt& attempt, const Status& status);
    void on_sending(const MicroVm& microvm, const Attempt& attempt, const Status& status);
    void tell_address(const MicroVm& microvm, const std::string& address);
    void arrive(const MicroVm& microvm, const Attempt& attempt);
    void fail(const MicroVm& microvm, const std::string& reason);
    void lose(const MicroVm& microvm, const std::string& reason);
    void write(const MicroVm& microvm, const model::Move& move);
    void stay(const MicroVm& microvm, const std::string& reason);
    [[nodiscard]] std::string tls(const std::string& peer) const;

    store::EventLoop& loop_;
    Mirror& mirror_;
    Runner& runner_;
    VmmClient& client_;
    MoverSettings settings_;
    MoveAgent* agent_ = nullptr;
    Provisions* provisions_ = nullptr;
    std::set<Attempt> asking_;                // nothing else is asked before the answer
    std::map<Attempt, std::string> sent_to_;  // the address of the last try
    std::map<Attempt, store::EventLoop::Duration> waiting_since_;
    std::shared_ptr<Mover*> self_ = std::make_shared<Mover*>(this);
};

}  // namespace shoal::node
