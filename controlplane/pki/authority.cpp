// RFC 5280's certificates of version 3.
#include "controlplane/pki/authority.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <utility>

#include "devices/host/clock.h"

namespace shoal::pki {
namespace {

using std::chrono::hours;

// It is not renewed: as long as a cluster may live.
constexpr hours authority_lifetime{24 * 3650};
// Hosts' clocks differ.
constexpr hours before_now{1};
constexpr int serial_bits = 127;

void set_name(X509* certificate, const std::string& common_name) {
    X509_NAME* const name = ::X509_get_subject_name(certificate);
    // SAFETY: characters as bytes.
    check(::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(common_name.data()),
                                       static_cast<int>(common_name.size()), -1, 0),
          "cannot name a certificate");
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
    X509V3_CTX context{};
    ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = ::X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    check(extension != nullptr ? 1 : 0, "cannot describe a certificate");
    const int added = ::X509_add_ext(certificate, extension, -1);
    ::X509_EXTENSION_free(extension);
    check(added, "cannot describe a certificate");
}

void set_serial(X509* certificate) {
    const std::unique_ptr<BIGNUM, decltype(&::BN_free)> number{::BN_new(), &::BN_free};
    check(number ? ::BN_rand(number.get(), serial_bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) : 0,
          "cannot make a serial number");
    check(
        ::BN_to_ASN1_INTEGER(number.get(), ::X509_get_serialNumber(certificate)) != nullptr ? 1 : 0,
        "cannot make a serial number");
}

// With all but its extensions and its signature.
Certificate begin(EVP_PKEY* key, const std::string& common_name, std::chrono::seconds lifetime) {
    Certificate certificate{::X509_new()};
    check(certificate ? ::X509_set_version(certificate.get(), X509_VERSION_3) : 0,
          "cannot make a certificate");
    set_serial(certificate.get());
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()),
                      -std::chrono::seconds{before_now}.count());
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), lifetime.count());
    set_name(certificate.get(), common_name);
    check(::X509_set_pubkey(certificate.get(), key), "cannot take a key");
    return certificate;
}

void sign_with(const Key& key, X509* certificate) {
    check(::X509_sign(certificate, key.get(), ::EVP_sha256()) > 0 ? 1 : 0,
          "cannot sign a certificate");
}

bool is_on_p256(const EVP_PKEY* key) {
    std::array<char, 32> group{};
    return ::EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           ::EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
           std::string{group.data()} == "prime256v1";
}

// Whom a certificate of ours names.
Subject subject_of(const X509* certificate) {
    struct FreeNames {
        void operator()(GENERAL_NAMES* names) const noexcept { ::GENERAL_NAMES_free(names); }
    };
    const std::unique_ptr<GENERAL_NAMES, FreeNames> names{static_cast<GENERAL_NAMES*>(
        ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    Subject subject;
    for (int at = 0; names && at < sk_GENERAL_NAME_num(names.get()); ++at) {
        int kind = 0;
        const auto* const text = static_cast<const ASN1_STRING*>(
            ::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), at), &kind));
        const unsigned char* const bytes = ::ASN1_STRING_get0_data(text);
        const int size = ::ASN1_STRING_length(text);
        if (kind == GEN_DNS) {
            subject.host.assign(bytes, bytes + size);
        } else if (kind == GEN_IPADD && (size == sizeof(in_addr) || size == sizeof(in6_addr))) {
            std::array<char, INET6_ADDRSTRLEN> address{};
            ::inet_ntop(size == sizeof(in_addr) ? AF_INET : AF_INET6, bytes, address.data(),
                        address.size());
            subject.address = address.data();
        }
    }
    return subject;
}

// They become part of a description that OpenSSL parses.
void check_subject(const Subject& subject) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
    constexpr std::size_t longest = 63;
    const std::string& host = subject.host;
    if (host.empty() || host.size() > longest ||
        host.find_first_not_of(allowed) != std::string::npos) {
        throw PkiError{"a host's name has 1 to 63 of a-z, 0-9 and '-'"};
    }
    std::array<unsigned char, sizeof(in6_addr)> ignored{};
    if (::inet_pton(AF_INET, subject.address.c_str(), ignored.data()) != 1 &&
        ::inet_pton(AF_INET6, subject.address.c_str(), ignored.data()) != 1) {
        throw PkiError{"a host's address must be an IP address"};
    }
}

}  // namespace

std::string make_request(const Key& key) {
    const Request request{::X509_REQ_new()};
    check(request ? ::X509_REQ_set_pubkey(request.get(), key.get()) : 0, "cannot make a request");
    check(::X509_REQ_sign(request.get(), key.get(), ::EVP_sha256()) > 0 ? 1 : 0,
          "cannot sign a request");
    return to_pem(request);
}

Subject subject_in(const std::string& certificate) {
    return subject_of(parse_certificate(certificate).get());
}

Subject subject_in(const X509* certificate) {
    return subject_of(certificate);
}

Authority::Authority()
    : key_{make_key()}, certificate_{begin(key_.get(), "Shoal cluster", authority_lifetime)} {
    X509* const own = certificate_.get();
    check(::X509_set_issuer_name(own, ::X509_get_subject_name(own)), "cannot name a certificate");
    add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(own, own, NID_subject_key_identifier, "hash");
    sign_with(key_, own);
}

Authority::Authority(const std::string& certificate, const std::string& key)
    : key_{parse_key(key)}, certificate_{parse_certificate(certificate)} {
    check(::X509_check_private_key(certificate_.get(), key_.get()),
          "the authority's key is not that of its certificate");
}

std::string Authority::sign(const std::string& request, const Subject& subject,
                            std::chrono::seconds lifetime) const {
    check_subject(subject);
    const Request parsed = parse_request(request);
    EVP_PKEY* const key = ::X509_REQ_get0_pubkey(parsed.get());
    check(key != nullptr && is_on_p256(key) ? 1 : 0, "the request's key is not on the curve P-256");
    check(::X509_REQ_verify(parsed.get(), key), "the request is not signed with its own key");
    const Certificate made = begin(key, subject.host, lifetime);
    X509* const issuer = certificate_.get();
    check(::X509_set_issuer_name(made.get(), ::X509_get_subject_name(issuer)),
          "cannot name a certificate");
    add_extension(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(made.get(), issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(made.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(made.get(), issuer, NID_subject_alt_name,
                  "DNS:" + subject.host + ",IP:" + subject.address);
    add_extension(made.get(), issuer, NID_authority_key_identifier, "keyid");
    sign_with(key_, made.get());
    return to_pem(made) + certificate();
}

std::string Authority::renew(const std::string& certificate, const std::string& request) const {
    const Certificate old = parse_certificate(certificate);
    check(::X509_verify(old.get(), ::X509_get0_pubkey(certificate_.get())),
          "the certificate is not of this cluster's authority");
    const auto now_s = static_cast<std::int64_t>(host::realtime_s());
    check(validity_of(old.get()).until_s > now_s ? 1 : 0, "the certificate has expired");
    const Request parsed = parse_request(request);
    check(::EVP_PKEY_eq(::X509_REQ_get0_pubkey(parsed.get()), ::X509_get0_pubkey(old.get())),
          "the request is not for the certificate's key");
    return sign(request, subject_of(old.get()));
}

}  // namespace shoal::pki
