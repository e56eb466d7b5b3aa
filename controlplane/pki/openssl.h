// OpenSSL's objects, owned, and their PEM.
#pragma once

#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace shoal::pki {

// One sentence, with OpenSSL's reason.
class PkiError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct Free {
    void operator()(EVP_PKEY* key) const noexcept;
    void operator()(X509* certificate) const noexcept;
    void operator()(X509_REQ* request) const noexcept;
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Request = std::unique_ptr<X509_REQ, Free>;

// A new one, on the curve P-256. All of these throw PkiError.
[[nodiscard]] Key make_key();
[[nodiscard]] std::string to_pem(const Key& key);
[[nodiscard]] std::string to_pem(const Certificate& certificate);
[[nodiscard]] std::string to_pem(const Request& request);
// The first of a text, which may be anything.
[[nodiscard]] Key parse_key(const std::string& pem);
[[nodiscard]] Certificate parse_certificate(const std::string& pem);
[[nodiscard]] Request parse_request(const std::string& pem);

// A file's text, whole.
[[nodiscard]] std::string read_file(const std::string& path);

// When a certificate is good, in seconds since 1970.
struct Validity {
    std::int64_t from_s = 0;
    std::int64_t until_s = 0;
};
[[nodiscard]] Validity validity_of(const X509* certificate);

// SHA-256 of its DER, in hexadecimal digits.
[[nodiscard]] std::string fingerprint_of(const X509* certificate);

// Throws PkiError with `what` and OpenSSL's last reason, unless this is 1.
void check(int result, const char* what);

}  // namespace shoal::pki
