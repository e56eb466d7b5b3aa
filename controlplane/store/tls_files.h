// Whom a connection trusts over TLS, and what it shows of itself.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

namespace shoal::store {

// Files in PEM. With a certificate of its own a client proves who it is (mutual TLS).
struct TlsFiles {
    std::string authority;
    std::string certificate{};
    std::string key{};
};

// Has `tls` use them. Throws std::runtime_error that names the file that cannot be used, and what
// the connections are for: "with etcd".
void use_files(boost::asio::ssl::context& tls, const TlsFiles& files, const std::string& purpose);

}  // namespace shoal::store
