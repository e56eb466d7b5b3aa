// A folder for each attempt, and a SupervisedProcess for each folder.
#include "controlplane/node/process/supervised_runner.h"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <system_error>

#include "devices/host/check.h"
#include "devices/host/durable.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"

namespace shoal::node {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds busy_delay{20};

}  // namespace

SupervisedRunner::SupervisedRunner(boost::asio::io_context& context, RunnerSettings settings)
    : context_{context},
      settings_{std::move(settings)},
      cgroups_{settings_.cgroup_mount, settings_.cgroup_parent},
      busy_timer_{context} {
    fs::create_directories(settings_.folder);
    adopt();
    if (!settings_.save_folder.empty()) {
        fs::create_directories(settings_.save_folder);
        adopt_saves();
    }
}

SupervisedRunner::~SupervisedRunner() {
    for (const auto& [attempt, process] : processes_) {
        process->close();
    }
}

std::string SupervisedRunner::path_of(const Attempt& attempt) const {
    return settings_.folder + "/" + to_folder_name(attempt);
}

std::shared_ptr<SupervisedProcess> SupervisedRunner::open(const Attempt& attempt) {
    return std::make_shared<SupervisedProcess>(context_, path_of(attempt),
                                               [this, name = attempt.name] {
                                                   if (listener_ != nullptr) {
                                                       listener_->on_attempt_changed(name);
                                                   }
                                               });
}

void SupervisedRunner::adopt() {
    for (const auto& entry : fs::directory_iterator{settings_.folder}) {
        const auto attempt = attempt_in(entry.path().filename().string());
        if (!attempt || !entry.is_directory()) {
            host::log(host::LogLevel::warn, entry.path().string() + " is no run folder of ours");
            continue;
        }
        const auto process = open(*attempt);
        processes_.emplace(*attempt, process);
        process->adopt();
    }
    // Of a shoald that was killed after it had deleted the run folder.
    for (const std::string& name : cgroups_.names()) {
        const auto attempt = attempt_in(name);
        if (!attempt || !processes_.contains(*attempt)) {
            remove_cgroup(name);
        }
    }
}

// Of VMMs that run the folders stay, since Landlock knows a folder by more than its name. What is
// in them was for an earlier shoald.
void SupervisedRunner::adopt_saves() {
    for (const auto& entry : fs::directory_iterator{settings_.save_folder}) {
        const auto attempt = attempt_in(entry.path().filename().string());
        if (!attempt || !processes_.contains(*attempt)) {
            host::delete_all(entry.path());
            continue;
        }
        for (const auto& unfinished : fs::directory_iterator{entry.path()}) {
            host::delete_all(unfinished.path());
        }
    }
}

std::vector<Attempt> SupervisedRunner::attempts(const std::string& name) const {
    std::vector<Attempt> found;
    for (auto at = processes_.lower_bound(Attempt{name, 0, 0});
         at != processes_.end() && at->first.name == name; ++at) {
        found.push_back(at->first);
    }
    return found;
}

std::vector<std::string> SupervisedRunner::names() const {
    std::set<std::string> names;
    for (const auto& [attempt, process] : processes_) {
        names.insert(attempt.name);
    }
    return {names.begin(), names.end()};
}

Observation SupervisedRunner::observe(const Attempt& attempt) const {
    const auto found = processes_.find(attempt);
    return found == processes_.end() ? Observation{} : found->second->observation();
}

std::string SupervisedRunner::api_socket_of(const Attempt& attempt) const {
    return path_of(attempt) + "/api";
}

std::string SupervisedRunner::save_folder_of(const Attempt& attempt) const {
    return settings_.save_folder + "/" + to_folder_name(attempt);
}

std::vector<std::string> SupervisedRunner::allowed_of(const Attempt& attempt) const {
    std::vector<std::string> paths{path_of(attempt)};
    if (!settings_.save_folder.empty()) {
        paths.push_back(save_folder_of(attempt));
    }
    if (!settings_.tls_folder.empty()) {
        paths.push_back(settings_.tls_folder + ",ro");
    }
    return paths;
}

void SupervisedRunner::make_folders(const Attempt& attempt) const {
    if (::mkdir(path_of(attempt).c_str(), 0755) < 0) {
        host::throw_os_error("cannot create " + path_of(attempt));
    }
    if (!settings_.save_folder.empty()) {
        std::error_code error;
        fs::create_directory(save_folder_of(attempt), error);
        if (error) {
            fs::remove(path_of(attempt));
            host::throw_os_error("cannot create " + save_folder_of(attempt), error.value());
        }
    }
}

// What cannot be deleted the next shoald finds, and tries again.
void SupervisedRunner::delete_folders(const Attempt& attempt) const {
    host::delete_all(path_of(attempt));
    if (!settings_.save_folder.empty()) {
        host::delete_all(save_folder_of(attempt));
    }
}

void SupervisedRunner::start(const Launch& launch) {
    SHOAL_CHECK(!processes_.contains(launch.attempt));
    make_folders(launch.attempt);
    try {
        std::vector<std::string> words{settings_.supervisor, launch.log,
                                       std::to_string(settings_.log_limit_bytes),
                                       std::to_string(launch.time_limit_s), "-"};
        // After the run folder, which says that there may be a cgroup.
        const CgroupEntry cgroup = cgroups_.make(to_folder_name(launch.attempt), launch.limits);
        for (const std::string& file : cgroup.files) {
            words.back() = words.back() == "-" ? file : words.back() + ":" + file;
        }
        words.insert(words.end(), launch.words.begin(), launch.words.end());
        const auto process = open(launch.attempt);
        process->start(words, launch.request, cgroup.folder.get());
        processes_.emplace(launch.attempt, process);
    } catch (...) {
        remove_cgroup(to_folder_name(launch.attempt));
        delete_folders(launch.attempt);
        throw;
    }
}

void SupervisedRunner::stop(const Attempt& attempt, std::chrono::milliseconds grace) {
    if (const auto found = processes_.find(attempt); found != processes_.end()) {
        found->second->stop(grace);
    }
}

void SupervisedRunner::discard(const Attempt& attempt) {
    const auto found = processes_.find(attempt);
    if (found == processes_.end()) {
        return;
    }
    SHOAL_CHECK(found->second->observation().state == AttemptState::ended);
    found->second->close();
    remove_cgroup(to_folder_name(attempt));
    delete_folders(attempt);
    processes_.erase(found);
}

void SupervisedRunner::remove_cgroup(const std::string& name) {
    if (!cgroups_.remove(name)) {
        busy_.insert(name);
        remove_busy();
    }
}

// A process leaves its cgroup a moment after it has let go of its files.
void SupervisedRunner::remove_busy() {
    busy_timer_.expires_after(busy_delay);
    busy_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            std::erase_if(busy_, [this](const std::string& name) { return cgroups_.remove(name); });
            if (!busy_.empty()) {
                remove_busy();
            }
        }
    });
}

}  // namespace shoal::node
