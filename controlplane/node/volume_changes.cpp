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
void VolumeChanges::do_to_file(Step step, Then then) {
    asio::post(parts_.workers, [&context = parts_.context, folder = parts_.folder,
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

bool VolumeChanges::has_stray_file(const std::string& name) const {
    return parts_.folder.has({name}) && !parts_.mirror.objects().volumes.contains(name);
}

void VolumeChanges::create(const model::Volume& volume, std::vector<store::Condition> conditions,
                           Done done) {
    const std::string& name = volume.name;
    changing_.insert(name);
    const std::string key = keys::of(keys::volumes, name);
    conditions.push_back({key, 0});
    Change change{name,
                  {std::move(conditions), {store::Put{key, model::to_json(volume)}}},
                  [name](const volumes::VolumeFolder& folder) { folder.keep(name); },
                  [name](const volumes::VolumeFolder& folder) { folder.drop(name); },
                  std::move(done)};
    do_to_file(
        [name, size_bytes = volume.size_mib << 20](const volumes::VolumeFolder& folder) {
            folder.prepare(name, size_bytes);
        },
        [this, change = std::move(change)](std::error_code error, const std::string& what) mutable {
            error ? end(std::move(change), VolumeFailure{what}) : commit(std::move(change));
        });
}

void VolumeChanges::remove(const model::Volume& volume, Revision revision, FindUser find_user,
                           Done done) {
    changing_.insert(volume.name);
    const volumes::VolumeFile file{volume.name, volume.takeovers};
    const std::string key = keys::of(keys::volumes, volume.name);
    Change change{volume.name,
                  {{{key, revision}}, {store::Delete{key}}},
                  [file](const volumes::VolumeFolder& folder) { folder.remove(file); },
                  [file](const volumes::VolumeFolder& folder) { folder.restore(file); },
                  std::move(done)};
    do_to_file([file](const volumes::VolumeFolder& folder) { folder.mark_deleted(file); },
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
        do_to_file(finish, [this, change = std::move(change), revision = *result](
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
    do_to_file(step, [this, change = std::move(change), failure = std::move(failure)](
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
