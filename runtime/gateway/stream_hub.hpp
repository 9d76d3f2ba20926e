#pragma once
// All open streams of a node (INTERFACE §3 "SSE"): what was asked for is replayed from the disk,
// then the stream hears of commits as they happen. One feed per agent that somebody listens to.
// Thread-safe.

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "runtime/gateway/options.hpp"
#include "runtime/gateway/stream_feed.hpp"

namespace holdfast {

class answering;

class stream_hub {
public:
  stream_hub(backend& node, const gateway_options& opts);
  ~stream_hub();

  struct request {
    agent_name agent;
    run_id run;                          ///< empty: all of the agent
    std::optional<stream_cursor> after;  ///< nothing: a run from its beginning, an agent from now
  };
  /// Answers with a stream, or refuses (`not_found`, `gone`). Reads as much as the replay needs:
  /// not on an io thread.
  void open(const request& wanted, const answering& reply);

  /// Keep-alives, and feeds that nobody listens to any more.
  void tick(std::int64_t now_ms);
  /// Ends every stream properly: clients resume by cursor, elsewhere or later.
  void close_all();
  /// The same for those of one group's agents.
  void close_all_of(group_id group);
  /// Closes everything and lets go of the backend. Nothing is opened after this.
  void shut_down();

private:
  struct replayed;
  result<replayed> replay(const request& wanted) const;
  std::shared_ptr<stream_feed> acquire(const agent_name& name);
  template <class Chosen>
  void close_those(Chosen chosen);

  backend& node_;
  const gateway_options& opts_;
  mutable std::mutex mutex_;
  std::unordered_map<agent_name, std::shared_ptr<stream_feed>> feeds_;
};

}  // namespace holdfast
