// SupervisedRunner: microVMs in processes of their own that outlive shoald, each under a
// shoal-supervisor. What is known about them is in their run folders (run_folder.h).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <set>

#include "controlplane/node/process/runner.h"
#include "controlplane/node/process/supervised_process.h"

namespace shoal::node {

struct RunnerSettings {
    std::string folder;      // of run folders; created when it is missing
    std::string supervisor;  // path of shoal-supervisor
    std::uint64_t log_limit_bytes = 0;
    std::string cgroup_mount = "/sys/fs/cgroup";
    std::string cgroup_parent;  // a name that no other shoald of this host has
    std::string save_folder{};  // of save folders; created when it is missing; empty: none is saved
    std::string tls_folder{};   // of what VMMs show one another; empty: nothing
};

class SupervisedRunner final : public Runner {
public:
    // Borrows the context. Finds what an earlier shoald has started. Throws std::system_error.
    SupervisedRunner(boost::asio::io_context& context, RunnerSettings settings);
    SupervisedRunner(const SupervisedRunner&) = delete;
    SupervisedRunner& operator=(const SupervisedRunner&) = delete;
    ~SupervisedRunner() override;

    // Borrowed; before the loop runs.
    void set_listener(RunnerListener& listener) { listener_ = &listener; }

    [[nodiscard]] std::vector<Attempt> attempts(const std::string& name) const override;
    [[nodiscard]] std::vector<std::string> names() const override;
    [[nodiscard]] Observation observe(const Attempt& attempt) const override;
    [[nodiscard]] std::string api_socket_of(const Attempt& attempt) const override;
    [[nodiscard]] std::string save_folder_of(const Attempt& attempt) const override;
    [[nodiscard]] std::vector<std::string> allowed_of(const Attempt& attempt) const override;
    void start(const Launch& launch) override;
    void stop(const Attempt& attempt, std::chrono::milliseconds grace) override;
    void discard(const Attempt& attempt) override;

private:
    void adopt();
    void adopt_saves();
    void make_folders(const Attempt& attempt) const;
    void delete_folders(const Attempt& attempt) const;
    [[nodiscard]] std::shared_ptr<SupervisedProcess> open(const Attempt& attempt);
    [[nodiscard]] std::string path_of(const Attempt& attempt) const;

    void remove_cgroup(const std::string& name);
    void remove_busy();

    boost::asio::io_context& context_;
    RunnerSettings settings_;
    Cgroups cgroups_;
    std::set<std::string> busy_;  // cgroups whose last process has not quite gone
    boost::asio::steady_timer busy_timer_;
    RunnerListener* listener_ = nullptr;
    std::map<Attempt, std::shared_ptr<SupervisedProcess>> processes_;
};

}  // namespace shoal::node
