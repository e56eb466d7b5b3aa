// Fuzzes what a host that is no member yet asks an authority to sign: a certificate of the
// authority's, for the name it is given, or one sentence.
#include <openssl/x509v3.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "controlplane/pki/authority.h"
#include "devices/host/check.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const pki::Authority authority;
    // SAFETY: bytes seen as chars.
    const std::string request{reinterpret_cast<const char*>(data), size};
    try {
        const std::string pem = authority.sign(request, {"h1", "10.0.0.1"});
        const pki::Certificate made = pki::parse_certificate(pem);
        SHOAL_CHECK(::X509_check_host(made.get(), "h1", 2, 0, nullptr) == 1);
        SHOAL_CHECK(::X509_check_ca(made.get()) == 0);
    } catch (const pki::PkiError& error) {
        const std::string said = error.what();
        SHOAL_CHECK(!said.empty() && said.size() < 300);
    }
    return 0;
}
