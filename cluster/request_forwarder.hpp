#pragma once
// Requests that another node must answer, because it leads their group: carried there and back in one hop. A node that
// does not lead either says so and takes nothing; it never passes a request on.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cluster/forwarded_command.hpp"
#include "runtime/gateway/backend.hpp"
#include "schemas/link.hpp"

namespace holdfast {

class forwarded_exchange;
class forwarded_stream;

/// The partition of an event that is to be routed: where repeats of the same request meet (DESIGN §3 "Across partitions
/// and nodes").
group_id home_of(const std::optional<idempotency>& once, const event& e, std::uint16_t partitions);

/// Thread-safe. What it is given is called on any of its callers' threads, without a lock held.
class request_forwarder : public std::enable_shared_from_this<request_forwarder> {
public:
  struct parts {
    /// False: cannot be reached now, or too much waits to be sent; nothing was sent.
    std::function<bool(consensus::node_id to, const link_frame&)> send;
    std::function<bool(consensus::node_id)> reaches;        ///< the link to it is up
    std::function<consensus::node_id(group_id)> leader_of;  ///< 0: not known
    consensus::node_id self = 0;
    std::function<std::int64_t()> steady_ms;
    /// A request that came here to be answered: `gateway::handle_forwarded`.
    std::function<void(net::http_request&&, std::shared_ptr<const principal>, net::responder)>
      serve;
    /// A read from here that found no leader: `gateway::handle_stale`.
    std::function<void(group_id, net::http_request&&, std::shared_ptr<const principal>,
                       net::responder)>
      serve_stale;
  };
  /// A request waits so long for a leader, then it is refused with `no_quorum`; a read is answered
  /// with what is here.
  static constexpr std::int64_t search_ms_max = 5'000;
  static constexpr std::int64_t search_to_read_ms_max = 1'500;
  /// Of a node that ends, a request waits so long for its answer.
  static constexpr std::int64_t drain_ms_max = 5'000;

  explicit request_forwarder(parts p) : p_(std::move(p)) {}

  /// Once, before anything comes: takes the commands of other nodes that are no requests of the API.
  void take_commands(backend& node) { node_ = &node; }

  // ---- requests from here
  void forward(group_id group, net::http_request&& request, std::shared_ptr<const principal> who,
               net::responder to);
  /// For that node, whatever it leads. Refused when it cannot be reached in time.
  void forward_to(consensus::node_id node, net::http_request&& request,
                  std::shared_ptr<const principal> who, net::responder to);
  void route(group_id home, event e, std::string verified, std::optional<idempotency> once,
             event_sender sender, answer_function tell);
  void control(group_id group, const agent_name& to, const holdfast::control& what,
               const std::optional<idempotency>& once, const audit_note& audit,
               answer_function tell);
  void audit(audit_recorded what, answer_function tell);
  std::size_t waiting() const;

  // ---- from the link
  void received(consensus::node_id from, link::http_request&& request);
  void received(consensus::node_id from, link::http_head&& head);
  void received(consensus::node_id from, link::http_chunk&& chunk);
  void received(consensus::node_id from, const link::http_cancel& cancel);
  /// What it was asked has no outcome: asked again where that is harmless, else refused.
  void peer_down(consensus::node_id node);

  /// A few times per election: asks again what found no leader, says again what the link did not take.
  void tick();
  /// With every tick of a node that ends: its clients' streams end in order, and what waits is answered as it stands.
  void drain();
  /// Refuses everything that waits. Nothing is sent from then on.
  void stop();

private:
  /// One request from here.
  struct asked {
    group_id group = 0;
    consensus::node_id only = 0;  ///< this node and no other, instead of the group's leader
    link::http_request request;
    bool repeatable = false;  ///< asking twice is as good as once
    net::responder to;        ///< of a request of the API,
    answer_function tell;     ///< or of a command
    net::stream_handle stream;
    bool streaming = false;
    consensus::node_id at = 0;  ///< 0: not sent yet
    bool sending = false;       ///< somebody encodes it: it must not change
    bool outdated = false;  ///< while it was sent, it became clear that it has to be asked again
    bool recalled = false;  ///< who answers knows that nobody waits any longer
    std::int64_t deadline_ms = 0;
    std::optional<link::http_head> head;
    std::string body;
    std::size_t begin_bytes = 0;  ///< of a stream, before it can begin; else 0
  };
  using asked_ptr = std::shared_ptr<asked>;

  /// Unlike those of this node's lives before: peers may still answer what was asked then.
  static std::uint64_t first_number();
  void renumber(const asked_ptr& what);
  static asked_ptr carried(net::http_request&& request, const principal& who, net::responder to);
  void command(group_id group, const forwarded::command& of, answer_function tell);
  void ask(const asked_ptr& what);
  bool try_send(const asked_ptr& what);
  asked_ptr find(std::uint64_t number, consensus::node_id from) const;
  asked_ptr take(std::uint64_t number);
  void begin_stream(const asked_ptr& what, consensus::node_id from);
  void finish(const asked& what) const;
  void refuse(const asked& what, const error& why) const;
  void cancel(consensus::node_id to, std::uint64_t number);
  void cancel_again();
  std::int64_t deadline_for(const asked& what) const;
  void take_command(const link::http_request& request, answer_function tell) const;

  const parts p_;
  backend* node_ = nullptr;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, asked_ptr> asked_;
  using exchange_key = std::pair<consensus::node_id, std::uint64_t>;  ///< a peer and a number
  std::map<exchange_key, std::weak_ptr<forwarded_exchange>> exchanges_;
  std::map<exchange_key, std::weak_ptr<forwarded_stream>> streams_;
  std::set<exchange_key> cancels_;  ///< that the link has not taken yet
  std::int64_t drained_at_ms_ = 0;  ///< then what is left is refused; 0: the node does not end
  std::uint64_t next_ = first_number();
  bool stopped_ = false;
};

}  // namespace holdfast
