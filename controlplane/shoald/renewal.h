// Renewal: a host's certificate is another one before it expires, without a restart.
//
// Looks at its file from time to time: who replaces it by hand has it used too.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controlplane/http/exchange.h"
#include "controlplane/pki/openssl.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/tls_files.h"

namespace shoal::daemon {

// On the loop's thread.
class Renewal {
public:
    // Asks for a renewal with this body; the answer is POST /v1/certificate's (api/join.h).
    using Ask = std::function<void(const std::string& body, rest::Respond respond)>;
    // The files are to be used from now on; they are good until `expires` (RFC 3339), and the
    // authority's, which is not renewed here, until its own time.
    using Use = std::function<void(const std::string& expires, const std::string& authority)>;

    // Borrows the loop. The files are a host's certificate, its key and the authority's.
    Renewal(store::EventLoop& loop, store::TlsFiles files, Ask ask, Use use)
        : loop_{loop}, files_{std::move(files)}, ask_{std::move(ask)}, use_{std::move(use)} {}
    Renewal(const Renewal&) = delete;
    Renewal& operator=(const Renewal&) = delete;
    ~Renewal() = default;

    // From now on. What fails is logged, and tried again.
    void look();

private:
    void look_later();
    void look_at_file();
    void use(const std::string& pem, const pki::Validity& validity);
    void ask(const std::string& pem, const pki::Key& key);
    void on_answer(const rest::Response& answer);
    void take(const std::string& pem);

    store::EventLoop& loop_;
    store::TlsFiles files_;
    Ask ask_;
    Use use_;
    std::string used_{};  // what was in the host's file when use_ was called
    std::string used_authority_{};
    std::string expires_{};
    store::EventLoop::Duration period_{};
    std::shared_ptr<Renewal*> self_ = std::make_shared<Renewal*>(this);
};

}  // namespace shoal::daemon
