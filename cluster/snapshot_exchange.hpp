#pragma once
// The state of a group on its way from one node to another, for a member that is too far behind for the log. Who needs
// it asks for it chunk by chunk, so that memory is bounded on both sides, and puts it in place when it has all of it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "cluster/raft_output.hpp"
#include "cluster/worker_thread.hpp"
#include "persistence/group_import.hpp"
#include "schemas/link.hpp"

namespace holdfast {

/// Thread-safe. Reading and staging happen on a thread of its own.
class snapshot_exchange {
public:
  struct parts {
    store* disk = nullptr;
    /// False: cannot be reached now.
    std::function<bool(consensus::node_id to, const link_frame&)> send;
    /// What was to be fetched is here, or cannot be had. Any thread.
    std::function<void(group_id, std::uint64_t snapshot_id, bool fetched)> ended;
    std::function<std::int64_t()> steady_ms;
  };
  static constexpr std::size_t pinned_max = 8;   ///< states that are offered at one time
  static constexpr std::size_t fetched_max = 2;  ///< that are fetched at one time; others wait
  static constexpr std::size_t given_max = 256;  ///< and that were given, until they are let go
  static constexpr std::int64_t unused_ms_max = 30'000;  ///< then a pinned state is let go
  static constexpr std::int64_t answer_ms_max = 2'000;   ///< then a chunk is asked for again
  static constexpr std::int64_t silent_ms_max = 20'000;  ///< then it is given up

  explicit snapshot_exchange(parts p) : p_(std::move(p)) {}
  ~snapshot_exchange() { stop(); }

  // ---- on the log's thread
  /// Pins the state as it is now, in place of what that node does not fetch any more; nothing: too many are, ask again.
  /// `unpin` when nobody was told of it.
  std::optional<std::uint64_t> pin(group_id group, consensus::node_id to);
  void unpin(std::uint64_t snapshot_id);
  void fetch(const consensus::install_wanted& what);
  /// What `ended` said is here, once.
  std::unique_ptr<group_import> take(std::uint64_t snapshot_id);

  // ---- from the link
  void received(consensus::node_id from, const link::snapshot_request& request);
  void received(consensus::node_id from, link::snapshot_chunk&& chunk);

  /// A few times a second.
  void tick();
  void stop();

private:
  struct pinned {
    group_id group = 0;
    consensus::node_id to = 0;
    std::shared_ptr<const reader> state;
    std::int64_t used_ms = 0;
    bool given =
      false;  ///< its last chunk was sent: kept for a while, should it be asked for again
  };
  struct fetching {
    consensus::install_wanted what;
    std::unique_ptr<group_import> into;
    std::string position;  ///< of the chunk that was asked for
    bool started = false;
    bool adding = false;  ///< a chunk is being staged
    bool complete = false;
    std::int64_t asked_ms = 0;
    std::int64_t heard_ms = 0;
  };
  using fetching_ptr = std::shared_ptr<fetching>;

  void given(std::uint64_t snapshot_id);
  void begin_next();
  void ask(const fetching_ptr& what);
  void add(const fetching_ptr& what, const std::string& chunk);
  void end(const fetching_ptr& what, bool fetched);

  const parts p_;
  std::mutex mutex_;
  std::map<std::uint64_t, pinned> pinned_;
  std::map<std::uint64_t, fetching_ptr> fetching_;
  std::uint64_t next_ = 0;  // 0: not chosen yet
  bool stopped_ = false;
  worker_thread slow_;
};

}  // namespace holdfast
