// Starts, stops and pauses etcd processes.
#include "tests/unit/controlplane/store/etcd_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdlib>
#include <stdexcept>

namespace shoal::store::test {

namespace {

// Free when looked for: bound all at once, so that they differ.
std::vector<std::string> free_ports(std::size_t count) {
    boost::asio::io_context context;
    std::vector<boost::asio::ip::tcp::acceptor> acceptors;
    std::vector<std::string> ports;
    for (std::size_t i = 0; i < count; ++i) {
        acceptors.emplace_back(
            context, boost::asio::ip::tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0});
        ports.push_back(std::to_string(acceptors.back().local_endpoint().port()));
    }
    return ports;
}

pid_t spawn(const std::vector<std::string>& words, const std::string& log) {
    std::vector<char*> argv;
    for (const std::string& word : words) {
        argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(fd, 1);
        ::dup2(fd, 2);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    return pid;
}

}  // namespace

EtcdCluster::EtcdCluster(std::size_t member_count, Security security)
    : security_{security}, members_(member_count) {
    const auto ports = free_ports(2 * member_count);
    for (std::size_t i = 0; i < member_count; ++i) {
        members_[i].client_port = ports[2 * i];
        members_[i].peer_port = ports[2 * i + 1];
    }
    if (security_ == Security::mutual_tls) {
        make_certificates();
    }
    for (std::size_t i = 0; i < member_count; ++i) {
        start(i);
    }
}

EtcdCluster::~EtcdCluster() {
    for (std::size_t i = 0; i < members_.size(); ++i) {
        kill(i);
    }
}

EtcdOptions EtcdCluster::options() const {
    EtcdOptions options;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        options.endpoints.push_back(endpoint(i));
    }
    if (security_ == Security::mutual_tls) {
        options.tls = TlsFiles{folder_.file("ca.pem"), folder_.file("client.pem"),
                               folder_.file("client.key")};
    }
    return options;
}

Endpoint EtcdCluster::endpoint(std::size_t member) const {
    return {"127.0.0.1", members_[member].client_port};
}

std::vector<std::string> EtcdCluster::arguments(std::size_t member) const {
    const bool is_secure = security_ == Security::mutual_tls;
    const auto url = [](const std::string& scheme, const std::string& port) {
        return scheme + "://127.0.0.1:" + port;
    };
    std::string cluster;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        cluster += (i == 0 ? "" : ",") + ("m" + std::to_string(i)) + "=" +
                   url("http", members_[i].peer_port);
    }
    const std::string name = "m" + std::to_string(member);
    const std::string client = url(is_secure ? "https" : "http", members_[member].client_port);
    const std::string peer = url("http", members_[member].peer_port);
    std::vector<std::string> words{"etcd",
                                   "--name",
                                   name,
                                   "--data-dir",
                                   folder_.file(name),
                                   "--listen-client-urls",
                                   client,
                                   "--advertise-client-urls",
                                   client,
                                   "--listen-peer-urls",
                                   peer,
                                   "--initial-advertise-peer-urls",
                                   peer,
                                   "--initial-cluster",
                                   cluster,
                                   "--log-level",
                                   "warn",
                                   "--unsafe-no-fsync"};
    if (is_secure) {
        words.insert(
            words.end(),
            {"--client-cert-auth", "--trusted-ca-file", folder_.file("ca.pem"), "--cert-file",
             folder_.file("server.pem"), "--key-file", folder_.file("server.key")});
    }
    return words;
}

void EtcdCluster::make_certificates() const {
    const std::string script =
        "cd '" + folder_.file("") +
        "' && key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
        "openssl req -x509 $key -keyout ca.key -out ca.pem -subj /CN=ca -days 2 && "
        "for name in server client; do "
        "openssl req $key -keyout $name.key -out $name.csr -subj /CN=$name && "
        "printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' > ext && "
        "openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile ext -out $name.pem; done";
    if (std::system(("(" + script + ") > /dev/null 2>&1").c_str()) != 0) {
        throw std::runtime_error{"openssl could not make certificates"};
    }
}

void EtcdCluster::kill(std::size_t member) {
    pid_t& pid = members_[member].pid;
    if (pid > 0) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        pid = -1;
    }
}

void EtcdCluster::start(std::size_t member) {
    members_[member].pid =
        spawn(arguments(member), folder_.file("m" + std::to_string(member) + ".log"));
}

void EtcdCluster::pause(std::size_t member) {
    const pid_t pid = members_[member].pid;
    ::kill(pid, SIGSTOP);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED);  // all its threads stand still
}

void EtcdCluster::resume(std::size_t member) {
    ::kill(members_[member].pid, SIGCONT);
}

}  // namespace shoal::store::test
