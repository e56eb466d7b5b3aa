// EtcdCluster: real etcd servers on loopback, in a folder of a test's own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "controlplane/store/etcd_client.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::store::test {

class EtcdCluster {
public:
    enum class Security { plain, mutual_tls };

    // Starts the members; does not wait for them.
    explicit EtcdCluster(std::size_t member_count, Security security = Security::plain);
    EtcdCluster(const EtcdCluster&) = delete;
    EtcdCluster& operator=(const EtcdCluster&) = delete;
    // Kills and reaps them.
    ~EtcdCluster();

    [[nodiscard]] EtcdOptions options() const;
    [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
    [[nodiscard]] Endpoint endpoint(std::size_t member) const;

    void kill(std::size_t member);
    void start(std::size_t member);
    void pause(std::size_t member);
    void resume(std::size_t member);

private:
    struct Member {
        std::string client_port;
        std::string peer_port;
        pid_t pid = -1;
    };

    [[nodiscard]] std::vector<std::string> arguments(std::size_t member) const;
    void make_certificates() const;

    ScratchFolder folder_;
    Security security_;
    std::vector<Member> members_;
};

}  // namespace shoal::store::test
