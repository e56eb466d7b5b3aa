// OpenSSL says what is wrong with a file, and not with which.
#include "controlplane/store/tls_files.h"

#include <stdexcept>

namespace shoal::store {

namespace ssl = boost::asio::ssl;

void use_files(ssl::context& tls, const TlsFiles& files, const std::string& purpose) {
    boost::system::error_code error;
    const auto check = [&](const std::string& file) {
        if (error) {
            throw std::runtime_error{"cannot use " + file + " for TLS " + purpose + ": " +
                                     error.message()};
        }
    };
    tls.load_verify_file(files.authority, error);
    check(files.authority);
    if (!files.certificate.empty()) {
        tls.use_certificate_chain_file(files.certificate, error);
        check(files.certificate);
        tls.use_private_key_file(files.key, ssl::context::pem, error);
        check(files.key);
    }
}

}  // namespace shoal::store
