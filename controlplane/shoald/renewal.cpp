// The key stays: one file is replaced, by a rename, and always fits the other one.
#include "controlplane/shoald/renewal.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "controlplane/content/partial_file.h"
#include "controlplane/http/problem.h"
#include "controlplane/model/join.h"
#include "controlplane/model/json.h"
#include "controlplane/node/rfc3339.h"
#include "controlplane/pki/authority.h"
#include "devices/host/clock.h"
#include "devices/host/log.h"

namespace shoal::daemon {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

// Of a certificate's time: what is left of it when it is renewed, and how often its file is looked
// at. So there are ten tries at least, and for a year's four months of them.
constexpr std::int64_t renewed_at = 3;
constexpr std::int64_t looks = 30;
// The same of the authority's when it is warned of: a year, of ten.
constexpr std::int64_t authority_warned_at = 10;
constexpr seconds shortest_period{1};
constexpr seconds longest_period{3600};

void check_fits(const X509* certificate, const pki::Key& key, const std::string& path) {
    pki::check(::X509_check_private_key(certificate, key.get()),
               ("the certificate is not of the key in " + path).c_str());
}

// Empty: there is none.
std::string certificate_in(const rest::Response& answer) {
    boost::system::error_code error;
    const json::value body = json::parse(answer.body, error);
    const json::value* const found =
        !error && body.is_object() ? body.get_object().if_contains("certificate") : nullptr;
    return found != nullptr && found->is_string() ? std::string{found->get_string()} : "";
}

}  // namespace

void Renewal::look() {
    period_ = longest_period;
    try {
        look_at_file();
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error,
                  files_.certificate + " cannot be used or renewed: " + error.what());
    }
    look_later();
}

void Renewal::look_later() {
    loop_.call_after(period_, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->look();
        }
    });
}

void Renewal::look_at_file() {
    const std::string pem = pki::read_file(files_.certificate);
    const pki::Certificate certificate = pki::parse_certificate(pem);
    const pki::Key key = pki::parse_key(pki::read_file(files_.key));
    check_fits(certificate.get(), key, files_.key);
    const pki::Validity validity = pki::validity_of(certificate.get());
    const std::int64_t lifetime_s = validity.until_s - validity.from_s;
    period_ = std::clamp(seconds{lifetime_s / looks}, shortest_period, longest_period);
    if (pem != used_ || pki::read_file(files_.authority) != used_authority_) {
        use(pem, validity);
    }
    if (validity.until_s - static_cast<std::int64_t>(host::realtime_s()) <
        lifetime_s / renewed_at) {
        ask(pem, key);
    }
}

// No longer than the authority's, which whoever has its key makes anew (pki/README.md).
void Renewal::use(const std::string& pem, const pki::Validity& validity) {
    used_authority_ = pki::read_file(files_.authority);
    const pki::Validity authority = pki::validity_of(pki::parse_certificate(used_authority_).get());
    expires_ = node::to_rfc3339(std::min(validity.until_s, authority.until_s) * 1000);
    const std::string authority_expires = node::to_rfc3339(authority.until_s * 1000);
    use_(expires_, authority_expires);
    used_ = pem;
    host::log(host::LogLevel::info, files_.certificate + " is good until " + expires_);
    const std::int64_t now_s = static_cast<std::int64_t>(host::realtime_s());
    if (authority.until_s - now_s < (authority.until_s - authority.from_s) / authority_warned_at) {
        host::log(host::LogLevel::warn, files_.authority + " expires at " + authority_expires +
                                            ": make it anew with the authority's key "
                                            "(controlplane/pki/README.md)");
    }
}

void Renewal::ask(const std::string& pem, const pki::Key& key) {
    const model::RenewalRequest request{pem, pki::make_request(key)};
    ask_(model::to_json(request), [weak = std::weak_ptr{self_}](const rest::Response& answer) {
        if (const auto self = weak.lock()) {
            (*self)->on_answer(answer);
        }
    });
}

void Renewal::on_answer(const rest::Response& answer) {
    try {
        if (answer.status != 200) {
            throw pki::PkiError{rest::detail_of(answer)};
        }
        take(certificate_in(answer));
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, files_.certificate + " expires at " + expires_ +
                                             " and is not renewed: " + error.what());
    }
}

void Renewal::take(const std::string& pem) {
    const pki::Certificate certificate = pki::parse_certificate(pem);
    check_fits(certificate.get(), pki::parse_key(pki::read_file(files_.key)), files_.key);
    const pki::Certificate authority = pki::parse_certificate(pki::read_file(files_.authority));
    pki::check(::X509_verify(certificate.get(), ::X509_get0_pubkey(authority.get())),
               "the answer's certificate is not of the cluster's authority");
    content::PartialFile file{files_.certificate};
    file.append(pem);
    file.keep();
    use(pem, pki::validity_of(certificate.get()));
}

}  // namespace shoal::daemon
