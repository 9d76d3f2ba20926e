#pragma once
// What actors are given: handles to the rest of the node. Made by the composition root (cluster/node), immutable once
// the actors run; everything it points at outlives them and is thread-safe.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "actors/handles.hpp"
#include "persistence/commit_log.hpp"
#include "runtime/model/provider.hpp"
#include "runtime/model/scripted.hpp"
#include "runtime/net/http_client.hpp"

namespace holdfast {

/// A model of the node's configuration, ready for calls.
struct model_endpoint {
  std::string name;
  std::string base_url;        ///< openai
  std::string model;           ///< openai: as the provider names it
  std::string api_key_secret;  ///< openai: empty: none
  model::price price;
  std::shared_ptr<const model::script> script;  ///< scripted; null: openai
};

/// Where the shards of this node are. Thread-safe.
class shard_directory {
public:
  void put(group_id group, shard_actor shard);
  /// True when it was this one that was listed; the successor of one that ends late stays.
  bool remove(group_id group, const shard_actor& shard);
  /// An invalid handle when no shard of that group runs here.
  shard_actor find(group_id group) const;
  std::vector<shard_actor> all() const;
  void clear();

private:
  mutable std::shared_mutex mutex_;
  std::map<group_id, shard_actor> shards_;
};

/// The catalogue in force. Thread-safe.
class catalog_view {
public:
  std::shared_ptr<const catalog> get() const {
    std::shared_lock lock{mutex_};
    return current_;
  }
  /// Unless a newer one is in force: whoever has read the disk slowly may come too late.
  void set(std::shared_ptr<const catalog> next) {
    std::unique_lock lock{mutex_};
    if (next->index >= current_->index)
      current_ = std::move(next);
  }

private:
  mutable std::shared_mutex mutex_;
  std::shared_ptr<const catalog> current_ = std::make_shared<const catalog>();
};

struct node_services {
  std::string node = "n1";
  std::uint16_t partitions = partitions_default;
  commit_log* log = nullptr;
  const reader* records = nullptr;
  net::http_client* http = nullptr;
  shard_directory* shards = nullptr;
  catalog_view* definitions = nullptr;
  compilers compile_with;
  std::map<std::string, model_endpoint, std::less<>> models;
  bool loopback_allowed = false;  ///< tools may reach loopback (`dev`)
  std::int64_t agent_idle_us = 5'000'000;

  std::function<time_us()> now;
  std::function<const behaviour*(const compiled_agent&)> behaviour_of;
  std::function<result<std::string>(std::string_view)> secret;
  std::function<void(const request_ref&, answer)> tell;
  std::function<void(std::shared_ptr<const turn_record>)> publish;
  std::function<void(const agent_name&, const run_id&)> handler_enters;
  std::function<void()> handler_leaves;
  /// A handler of this agent was running when the process before this one died.
  std::function<bool(const agent_name&)> is_suspect;
  // To shards of other nodes; null when this node is alone. What does not arrive is sent again.
  std::function<void(group_id target, const mail_stamp&, const outbox_message&)> send_away;
  std::function<void(group_id source, group_id target, std::uint64_t sequence, bool taken,
                     std::uint64_t epoch)>
    acknowledge_away;
  /// A shard leads and decides from now on.
  std::function<void(group_id)> shard_started;
  /// A shard is over and must be started again from the log.
  std::function<void(const shard_actor&, group_id, errc)> shard_ended;
};

using services_ptr = std::shared_ptr<const node_services>;

}  // namespace holdfast
