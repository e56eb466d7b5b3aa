// Everybody who has a certificate of the authority is a host of the cluster.
#include "controlplane/peer/tls.h"

#include <openssl/ssl.h>

namespace shoal::peer {

namespace ssl = boost::asio::ssl;

Tls make_tls(const store::TlsFiles& files, Strangers strangers) {
    if (files.certificate.empty()) {
        return nullptr;
    }
    auto tls = std::make_shared<ssl::context>(ssl::context::tlsv13);
    tls->set_verify_mode(strangers == Strangers::refused
                             ? ssl::verify_peer | ssl::verify_fail_if_no_peer_cert
                             : ssl::verify_none);
    // A connection is one request, mostly: none is gone on with.
    ::SSL_CTX_set_session_cache_mode(tls->native_handle(), SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(tls->native_handle(), 0);
    store::use_files(*tls, files, "between hosts");
    return tls;
}

}  // namespace shoal::peer
