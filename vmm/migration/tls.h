// Tls: a migration's connection encrypted, with certificates on both sides (TLS 1.3, OpenSSL).
#pragma once

#include <memory>
#include <string>

#include "devices/host/event_fd.h"
#include "devices/host/unique_fd.h"
#include "vmm/migration/wire.h"

namespace shoal::migration {

// PEM files. The peer's certificate must come from the authority.
struct TlsFiles {
    std::string certificate;  // with its chain
    std::string key;
    std::string authority;
};

class Tls {
public:
    enum class Side { source, destination };

    // Reads the files. Throws std::runtime_error with one sentence.
    Tls(const TlsFiles& files, Side side);
    ~Tls();
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    // The other side's certificate must name this IP address or, when it is none, this host. Empty:
    // any certificate of the authority's.
    void set_peer(const std::string& name) { peer_ = name; }

    // The handshake over a connected, non-blocking socket; waits for it. The wire outlives this.
    // Throws std::runtime_error with one sentence.
    [[nodiscard]] std::unique_ptr<Wire> make_wire(host::UniqueFd socket,
                                                  const host::EventFd& interrupt) const;

private:
    struct Free {
        void operator()(void* context) const noexcept;
    };

    Side side_;
    std::string peer_;
    std::unique_ptr<void, Free> context_;  // an SSL_CTX, whose header stays out of ours
};

// Over TLS, or plain where there is none. Throws as above.
[[nodiscard]] std::unique_ptr<Wire> make_wire(const Tls* tls, host::UniqueFd socket,
                                              const host::EventFd& interrupt);

}  // namespace shoal::migration
