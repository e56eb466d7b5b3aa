// Twice connected: first to see the authority and compare it with the token, then to trust it.
#include "controlplane/join/join.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/document.h"
#include "controlplane/content/sha256.h"
#include "controlplane/join/host_files.h"
#include "controlplane/peer/endpoint.h"
#include "controlplane/pki/authority.h"

namespace shoal::join {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using asio::ip::tcp;

constexpr std::uint64_t max_answer_bytes = std::uint64_t{64} << 10;
// For each read and write.
constexpr timeval patience{.tv_sec = 30, .tv_usec = 0};

// "FINGERPRINT.SECRET".
std::pair<std::string, std::string> split(const std::string& text) {
    const std::size_t at = text.find('.');
    return at == std::string::npos ? std::pair{text, std::string{}}
                                   : std::pair{text.substr(0, at), text.substr(at + 1)};
}

// TLS with a host; closed at the end.
class Connection {
public:
    Connection(asio::io_context& context, asio::ssl::context& tls, const std::string& endpoint)
        : stream_{context, tls} {
        const auto where = peer::parse_endpoint(endpoint);
        if (!where) {
            throw cli::CliError(endpoint + ": give ADDRESS:PORT");
        }
        try {
            tcp::socket& socket = stream_.next_layer();
            socket.connect(*where);
            for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
                ::setsockopt(socket.native_handle(), SOL_SOCKET, option, &patience,
                             sizeof patience);
            }
            stream_.handshake(asio::ssl::stream_base::client);
        } catch (const boost::system::system_error& error) {
            throw cli::CliError("cannot talk to " + endpoint + ": " + error.code().message());
        }
    }

    [[nodiscard]] asio::ssl::stream<tcp::socket>& stream() noexcept { return stream_; }

private:
    asio::ssl::stream<tcp::socket> stream_;
};

// The authority's certificate, PEM: what the host shows, if it has the token's fingerprint.
std::string find_authority(asio::io_context& context, const std::string& endpoint,
                           const std::string& fingerprint) {
    asio::ssl::context tls{asio::ssl::context::tlsv13_client};
    Connection connection{context, tls, endpoint};
    STACK_OF(X509)* const shown = ::SSL_get_peer_cert_chain(connection.stream().native_handle());
    for (int at = 0; at < sk_X509_num(shown); ++at) {
        X509* const certificate = sk_X509_value(shown, at);
        if (pki::fingerprint_of(certificate) == fingerprint) {
            ::X509_up_ref(certificate);
            return pki::to_pem(pki::Certificate{certificate});
        }
    }
    throw cli::CliError(endpoint + " is not of the cluster that the token is for");
}

std::string ask(asio::io_context& context, const std::string& endpoint,
                const std::string& authority, const std::string& body) {
    asio::ssl::context tls{asio::ssl::context::tlsv13_client};
    tls.set_verify_mode(asio::ssl::verify_peer);
    tls.add_certificate_authority(asio::buffer(authority));
    Connection connection{context, tls, endpoint};
    http::request<http::string_body> request{http::verb::post, "/v1/join", 11};
    request.set(http::field::host, endpoint);
    request.keep_alive(false);
    request.body() = body;
    request.prepare_payload();
    http::response_parser<http::string_body> answer;
    answer.body_limit(max_answer_bytes);
    boost::beast::flat_buffer buffer;
    boost::system::error_code error;
    http::write(connection.stream(), request, error);
    http::read(connection.stream(), buffer, answer, error);
    if (error) {
        throw cli::CliError(endpoint + " does not answer: " + error.message());
    }
    const json::value document = cli::parse_json(answer.get().body(), "the answer of " + endpoint);
    if (answer.get().result() != http::status::ok) {
        throw cli::CliError(endpoint + ": " + cli::text_of(cli::find(document, "detail")),
                            cli::ExitCode::refused);
    }
    const json::value* const certificate = cli::find(document, "certificate");
    if (certificate == nullptr || !certificate->is_string()) {
        throw cli::CliError("the answer of " + endpoint + " has no certificate");
    }
    return std::string{certificate->get_string()};
}

}  // namespace

void join(const cli::JoinOptions& options) {
    check_files(options);
    const auto [fingerprint, secret] = split(options.token);
    if (!content::is_digest(fingerprint) || secret.empty()) {
        throw cli::CliError("this is no token: give what shoal token has printed");
    }
    asio::io_context context;
    const std::string authority = find_authority(context, options.endpoint, fingerprint);
    const pki::Key key = pki::make_key();
    const std::string certificate =
        ask(context, options.endpoint, authority,
            json::serialize(json::object{{"secret", secret},
                                         {"host", options.host},
                                         {"address", options.address},
                                         {"request", pki::make_request(key)}}));
    write_file(options, "ca.pem", authority, Secrecy::open);
    write_file(options, "host.key", pki::to_pem(key), Secrecy::secret);
    write_file(options, "host.pem", certificate, Secrecy::open);
    std::printf("this host may join: start\n  %s --etcd URL\n", shoald_words(options).c_str());
}

}  // namespace shoal::join
