// FakeRunner: processes that are entries of a map. Outlives the agents that use it, as processes
// do.
#pragma once

#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "controlplane/node/process/runner.h"

namespace shoal::node::test {

class FakeRunner final : public Runner {
public:
    [[nodiscard]] std::vector<Attempt> attempts(const std::string& name) const override {
        std::vector<Attempt> found;
        for (const auto& [attempt, seen] : seen_) {
            if (attempt.name == name) {
                found.push_back(attempt);
            }
        }
        return found;
    }
    [[nodiscard]] std::vector<std::string> names() const override {
        std::set<std::string> names;
        for (const auto& [attempt, seen] : seen_) {
            names.insert(attempt.name);
        }
        return {names.begin(), names.end()};
    }
    [[nodiscard]] Observation observe(const Attempt& attempt) const override {
        const auto found = seen_.find(attempt);
        return found == seen_.end() ? Observation{} : found->second;
    }
    [[nodiscard]] std::string api_socket_of(const Attempt& attempt) const override {
        return "/run/" + attempt.name;
    }
    [[nodiscard]] std::string save_folder_of(const Attempt& attempt) const override {
        return "/saves/" + attempt.name;
    }
    [[nodiscard]] std::vector<std::string> allowed_of(const Attempt& attempt) const override {
        return {"/run/" + attempt.name, save_folder_of(attempt)};
    }
    void start(const Launch& launch) override {
        if (is_broken) {
            throw std::system_error{EAGAIN, std::generic_category(), "fork"};
        }
        seen_[launch.attempt] = {AttemptState::starting, {}, {}};
        launches.push_back(launch);
    }
    void stop(const Attempt& attempt, std::chrono::milliseconds grace) override {
        stops.emplace_back(attempt, grace);
    }
    void discard(const Attempt& attempt) override { seen_.erase(attempt); }

    void runs(const Attempt& attempt) {
        seen_[attempt] = {AttemptState::running, 1000, {}};
        tell(attempt);
    }
    void ends(const Attempt& attempt, int code, const std::string& reason = "") {
        seen_[attempt] = {AttemptState::ended, 1000, Exit{code, 2000, reason}};
        tell(attempt);
    }
    void vanishes(const Attempt& attempt) {
        seen_.erase(attempt);
        tell(attempt);
    }

    RunnerListener* listener = nullptr;
    bool is_broken = false;
    std::vector<Launch> launches;
    std::vector<std::pair<Attempt, std::chrono::milliseconds>> stops;

private:
    void tell(const Attempt& attempt) const {
        if (listener != nullptr) {
            listener->on_attempt_changed(attempt.name);
        }
    }

    std::map<Attempt, Observation> seen_;
};

}  // namespace shoal::node::test
