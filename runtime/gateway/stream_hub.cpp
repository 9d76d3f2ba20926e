#include "runtime/gateway/stream_hub.hpp"

#include <algorithm>

#include "runtime/gateway/call.hpp"
#include "runtime/gateway/fact_walk.hpp"
#include "runtime/gateway/lookup.hpp"
#include "runtime/net/sse_writer.hpp"

namespace holdfast {

namespace {

constexpr unsigned reconnect_ms = 1'000;

bool has_ended(run_status value) noexcept {
  return value == run_status::completed || value == run_status::failed ||
         value == run_status::cancelled;
}

net::http_response stream_head(std::string body) {
  net::http_response head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers.emplace_back("Cache-Control", "no-store");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  net::append_sse_retry(head.body, reconnect_ms);
  head.body += body;
  return head;
}

}  // namespace

/// What a new stream begins with.
struct stream_hub::replayed {
  std::string text;
  stream_context context;
  stream_cursor position;
  bool over = false;  ///< nothing follows: the run has ended, or the replay reached its bound
};

stream_hub::stream_hub(backend& node, const gateway_options& opts) : node_(node), opts_(opts) {}

stream_hub::~stream_hub() = default;

result<stream_hub::replayed> stream_hub::replay(const request& wanted) const {
  const auto& records = node_.records();
  const group_id group = group_of(wanted.agent, node_.partitions());
  const auto state = find_agent(node_, wanted.agent);
  if (!state)
    return state.error();
  // Everything up to here is on disk in all families: cursors that are made from now on see it.
  const seq_no present = state->seq;
  std::optional<run_summary> run;
  if (!wanted.run.empty()) {
    auto found = find_run(node_, wanted.run);
    if (!found)
      return found.error();
    run = std::move(found->summary);
  }
  const auto after = wanted.after ? *wanted.after : run ? stream_cursor{0} : stream_cursor{present};
  if (wanted.after) {
    const auto oldest = oldest_fact(records, group, wanted.agent);
    if (!oldest)
      return oldest.error();
    if (*oldest > after.seq + 1)
      return error{errc::gone, "what follows cursor " + to_string(after) +
                                 " is below retention; begin with " + std::to_string(*oldest - 1) +
                                 ", or read the history"};
  }
  const seq_no next = after.part == stream_cursor::whole ? after.seq + 1 : after.seq;
  const seq_no first = std::min(
    std::max({next, run ? run->event_seq : seq_no{1}, run ? run->started_seq : 1}), present + 1);
  const auto begin = begin_of_run_at(records, group, wanted.agent, first);
  if (!begin)
    return begin.error();
  replayed out{
    {}, {stream_renderer{wanted.agent}, present}, std::max(after, stream_cursor{present}), false};
  std::vector<rendered_event> events;
  fact_walk walk{records, group, wanted.agent, family::stream, *begin, present + 1};
  for (; walk.valid() && !out.over; walk.next()) {
    out.context.renderer.take(walk.seq(), walk.at(), walk.fact(), walk.ends_record(), events);
    for (const auto& event : events) {
      if (event.at <= after || (run && event.run != wanted.run))
        continue;
      if (out.text.size() + event.text.size() > opts_.replay_bytes_max && !out.text.empty()) {
        out.over = true;
        break;
      }
      out.text += event.text;
      out.over = run && event.ends_run;
    }
    events.clear();
  }
  if (const auto walked = walk.state(); !walked)
    return walked.error();
  out.over = out.over || (run && has_ended(run->status) && run->ended_seq <= present);
  return out;
}

void stream_hub::open(const request& wanted, const answering& reply) {
  auto begun = replay(wanted);
  if (!begun)
    return reply.refuse(begun.error());
  if (begun->over)
    return reply.stream(stream_head(std::move(begun->text))).close();
  const auto feed = acquire(wanted.agent);
  feed->subscribe();
  const auto subscriber = std::make_shared<stream_subscriber>();
  subscriber->run = wanted.run;
  subscriber->position = begun->position;
  subscriber->who = reply.key_holder();
  subscriber->out = reply.stream(stream_head(std::move(begun->text)));
  subscriber->out.on_close([feed, weak = std::weak_ptr{subscriber}] {
    if (const auto gone = weak.lock())
      feed->detach(gone);
  });
  feed->attach(subscriber, std::move(begun->context));
}

std::shared_ptr<stream_feed> stream_hub::acquire(const agent_name& name) {
  std::lock_guard lock{mutex_};
  auto& feed = feeds_[name];
  if (!feed)
    feed = std::make_shared<stream_feed>(node_, name, opts_.offload);
  ++feed->users;
  return feed;
}

/// Feeds are taken down here only: the end of a stream may be seen from within a commit.
void stream_hub::tick(std::int64_t now_ms) {
  std::vector<std::shared_ptr<stream_feed>> idle;
  std::vector<std::shared_ptr<stream_feed>> open;
  {
    std::lock_guard lock{mutex_};
    for (auto at = feeds_.begin(); at != feeds_.end();) {
      if (at->second->users == 0) {
        idle.push_back(std::move(at->second));
        at = feeds_.erase(at);
      } else {
        open.push_back(at->second);
        ++at;
      }
    }
  }
  for (const auto& feed : idle)
    feed->unsubscribe();
  for (const auto& feed : open)
    feed->keep_alive(now_ms, opts_.keep_alive_ms, opts_.still_valid);
}

void stream_hub::close_all() {
  close_those([](const stream_feed&) { return true; });
}

void stream_hub::close_all_of(group_id group) {
  close_those([group](const stream_feed& feed) { return feed.group() == group; });
}

template <class Chosen>
void stream_hub::close_those(Chosen chosen) {
  std::vector<std::shared_ptr<stream_feed>> open;
  {
    std::lock_guard lock{mutex_};
    for (const auto& [name, feed] : feeds_)
      if (chosen(*feed))
        open.push_back(feed);
  }
  for (const auto& feed : open)
    feed->close_all();
}

void stream_hub::shut_down() {
  close_all();
  std::unordered_map<agent_name, std::shared_ptr<stream_feed>> left;
  {
    std::lock_guard lock{mutex_};
    left.swap(feeds_);
  }
  for (const auto& [name, feed] : left)
    feed->unsubscribe();
}

}  // namespace holdfast
