// A step of the disk by a worker, the rest on the loop.
#include "controlplane/node/volume_changes.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace asio = boost::asio;
namespace keys = model::keys;

// What must be possible after it was possible a moment ago; if not, the next shoald does it.
void log_failure(const std::error_code& error, const std::string& what) {
    if (error) {
        host::log(host::LogLevel::error, what);
    }
}

}  // namespace

// The folder is a path: a worker has its own.
void VolumeChanges::do_to_file(const std::string& storage, Step step, Then then) {
    if (!step) {
        return then({}, {});
    }
    asio::post(parts_.workers, [&context = parts_.context, folder = *parts_.folders.find(storage),
                                step = std::move(step), then = std::move(then)]() mutable {
        std::error_code error;
        std::string what;
        try {
            step(folder);
        } catch (const std::system_error& failure) {
            error = failure.code();
            what = failure.what();
        }
        asio::post(context, [error, what, then = std::move(then)]() mutable { then(error, what); });
    });
}

std::string VolumeChanges::why_not(const std::string& name, const std::string& storage) const {
    const volumes::VolumeFolder* folder = parts_.folders.find(storage);
    if (folder == nullptr) {
        return "this host does not reach storage " + storage;
    }
    return folder->has({name}) && !parts_.mirror.objects().volumes.contains(name)
               ? "there is a file of a volume " + name +
                     " already, which the store does not know: move it away"
               : "";
}

void VolumeChanges::create(const model::Volume& volume, std::vector<store::Condition> conditions,
                           Done done) {
    const std::string& name = volume.name;
    changing_.insert(name);
    const std::string key = keys::of(keys::volumes, name);
    conditions.push_back({key, 0});
    Change change{name,
                  volume.storage,
                  {std::move(conditions), {store::Put{key, model::to_json(volume)}}},
                  [name](const volumes::VolumeFolder& folder) { folder.keep(name); },
                  [name](const volumes::VolumeFolder& folder) { folder.drop(name); },
                  std::move(done)};
    do_to_file(
        volume.storage,
        [name, size_bytes = volume.size_mib << 20](const volumes::VolumeFolder& folder) {
            folder.prepare(name, size_bytes);
        },
        [this, change = std::move(change)](std::error_code error, const std::string& what) mutable {
            error ? end(std::move(change), VolumeFailure{what}) : commit(std::move(change));
        });
}

void VolumeChanges::adopt(model::Volume volume, const std::string& host, Revision revision,
                          std::vector<store::Condition> conditions, Done done) {
    changing_.insert(volume.name);
    volume.host = host;
    const std::string key = keys::of(keys::volumes, volume.name);
    conditions.push_back({key, revision});
    store::Transaction transaction{std::move(conditions),
                                   {store::Put{key, model::to_json(volume)}}};
    commit({volume.name, volume.storage, std::move(transaction), {}, {}, std::move(done)});
}

void VolumeChanges::remove(const model::Volume& volume, Revision revision, FindUser find_user,
                           Done done) {
    changing_.insert(volume.name);
    const volumes::VolumeFile file{volume.name, volume.takeovers};
    const std::string key = keys::of(keys::volumes, volume.name);
    Change change{volume.name,
                  volume.storage,
                  {{{key, revision}}, {store::Delete{key}}},
                  [file](const volumes::VolumeFolder& folder) { folder.remove(file); },
                  [file](const volumes::VolumeFolder& folder) { folder.restore(file); },
                  std::move(done)};
    do_to_file(
        volume.storage, [file](const volumes::VolumeFolder& folder) { folder.mark_deleted(file); },
        [this, change = std::move(change), find_user = std::move(find_user)](
            std::error_code error, const std::string& what) mutable {
            if (error && error != std::errc::no_such_file_or_directory) {
                return end(std::move(change), VolumeFailure{what});
            }
            if (const std::string user = find_user(); !user.empty()) {
                VolumeFailure failure{
                    "volume " + change.name + " is attached to microVM " + user, {}, true};
                return take_back(std::move(change), std::move(failure));
            }
            commit(std::move(change));
        });
}

void VolumeChanges::commit(Change change) {
    auto transaction = std::move(change.transaction);
    parts_.store.commit(std::move(transaction), [this, change = std::move(change)](
                                                    const store::Result<Revision>& result) mutable {
        if (!result) {
            VolumeFailure failure{result.error().reason, result.error()};
            // Where nobody knows, the file stays as it is, for the next shoald to see.
            return result.error().failure == store::Failure::uncertain
                       ? end(std::move(change), failure)
                       : take_back(std::move(change), std::move(failure));
        }
        const Step finish = change.finish;
        const std::string storage = change.storage;
        do_to_file(storage, finish,
                   [this, change = std::move(change), revision = *result](
                       std::error_code error, const std::string& what) mutable {
                       log_failure(error, what);
                       parts_.mirror.when(revision, [this, change = std::move(change)]() mutable {
                           end(std::move(change), std::nullopt);
                       });
                   });
    });
}

void VolumeChanges::take_back(Change change, VolumeFailure failure) {
    const Step step = change.take_back;
    const std::string storage = change.storage;
    do_to_file(storage, step,
               [this, change = std::move(change), failure = std::move(failure)](
                   std::error_code error, const std::string& what) mutable {
                   log_failure(error, what);
                   end(std::move(change), failure);
               });
}

void VolumeChanges::end(Change change, const std::optional<VolumeFailure>& failure) {
    changing_.erase(change.name);
    change.done(failure);
}

}  // namespace shoal::node
