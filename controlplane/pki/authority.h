// Authority: whose certificates the hosts of a cluster have.
#pragma once

#include <chrono>
#include <string>

#include "controlplane/pki/openssl.h"

namespace shoal::pki {

// Who a certificate is for.
struct Subject {
    std::string host;     // its name
    std::string address;  // by which the others reach it: an IP address
};

// Of a host's certificate, which its shoald has renewed long before (shoald/renewal.h). That of an
// authority lasts ten years.
inline constexpr std::chrono::hours host_lifetime{24 * 365};

// A new key's request, which says nothing but the key.
[[nodiscard]] std::string make_request(const Key& key);

// Whom a certificate names (PEM), whoever has made it. Throws PkiError.
[[nodiscard]] Subject subject_in(const std::string& certificate);
[[nodiscard]] Subject subject_in(const X509* certificate);

// All throw PkiError.
class Authority {
public:
    // A new one.
    Authority();
    // One that is there, of PEM.
    Authority(const std::string& certificate, const std::string& key);

    // A certificate for the key of a request (PEM, from anybody): on P-256, and signed with itself.
    // What else the request says does not count. With the authority's own behind it.
    [[nodiscard]] std::string sign(const std::string& request, const Subject& subject,
                                   std::chrono::seconds lifetime = host_lifetime) const;
    // Another one for the same host and the same key. `certificate` (PEM, from anybody) must be of
    // this authority and still good, and the request be signed with its key.
    [[nodiscard]] std::string renew(const std::string& certificate,
                                    const std::string& request) const;
    [[nodiscard]] std::string certificate() const { return to_pem(certificate_); }
    [[nodiscard]] std::string key() const { return to_pem(key_); }
    [[nodiscard]] std::string fingerprint() const { return fingerprint_of(certificate_.get()); }

private:
    Key key_;
    Certificate certificate_;
};

}  // namespace shoal::pki
