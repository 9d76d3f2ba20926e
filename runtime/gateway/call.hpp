#pragma once
// One request on its way through the gateway, and the right to answer it.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/core/access.hpp"
#include "runtime/gateway/problem.hpp"
#include "runtime/gateway/request_body.hpp"
#include "runtime/gateway/router.hpp"
#include "runtime/gateway/services.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast {

/// What a call leaves in the audit log, once: in the record of what it changed, or when it is
/// answered.
struct audit_ticket {
  audit_recorded entry;
  bool refusals_only = false;  ///< only when authorisation refuses it
  std::atomic<bool> done{false};
};

/// Answers one request: adds what every answer carries, and audits. Copyable, any thread; keeps the
/// services alive.
class answering {
public:
  /// `carried`: somebody else has authorised it, and passes on what is answered.
  answering(std::shared_ptr<services> at, net::responder to, std::string request_id,
            std::string traceparent, bool carried = false)
    : at_(std::move(at)),
      to_(std::move(to)),
      request_id_(std::move(request_id)),
      traceparent_(std::move(traceparent)),
      carried_(carried) {}

  services& at() const noexcept { return *at_; }
  const std::string& request_id() const noexcept { return request_id_; }

  /// Before anything else is asked of it. `ticket`: null when the call is not audited.
  void identify(std::shared_ptr<const principal> who, std::shared_ptr<audit_ticket> ticket);
  const std::shared_ptr<const principal>& who() const noexcept { return who_; }
  /// Whose key has to count for as long as a stream is open; null: who carries it sees to that.
  std::shared_ptr<const principal> key_holder() const { return carried_ ? nullptr : who_; }
  /// Whether the key is for agents of this type. Errors: `forbidden`.
  bool sees(std::string_view type) const noexcept { return who_->scope.contains(type); }
  status check_type(std::string_view type) const { return holdfast::check_type(*who_, type); }
  /// For the journal: empty where no key is asked for.
  event_sender sender() const;

  /// For the record of what the call changes, with outcome `done`; null when it is not audited.
  audit_note note() const;
  /// Says what the call is about, where the path does not.
  void note_subject(std::string_view subject) const;
  /// The note is in a committed record; or nothing was to be changed (a dry run).
  void audited() const noexcept;

  void send(net::http_response response) const { finish(std::move(response), "done"); }
  void refuse(const error& why) const;
  void refuse(const refusal& why) const;
  /// A JSON document.
  void document(std::string body, unsigned status_code = 200, net::header_list headers = {}) const;
  void no_content() const;
  /// Calls back once, when the node that carries the request ends: what can be said at once is to be
  /// the answer. Never for a request that came here.
  void on_recall(std::function<void()> callback) const;
  /// Opens a stream; see `net::responder::start_stream`.
  net::stream_handle stream(net::http_response head) const;

private:
  void add_headers(net::http_response& response) const;
  void finish(net::http_response response, std::string_view outcome) const;

  std::shared_ptr<services> at_;
  net::responder to_;
  std::string request_id_;
  std::string traceparent_;
  bool carried_ = false;
  std::shared_ptr<const principal> who_ = local_principal();
  std::shared_ptr<audit_ticket> ticket_;
};

/// A request with its place in the API. Moves along; whoever answers keeps `reply`.
struct call {
  net::http_request request;
  path_parameters parameters;  ///< views into `request`
  answering reply;

  services& at() const noexcept { return reply.at(); }
  backend& node() const noexcept { return reply.at().node; }
  /// Name of the key; `local` where none is asked for.
  const std::string& principal() const noexcept { return reply.who()->name; }

  std::string_view path() const noexcept;
  /// Of the first two parameters. Errors: `unknown_type`, `invalid_key`.
  result<agent_name> agent() const;
  /// A decoded parameter; nothing when it does not decode to UTF-8.
  std::optional<std::string> parameter(std::size_t at) const;
  result<query_reader> query() const;
  /// `?wait=`; 0: not asked for. Errors: `malformed`.
  result<std::int64_t> wait_ms() const;
};

}  // namespace holdfast
