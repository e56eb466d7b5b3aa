// OpenSSL over a non-blocking socket.
#include "vmm/migration/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>
#include <stdexcept>
#include <utility>

namespace shoal::migration {
namespace {

struct FreeConnection {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using Connection = std::unique_ptr<SSL, FreeConnection>;

// OpenSSL's reason for the last failure of this thread.
std::string reason() {
    const unsigned long code = ERR_get_error();
    const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return text != nullptr ? text : "the connection was lost";
}

void check(int result, const std::string& what) {
    if (result != 1) {
        throw std::runtime_error(what + ": " + reason());
    }
}

// Does one call of OpenSSL's until it is done, however often it has to wait for the socket.
template <typename Call>
std::expected<int, WireError> wait_for(SSL* ssl, const host::EventFd& interrupt, Call call) {
    while (true) {
        ERR_clear_error();
        const int result = call();
        if (result > 0) {
            return result;
        }
        const int error = SSL_get_error(ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            return std::unexpected(WireError::closed);
        }
        const auto ready = wait_until_ready(
            SSL_get_fd(ssl), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, interrupt);
        if (!ready) {
            return std::unexpected(ready.error());
        }
    }
}

int clamped(std::size_t size) {
    return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

class TlsWire final : public Wire {
public:
    TlsWire(host::UniqueFd socket, Connection ssl, const host::EventFd& interrupt)
        : socket_{std::move(socket)}, ssl_{std::move(ssl)}, interrupt_{interrupt} {}

    std::expected<void, WireError> write(std::span<const std::byte> bytes) noexcept override {
        while (!bytes.empty()) {
            const auto count = wait_for(ssl_.get(), interrupt_, [&] {
                return SSL_write(ssl_.get(), bytes.data(), clamped(bytes.size()));
            });
            if (!count) {
                return std::unexpected(count.error());
            }
            bytes = bytes.subspan(static_cast<std::size_t>(*count));
        }
        return {};
    }

    std::expected<std::size_t, WireError> read_some(std::span<std::byte> into) noexcept override {
        const auto count = wait_for(ssl_.get(), interrupt_, [&] {
            return SSL_read(ssl_.get(), into.data(), clamped(into.size()));
        });
        if (!count) {
            return std::unexpected(count.error());
        }
        return static_cast<std::size_t>(*count);
    }

    void hang_up() noexcept override { ::shutdown(socket_.get(), SHUT_RDWR); }

private:
    host::UniqueFd socket_;
    Connection ssl_;
    const host::EventFd& interrupt_;
};

bool is_ip_address(const std::string& text) {
    in6_addr ignored{};
    return ::inet_pton(AF_INET, text.c_str(), &ignored) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), &ignored) == 1;
}

}  // namespace

void Tls::Free::operator()(void* context) const noexcept {
    SSL_CTX_free(static_cast<SSL_CTX*>(context));
}

Tls::Tls(const TlsFiles& files, Side side)
    : side_{side},
      context_{SSL_CTX_new(side == Side::source ? TLS_client_method() : TLS_server_method())} {
    SSL_CTX* const context = static_cast<SSL_CTX*>(context_.get());
    if (context == nullptr) {
        throw std::runtime_error("TLS: " + reason());
    }
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // A connection is one migration: there is none to go on with.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    check(SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()),
          "the certificate " + files.certificate);
    check(SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM),
          "the key " + files.key);
    check(SSL_CTX_check_private_key(context),
          "the key " + files.key + " and the certificate " + files.certificate);
    check(SSL_CTX_load_verify_file(context, files.authority.c_str()),
          "the authority " + files.authority);
}

Tls::~Tls() = default;

std::unique_ptr<Wire> Tls::make_wire(host::UniqueFd socket, const host::EventFd& interrupt) const {
    Connection ssl{SSL_new(static_cast<SSL_CTX*>(context_.get()))};
    if (!ssl || SSL_set_fd(ssl.get(), socket.get()) != 1) {
        throw std::runtime_error("TLS: " + reason());
    }
    if (!peer_.empty()) {
        const int done = is_ip_address(peer_) ? X509_VERIFY_PARAM_set1_ip_asc(
                                                    SSL_get0_param(ssl.get()), peer_.c_str())
                                              : SSL_set1_host(ssl.get(), peer_.c_str());
        if (done != 1) {
            throw std::runtime_error("TLS: " + reason());
        }
    }
    const auto shaken = wait_for(ssl.get(), interrupt, [&] {
        return side_ == Side::source ? SSL_connect(ssl.get()) : SSL_accept(ssl.get());
    });
    if (!shaken) {
        const long verified = SSL_get_verify_result(ssl.get());
        throw std::runtime_error("TLS: " + (verified != X509_V_OK
                                                ? X509_verify_cert_error_string(verified)
                                            : shaken.error() == WireError::closed
                                                ? reason()
                                                : std::string{describe(shaken.error())}));
    }
    return std::make_unique<TlsWire>(std::move(socket), std::move(ssl), interrupt);
}

std::unique_ptr<Wire> make_wire(const Tls* tls, host::UniqueFd socket,
                                const host::EventFd& interrupt) {
    return tls != nullptr ? tls->make_wire(std::move(socket), interrupt)
                          : make_plain_wire(std::move(socket), interrupt);
}

}  // namespace shoal::migration
