// Whatever waits for a disk does so beside the loop.
#include "controlplane/peer/checkpoints.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <utility>

#include "controlplane/content/file_source.h"
#include "controlplane/content/partial_folder.h"
#include "controlplane/content/save.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"
#include "devices/host/durable.h"

namespace shoal::peer {
namespace {

using checkpoints::CheckpointFolder;
using checkpoints::CheckpointId;

// To merge a difference a host copies the memory that it has, whole.
constexpr Patience patience{std::chrono::seconds{300}, std::chrono::seconds{60}};

rest::Request request_for(const char* method, const CheckpointId& id) {
    rest::Request request;
    request.method = method;
    request.path = {"v1", "checkpoints", to_text(id)};
    return request;
}

std::string why(const std::string& host, const rest::Response& response) {
    return "host " + host + ": " + rest::detail_of(response);
}

CheckpointId id_of(const std::string& text) {
    auto id = checkpoints::id_in(text);
    if (!id) {
        throw rest::Problem{400, "that is no checkpoint's name"};
    }
    return *std::move(id);
}

// Keeps the folder alive until what was received is installed.
void receive(const CheckpointRoutes& routes, const rest::Request& request, rest::Respond respond) {
    rest::expect_parameters(request, {"base", "drives"});
    const CheckpointId id = id_of(request.path[2]);
    std::optional<CheckpointId> base;
    if (const auto found = request.query.find("base"); found != request.query.end()) {
        base = id_of(found->second);
    }
    const std::size_t drives = rest::number_of(request, "drives", 0, CheckpointFolder::max_drives);
    std::string partial;
    try {
        routes.folder.expect_room(0);
        partial = routes.folder.make_partial();
    } catch (const std::runtime_error& error) {
        throw rest::Problem{507, error.what()};
    }
    content::save(
        routes.context, routes.workers, request.source, CheckpointFolder::pack_in(partial),
        [&keeper = routes.keeper, partial, id, base, drives,
         respond = std::move(respond)](const content::Saved& saved) mutable {
            if (saved.problem) {
                host::delete_all(partial);
                return respond(rest::to_response(*saved.problem));
            }
            keeper.install(partial, id, base, drives,
                           [respond = std::move(respond)](const std::string& failure) mutable {
                               respond(failure.empty()
                                           ? rest::Response{204}
                                           : rest::to_response(rest::Problem{409, failure}));
                           });
        },
        content::Keeping::passing);
}

void give(const CheckpointRoutes& routes, const rest::Request& request, rest::Respond respond) {
    rest::expect_parameters(request, {});
    const CheckpointId id = id_of(request.path[2]);
    boost::asio::post(routes.workers, [routes, id, respond = std::move(respond)]() mutable {
        rest::Response response;
        try {
            const std::string partial = routes.folder.make_partial();
            try {
                routes.folder.pack_again(id, CheckpointFolder::pack_in(partial));
                response.content_type = "application/octet-stream";
                response.source = std::make_shared<content::FileSource>(
                    routes.context, routes.workers, CheckpointFolder::pack_in(partial));
            } catch (...) {
                host::delete_all(partial);
                throw;
            }
            host::delete_all(partial);  // It is open.
        } catch (const std::exception& error) {
            response = rest::to_response(rest::Problem{404, error.what()});
        }
        boost::asio::post(routes.context,
                          [respond = std::move(respond), response = std::move(response)]() mutable {
                              respond(std::move(response));
                          });
    });
}

}  // namespace

struct Checkpoints::Shipping {
    node::Shipment shipment;
    Done done;
    node::Shipped result;
    std::size_t waits_for = 0;

    void on_answer(const std::string& failure) {
        if (result.failure.empty()) {
            result.failure = failure;
        }
        if (--waits_for == 0) {
            done(result);
        }
    }
};

std::string Checkpoints::make_folder(const std::string& place, std::uint64_t bytes) {
    parts_.folder.expect_room(bytes);
    std::filesystem::create_directory(place);  // a VMM's that an older shoald has started
    return content::make_partial_folder(place);
}

void Checkpoints::delete_folder(const std::string& folder) {
    boost::asio::post(parts_.workers, [folder] { host::delete_all(folder); });
}

std::optional<Peer> Checkpoints::find(const std::string& host) const {
    const auto found = parts_.mirror.hosts().find(host);
    return found == parts_.mirror.hosts().end()
               ? std::nullopt
               : std::optional{Peer{host, found->second.host.peer_address}};
}

void Checkpoints::ship(node::Shipment shipment, Done done) {
    const auto shipping = std::make_shared<Shipping>();
    shipping->shipment = std::move(shipment);
    shipping->done = std::move(done);
    boost::asio::post(parts_.workers,
                      [this, weak = std::weak_ptr{is_alive_}, shipping, &context = parts_.context] {
                          const std::string& folder = shipping->shipment.folder;
                          try {
                              shipping->result.sent_bytes =
                                  CheckpointFolder::pack(folder, CheckpointFolder::pack_in(folder));
                          } catch (const std::exception& error) {
                              shipping->result.failure = error.what();
                          }
                          boost::asio::post(context, [this, weak, shipping] {
                              if (weak.expired()) {
                                  return;
                              }
                              shipping->result.failure.empty() ? send_all(shipping)
                                                               : shipping->done(shipping->result);
                          });
                      });
}

void Checkpoints::send_all(const std::shared_ptr<Shipping>& shipping) {
    const node::Shipment& shipment = shipping->shipment;
    shipping->waits_for = shipment.hosts.size();
    for (const std::string& host : shipment.hosts) {
        const auto peer = find(host);
        rest::Request request = request_for("PUT", shipment.id);
        if (shipment.base) {
            request.query["base"] = to_text(*shipment.base);
        }
        if (shipment.drives != 0) {
            request.query["drives"] = std::to_string(shipment.drives);
        }
        try {
            request.source = std::make_shared<content::FileSource>(
                parts_.context, parts_.workers, CheckpointFolder::pack_in(shipment.folder));
            if (!peer) {
                throw std::runtime_error{"there is no host " + host};
            }
        } catch (const std::runtime_error& error) {
            shipping->on_answer(error.what());
            continue;
        }
        parts_.client.send(
            *peer, request, patience,
            [weak = std::weak_ptr{is_alive_}, shipping, host](const rest::Response& response) {
                if (!weak.expired()) {
                    shipping->on_answer(response.status < 300 ? "" : why(host, response));
                }
            });
    }
}

void Checkpoints::fetch(const std::string& host, const CheckpointId& id, const std::string& path,
                        Fetched fetched) {
    const auto peer = find(host);
    if (!peer) {
        return boost::asio::post(parts_.context, [host, fetched = std::move(fetched)]() mutable {
            fetched({"there is no host " + host});
        });
    }
    parts_.client.send(
        *peer, request_for("GET", id), patience,
        [this, weak = std::weak_ptr{is_alive_}, host, path,
         fetched = std::move(fetched)](const rest::Response& response) mutable {
            if (weak.expired()) {
                return;
            }
            if (response.status >= 300 || !response.source) {
                return fetched({why(host, response)});
            }
            content::save(
                parts_.context, parts_.workers, response.source, path,
                [host, fetched = std::move(fetched)](const content::Saved& saved) mutable {
                    if (!saved.problem) {
                        return fetched({});
                    }
                    fetched({"host " + host + ": " + std::string{saved.problem->what()},
                             saved.problem->status() >= 500});
                },
                content::Keeping::passing);
        });
}

void add_checkpoints(rest::Api& api, const CheckpointRoutes& routes) {
    api.add("PUT", "/v1/checkpoints/*",
            [routes](const rest::Request& request, rest::Respond respond) {
                receive(routes, request, std::move(respond));
            });
    api.add("GET", "/v1/checkpoints/*",
            [routes](const rest::Request& request, rest::Respond respond) {
                give(routes, request, std::move(respond));
            });
}

}  // namespace shoal::peer
