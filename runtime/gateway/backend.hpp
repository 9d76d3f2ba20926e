#pragma once
// What the gateway needs of a node: to give commands to the owner of an agent, to read what is
// committed, and to hear of what commits. Implemented by the node (actors/, cluster/); a fake one
// serves the gateway's tests.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "persistence/store.hpp"
#include "runtime/core/access.hpp"
#include "runtime/core/agent_core.hpp"
#include "runtime/core/answer.hpp"
#include "runtime/core/catalog.hpp"
#include "runtime/core/membership.hpp"
#include "runtime/gateway/cluster_view.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast {

/// Called on any thread; must not block. `accepted_event` may be followed by one `run_answer`; all
/// else is final.
using answer_function = std::function<void(answer)>;

/// Goes into the record of what a command changes, and only there; null: not audited.
using audit_note = std::shared_ptr<const audit_recorded>;

/// One definition, parsed and canonical, as `runtime/definition` gives it.
struct definition_change_request {
  std::string kind;
  std::string name;
  std::string canonical_json;
};

struct node_status {
  bool ready = false;
  bool draining = false;
  std::string why_not;  ///< when not ready
  std::string node;
  std::string version;
  std::uint64_t started_at_us = 0;
  std::string cluster = {};  ///< its name
  std::string address =
    {};  ///< `host:port`: of its link; of a node that is alone, where it listens
};

/// One counter or gauge for /metrics. Names and help stand in `runtime/host/metrics.hpp`.
struct metric_value {
  std::string name;
  std::string labels;  ///< `{a="b"}` or empty
  double value = 0;
};

/// The right to take a backup, of which a node takes one at a time. It is given up with this.
class backup_job {
public:
  virtual ~backup_job() = default;
  /// Once. Has every group cut, then writes all of it into what `open` gives, on a thread of its own, as fast as it is
  /// taken. `refuse`, in place of `open`: it cannot be had.
  virtual void run(std::function<net::stream_handle()> open,
                   std::function<void(const error&)> refuse) = 0;
};

class backend {
public:
  virtual ~backend() = default;

  // ---- commands; any thread; errors come through the answer
  /// `until_end`: answer again when the run ended.
  virtual void submit(agent_name to, command cmd, std::optional<idempotency> once, bool until_end,
                      audit_note audit, answer_function tell) = 0;
  /// Refused when it reaches agents outside the sender's scope.
  virtual void route(event e, std::string verified, std::optional<idempotency> once,
                     event_sender sender, answer_function tell) = 0;
  virtual void fork(agent_name from, seq_no at, std::string to_key, audit_note audit,
                    answer_function tell) = 0;
  /// All or nothing. `dry_run`: says what would change.
  virtual void apply(std::vector<definition_change_request> wanted, bool dry_run, std::string by,
                     audit_note audit, answer_function tell) = 0;
  /// Takes a dead letter away; `redrive`: and sends its event on its way again.
  virtual void settle_dead_letter(event_id id, bool redrive, audit_note audit,
                                  answer_function tell) = 0;
  /// Puts a call into the audit log that changed nothing: none of the above has it in its record.
  /// Tells when it is durable.
  virtual void audit(audit_recorded what, answer_function tell) = 0;
  /// Tells when the run ends (at once when it is over).
  virtual void wait_for(agent_name of, run_id run, answer_function tell) = 0;

  // ---- other nodes
  /// Whether other nodes lead groups too; then the next two are asked.
  virtual bool has_peers() const { return false; }
  /// This node takes the commands of that group, and its reads are the newest.
  virtual bool owns(group_id) const { return true; }
  /// Has the node that owns the group answer a request that was authorised here. `who` asks.
  virtual void forward(group_id group, net::http_request request,
                       std::shared_ptr<const principal> who, net::responder to) {
    (void)group, (void)request, (void)who, (void)to;
  }

  /// Nothing: this node is alone.
  virtual std::optional<cluster_view> cluster() const { return std::nullopt; }
  /// That name is another node of the cluster's.
  virtual bool is_peer(std::string_view node) const { return (void)node, false; }
  /// Has that peer answer a request that was authorised here. `who` asks.
  virtual void forward_to(std::string_view peer, net::http_request request,
                          std::shared_ptr<const principal> who, net::responder to) {
    (void)peer, (void)request, (void)who, (void)to;
  }
  /// Gives leadership away and takes none, or takes part again; until the process ends. Errors:
  /// `conflict`, when there is nobody else.
  virtual holdfast::status set_cordoned(bool cordoned) {
    return (void)cordoned,
           error{errc::conflict, "this node is alone: no other could lead in its place"};
  }
  /// Adds a node to the cluster, or removes one; for the owner of group 0. Tells when it is durable, and the leaders of
  /// the groups follow. Errors: `conflict`, `not_found`.
  virtual void change_member(member_change wanted, audit_note audit, answer_function tell) {
    (void)wanted, (void)audit;
    tell(error{errc::conflict,
               "this node is alone and takes no members; stopped, `holdfast cluster init` makes it "
               "the first one of a cluster"});
  }
  /// Gives peers the leadership that is theirs, as it does once in a second.
  virtual void spread_leaders() {}

  // ---- backup
  /// Errors: `conflict` (one is being taken), `not_available`.
  virtual result<std::shared_ptr<backup_job>> begin_backup() {
    return error{errc::not_available, "this node takes no backups"};
  }

  // ---- reads; any thread
  virtual std::shared_ptr<const catalog> definitions() const = 0;
  virtual const reader& records() const = 0;  ///< committed; of the partitions of this node
  virtual std::uint16_t partitions() const = 0;
  virtual node_status status() const = 0;
  virtual std::vector<metric_value> metrics() const = 0;
  virtual time_us now() const = 0;
  /// Whether a node of that name registers this native type (for `apply`).
  virtual bool has_native(std::string_view type) const = 0;

  // ---- what commits
  /// `on_record` is called with every committed record of the agent, in order, on an actor's
  /// thread; it must not block. Returns a number for `unsubscribe`; after that returns, `on_record`
  /// may still be running once.
  virtual std::uint64_t
  subscribe(agent_name to, std::function<void(std::shared_ptr<const turn_record>)> on_record) = 0;
  virtual void unsubscribe(std::uint64_t subscription) = 0;
};

}  // namespace holdfast
