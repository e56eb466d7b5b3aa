// Alternates: the loop fetches a piece, a worker writes it.
#include "controlplane/content/save.h"

#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "controlplane/content/partial_file.h"

namespace shoal::content {
namespace {

rest::Problem problem_of(const std::exception& error) {
    const auto* const of_os = dynamic_cast<const std::system_error*>(&error);
    const int code = of_os != nullptr ? of_os->code().value() : 0;
    return {code == ENOSPC || code == EDQUOT ? 507U : 500U, error.what()};
}

// Keeps itself alive.
class Saving : public std::enable_shared_from_this<Saving> {
public:
    Saving(boost::asio::io_context& context, boost::asio::thread_pool& workers,
           std::shared_ptr<rest::Source> source, std::string path, OnSaved done, Keeping keeping)
        : context_{context},
          workers_{workers},
          source_{std::move(source)},
          path_{std::move(path)},
          done_{std::move(done)},
          keeping_{keeping} {}

    void start() {
        work([self = this] { self->file_.emplace(self->path_, self->keeping_); }, &Saving::fetch);
    }

private:
    void fetch() {
        source_->next([self = shared_from_this()](std::optional<std::string> piece) {
            if (piece) {
                self->work([self, bytes = std::move(*piece)] { self->file_->append(bytes); },
                           &Saving::fetch);
            } else if (const std::string why = self->source_->failure(); !why.empty()) {
                self->finish(rest::Problem{400, why});
            } else {
                self->work([self] { self->keep(); }, &Saving::finish_well);
            }
        });
    }
    // On a worker.
    void keep() {
        saved_.size_bytes = file_->size_bytes();
        saved_.sha256 = file_->finish();
        file_->keep();
    }
    void finish_well() { finish(std::nullopt); }
    void finish(std::optional<rest::Problem> problem) {
        if (problem) {
            saved_.problem = std::move(problem);
        }
        source_.reset();
        file_.reset();
        std::exchange(done_, nullptr)(saved_);
    }
    // Does it on a worker, then goes on with `then`.
    template <typename Work>
    void work(Work what, void (Saving::*then)()) {
        boost::asio::post(
            workers_, [self = shared_from_this(), what = std::move(what), then]() mutable {
                std::optional<rest::Problem> problem;
                try {
                    what();
                } catch (const std::exception& error) {
                    problem = problem_of(error);
                }
                boost::asio::post(self->context_, [self, then, problem = std::move(problem)] {
                    problem ? self->finish(problem) : (self.get()->*then)();
                });
            });
    }

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    std::shared_ptr<rest::Source> source_;
    std::string path_;
    OnSaved done_;
    Keeping keeping_;
    std::optional<PartialFile> file_;
    Saved saved_;
};

}  // namespace

void save(boost::asio::io_context& context, boost::asio::thread_pool& workers,
          std::shared_ptr<rest::Source> source, std::string path, OnSaved done, Keeping keeping) {
    std::make_shared<Saving>(context, workers, std::move(source), std::move(path), std::move(done),
                             keeping)
        ->start();
}

}  // namespace shoal::content
