#include "controlplane/pki/authority.h"

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <string>

#include "controlplane/content/sha256.h"

namespace shoal::pki::test {
namespace {

const Subject h1{"h1", "10.0.0.1"};

// Whether `certificate` is of this authority.
bool is_of(const Authority& authority, const std::string& certificate) {
    const Certificate issuer = parse_certificate(authority.certificate());
    const Certificate issued = parse_certificate(certificate);
    return ::X509_verify(issued.get(), ::X509_get0_pubkey(issuer.get())) == 1 &&
           ::X509_check_issued(issuer.get(), issued.get()) == X509_V_OK;
}

std::string request_with(Key key) {
    return make_request(key);
}

}  // namespace

TEST_CASE("an authority signs a host's key for its name and its address") {
    const Authority authority;
    const Key key = make_key();
    const std::string pem = authority.sign(make_request(key), h1);
    CHECK(is_of(authority, pem));
    CHECK(!is_of(Authority{}, pem));
    const Certificate certificate = parse_certificate(pem);
    CHECK(::EVP_PKEY_eq(::X509_get0_pubkey(certificate.get()), key.get()) == 1);
    CHECK(::X509_check_host(certificate.get(), "h1", 2, 0, nullptr) == 1);
    CHECK(::X509_check_host(certificate.get(), "h2", 2, 0, nullptr) == 0);
    CHECK(::X509_check_ip_asc(certificate.get(), "10.0.0.1", 0) == 1);
    CHECK(::X509_check_ca(certificate.get()) == 0);
    CHECK(pem.ends_with(authority.certificate()));
    CHECK(is_of(authority, authority.sign(make_request(key), {"h2", "fd00::1"})));
}

TEST_CASE("an authority that was written is the same when it is read") {
    const Authority authority;
    CHECK(content::is_digest(authority.fingerprint()));
    const Authority again{authority.certificate(), authority.key()};
    CHECK(again.fingerprint() == authority.fingerprint());
    CHECK(is_of(authority, again.sign(make_request(make_key()), h1)));
    CHECK(Authority{}.fingerprint() != authority.fingerprint());
    CHECK_THROWS_AS(static_cast<void>(Authority(authority.certificate(), Authority{}.key())),
                    PkiError);
}

TEST_CASE("a certificate is renewed for its own name, address and key, and for nothing else") {
    using namespace std::chrono_literals;
    const Authority authority;
    const Key key = make_key();
    const std::string request = make_request(key);
    for (const char* address : {"10.0.0.1", "fd00::1"}) {
        CAPTURE(address);
        const std::string old = authority.sign(request, {"h1", address}, 60s);
        const std::string pem = authority.renew(old, request);
        CHECK(is_of(authority, pem));
        const Certificate certificate = parse_certificate(pem);
        CHECK(::X509_check_host(certificate.get(), "h1", 2, 0, nullptr) == 1);
        CHECK(::X509_check_ip_asc(certificate.get(), address, 0) == 1);
        CHECK(::EVP_PKEY_eq(::X509_get0_pubkey(certificate.get()), key.get()) == 1);
        const Validity before = validity_of(parse_certificate(old).get());
        const Validity after = validity_of(certificate.get());
        CHECK(before.until_s - before.from_s == 3660);
        CHECK(after.until_s - before.until_s >= std::chrono::seconds{host_lifetime - 1h}.count());
    }
    std::string old = authority.sign(request, h1);
    std::string said = request;
    SUBCASE("one of another authority") {
        old = Authority{}.sign(request, h1);
    }
    SUBCASE("one that has expired") {
        old = authority.sign(request, h1, -1s);
    }
    SUBCASE("a request of another key") {
        said = make_request(make_key());
    }
    SUBCASE("the authority's own") {
        old = authority.certificate();
    }
    SUBCASE("no certificate") {
        old = "x";
    }
    SUBCASE("no request") {
        said.clear();
    }
    CHECK_THROWS_AS(static_cast<void>(authority.renew(old, said)), PkiError);
}

TEST_CASE("a request that is not signed with a key on P-256, or is none, is refused") {
    const Authority authority;
    std::string request;
    SUBCASE("nothing") {}
    SUBCASE("not PEM") {
        request = std::string(4096, 'x');
    }
    SUBCASE("a certificate") {
        request = authority.certificate();
    }
    SUBCASE("a larger curve") {
        request = request_with(Key{::EVP_EC_gen("P-384")});
    }
    SUBCASE("RSA") {
        request =
            request_with(Key{::EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048})});
    }
    SUBCASE("somebody else's key") {
        const Key key = make_key();
        const Request mixed = parse_request(make_request(key));
        ::X509_REQ_set_pubkey(mixed.get(), make_key().get());
        request = to_pem(mixed);
    }
    CHECK_THROWS_AS(static_cast<void>(authority.sign(request, h1)), PkiError);
}

TEST_CASE("a name or an address that could say more than that is refused") {
    const Authority authority;
    const std::string request = make_request(make_key());
    for (const char* host : {"", "h1,DNS:h2", "H1", "h.1", "*"}) {
        CAPTURE(host);
        CHECK_THROWS_AS(static_cast<void>(authority.sign(request, {host, "10.0.0.1"})), PkiError);
    }
    CHECK_THROWS_AS(static_cast<void>(authority.sign(request, {std::string(64, 'a'), "::1"})),
                    PkiError);
    for (const char* address : {"", "h1", "10.0.0.1,DNS:h2", "10.0.0.256"}) {
        CAPTURE(address);
        CHECK_THROWS_AS(static_cast<void>(authority.sign(request, {"h1", address})), PkiError);
    }
}

}  // namespace shoal::pki::test
