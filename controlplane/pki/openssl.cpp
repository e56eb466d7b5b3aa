// In memory: who writes files is somebody else.
#include "controlplane/pki/openssl.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <time.h>

#include <array>
#include <climits>
#include <fstream>
#include <iterator>
#include <vector>

#include "controlplane/content/sha256.h"

namespace shoal::pki {
namespace {

struct FreeBio {
    void operator()(BIO* bio) const noexcept { ::BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

// Of a text, and of what will be one.
Bio make_bio(const std::string& text) {
    Bio bio{::BIO_new(::BIO_s_mem())};
    check(bio ? 1 : 0, "no memory");
    const bool fits = text.size() <= INT_MAX;
    const int size = fits ? static_cast<int>(text.size()) : 0;
    check(fits && (size == 0 || ::BIO_write(bio.get(), text.data(), size) == size) ? 1 : 0,
          "cannot read PEM");
    return bio;
}

std::string text_of(const Bio& bio) {
    std::string text;
    std::array<char, 4096> bytes{};
    int count = 0;
    while ((count = ::BIO_read(bio.get(), bytes.data(), bytes.size())) > 0) {
        text.append(bytes.data(), static_cast<std::size_t>(count));
    }
    return text;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
    tm parts{};
    check(::ASN1_TIME_to_tm(time, &parts), "a certificate's time makes no sense");
    return ::timegm(&parts);
}

// Nobody is asked for a password.
int no_password(char*, int, int, void*) {
    return 0;
}

}  // namespace

void check(int result, const char* what) {
    if (result == 1) {
        return;
    }
    const char* const reason = ::ERR_reason_error_string(::ERR_get_error());
    ::ERR_clear_error();
    throw PkiError{reason != nullptr ? std::string{what} + ": " + reason : what};
}

void Free::operator()(EVP_PKEY* key) const noexcept {
    ::EVP_PKEY_free(key);
}
void Free::operator()(X509* certificate) const noexcept {
    ::X509_free(certificate);
}
void Free::operator()(X509_REQ* request) const noexcept {
    ::X509_REQ_free(request);
}

Key make_key() {
    Key key{::EVP_EC_gen("P-256")};
    check(key ? 1 : 0, "cannot make a key");
    return key;
}

std::string to_pem(const Key& key) {
    const Bio bio = make_bio({});
    check(::PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                          nullptr),
          "cannot write a key");
    return text_of(bio);
}

std::string to_pem(const Certificate& certificate) {
    const Bio bio = make_bio({});
    check(::PEM_write_bio_X509(bio.get(), certificate.get()), "cannot write a certificate");
    return text_of(bio);
}

std::string to_pem(const Request& request) {
    const Bio bio = make_bio({});
    check(::PEM_write_bio_X509_REQ(bio.get(), request.get()), "cannot write a request");
    return text_of(bio);
}

Key parse_key(const std::string& pem) {
    Key key{::PEM_read_bio_PrivateKey(make_bio(pem).get(), nullptr, &no_password, nullptr)};
    check(key ? 1 : 0, "this is no key");
    return key;
}

Certificate parse_certificate(const std::string& pem) {
    Certificate certificate{
        ::PEM_read_bio_X509(make_bio(pem).get(), nullptr, &no_password, nullptr)};
    check(certificate ? 1 : 0, "this is no certificate");
    return certificate;
}

Request parse_request(const std::string& pem) {
    Request request{::PEM_read_bio_X509_REQ(make_bio(pem).get(), nullptr, &no_password, nullptr)};
    check(request ? 1 : 0, "this is no certificate request");
    return request;
}

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw PkiError{"cannot read " + path};
    }
    return {std::istreambuf_iterator<char>{file}, {}};
}

Validity validity_of(const X509* certificate) {
    return {seconds_of(::X509_get0_notBefore(certificate)),
            seconds_of(::X509_get0_notAfter(certificate))};
}

std::string fingerprint_of(const X509* certificate) {
    unsigned char* der = nullptr;
    const int size = ::i2d_X509(certificate, &der);
    check(size > 0 ? 1 : 0, "cannot encode a certificate");
    content::Sha256 sha;
    // SAFETY: bytes as characters.
    sha.add({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
    ::OPENSSL_free(der);
    return sha.finish();
}

}  // namespace shoal::pki
