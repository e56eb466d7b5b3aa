// VolumeChanges: volumes of this host are made and deleted, whoever wants that: the file first,
// then the store, then the file's name (volume_folder.h says why). One on a storage becomes this
// host's by a word to the store.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "controlplane/model/volume.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/store/store.h"
#include "controlplane/volume/volume_folders.h"

namespace shoal::node {

// Why a volume was not made or not deleted.
struct VolumeFailure {
    std::string reason;
    std::optional<store::Error> store{};  // nothing: it was the disk, or
    bool is_in_use = false;               // somebody has the volume
};

// On the loop's thread.
class VolumeChanges {
public:
    // Files are made and deleted by the workers: a full disk's flush, and the deletion of a large
    // file, take seconds, for which heartbeats do not wait.
    struct Parts {
        boost::asio::io_context& context;
        boost::asio::thread_pool& workers;
        store::Store& store;
        Mirror& mirror;
        const volumes::VolumeFolders& folders;
    };
    // Once the mirror shows it; with what went wrong, if anything did.
    using Done = std::move_only_function<void(const std::optional<VolumeFailure>& failure)>;
    // The microVM that has the volume; empty: none.
    using FindUser = std::function<std::string()>;

    // Borrows all; lives as long as the context runs.
    explicit VolumeChanges(const Parts& parts) : parts_{parts} {}
    VolumeChanges(const VolumeChanges&) = delete;
    VolumeChanges& operator=(const VolumeChanges&) = delete;
    ~VolumeChanges() = default;

    // Whether it is being made or deleted: then it must not be asked for.
    [[nodiscard]] bool is_changing(const std::string& name) const {
        return changing_.contains(name);
    }
    [[nodiscard]] bool reaches(const std::string& storage) const {
        return parts_.folders.find(storage) != nullptr;
    }
    // On a storage that this host reaches, of a host that is no longer one of the cluster's.
    [[nodiscard]] bool is_orphan(const model::Volume& volume) const {
        return !volume.storage.empty() && reaches(volume.storage) &&
               parts_.mirror.find_host(volume.host) == nullptr;
    }
    // Why a volume of this name cannot be made: this host does not reach the storage, or there is a
    // file of this name that the store does not know, somebody's data. Empty: it can.
    [[nodiscard]] std::string why_not(const std::string& name, const std::string& storage) const;

    // Under further conditions. The store does not have it, and it can be made.
    void create(const model::Volume& volume, std::vector<store::Condition> conditions, Done done);
    // One on a storage that this host reaches, as the store had it at `revision`; under further
    // conditions.
    void adopt(model::Volume volume, const std::string& host, Revision revision,
               std::vector<store::Condition> conditions, Done done);
    // Of this host, as the store had it at `revision`. Somebody may attach it meanwhile.
    void remove(const model::Volume& volume, Revision revision, FindUser find_user, Done done);

private:
    using Step = std::function<void(const volumes::VolumeFolder&)>;
    using Then = std::move_only_function<void(std::error_code error, const std::string& what)>;
    struct Change {
        std::string name;
        std::string storage;
        store::Transaction transaction;
        // What is done to the file when its record is written, or when it could not be; empty:
        // nothing.
        Step finish;
        Step take_back;
        Done done;
    };

    void do_to_file(const std::string& storage, Step step, Then then);
    void commit(Change change);
    void take_back(Change change, VolumeFailure failure);
    void end(Change change, const std::optional<VolumeFailure>& failure);

    Parts parts_;
    std::set<std::string> changing_;
};

}  // namespace shoal::node
