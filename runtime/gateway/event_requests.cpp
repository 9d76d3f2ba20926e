// POST /v1/agents/{type}/{key}/events and POST /v1/events.

#include "runtime/gateway/requests.hpp"

#include <mutex>

#include "runtime/gateway/cloudevents.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/once.hpp"

namespace holdfast {

namespace {

void add_replayed(net::header_list& headers, bool replayed) {
  if (replayed)
    headers.emplace_back("Idempotent-Replayed", "true");
}

void answer_accepted(const answering& reply, const accepted_event& accepted) {
  net::header_list headers;
  headers.reserve(4);
  headers.emplace_back(
    "Location",
    "/v1/runs/" + to_string(accepted.run.empty() ? run_id{accepted.event.id} : accepted.run));
  add_replayed(headers, accepted.replayed);
  reply.document(accepted_document(accepted), 202, std::move(headers));
}

void answer_ended(const answering& reply, const run_answer& ended) {
  net::header_list headers;
  add_replayed(headers, ended.replayed);
  reply.document(run_document(ended.end), 200, std::move(headers));
}

const error unexpected_answer{errc::internal, "an answer of another kind"};

/// A client that waits for the end of its run: the end, or the deadline, answers.
class waiting_client : public std::enable_shared_from_this<waiting_client> {
public:
  explicit waiting_client(answering reply) : reply_(std::move(reply)) {}

  void start(std::int64_t wait_ms) {
    auto& at = reply_.at();
    const auto id =
      at.waits.add(at.opts.steady_ms() + wait_ms, [self = shared_from_this()] { self->expire(); });
    reply_.on_recall([weak = weak_from_this()] {
      if (const auto self = weak.lock())
        self->recall();
    });
    std::unique_lock lock{mutex_};
    deadline_ = id;
    if (!answered_)
      return;
    lock.unlock();
    at.waits.call_off(id);
  }

  void tell(const answer& told) {
    if (const auto* why = std::get_if<error>(&told)) {
      if (!claim())
        return;
      if (accepted_)  // the event is durable; only who would have told of its end is gone
        answer_accepted(reply_, *accepted_);
      else
        reply_.refuse(*why);
    } else if (const auto* accepted = std::get_if<accepted_event>(&told)) {
      std::unique_lock lock{mutex_};
      accepted_ = *accepted;
      if (answered_ || !expired_)
        return;
      answered_ = true;
      lock.unlock();
      answer_accepted(reply_, *accepted);
    } else if (const auto* ended = std::get_if<run_answer>(&told)) {
      if (claim())
        answer_ended(reply_, *ended);
    } else if (claim()) {
      reply_.refuse(unexpected_answer);
    }
  }

private:
  /// Takes the right to answer, and calls the deadline off.
  bool claim() {
    std::unique_lock lock{mutex_};
    if (answered_)
      return false;
    answered_ = true;
    const auto deadline = deadline_;
    lock.unlock();
    if (deadline)
      reply_.at().waits.call_off(*deadline);
    return true;
  }

  void expire() {
    std::unique_lock lock{mutex_};
    expired_ = true;
    if (answered_ || !accepted_)
      return;  // not durable yet: the answer follows as soon as it is
    answered_ = true;
    const auto accepted = *accepted_;
    lock.unlock();
    answer_accepted(reply_, accepted);
  }

  void recall() {
    std::unique_lock lock{mutex_};
    const auto deadline = deadline_;
    lock.unlock();
    expire();
    if (deadline)
      reply_.at().waits.call_off(*deadline);
  }

  const answering reply_;
  std::mutex mutex_;
  bool answered_ = false;
  bool expired_ = false;
  std::optional<accepted_event> accepted_;
  std::optional<deadlines::id> deadline_;
};

/// One event of a request to be routed, and what became of it.
struct routed_one {
  std::string id;
  std::string source;
  std::optional<routed_event> routed;
  std::optional<error> refused;
};

/// Collects the answers of a batch; the last one answers the client.
struct batch_of_events {
  explicit batch_of_events(answering r, std::size_t count) : reply(std::move(r)), open(count) {}
  answering reply;
  std::mutex mutex;
  std::size_t open;
  std::vector<routed_one> events;
  bool batch = false;

  void tell(std::size_t at, const answer& told) {
    {
      std::lock_guard lock{mutex};
      if (const auto* routed = std::get_if<routed_event>(&told))
        events[at].routed = *routed;
      else if (const auto* why = std::get_if<error>(&told))
        events[at].refused = *why;
      else
        events[at].refused = unexpected_answer;
      if (--open != 0)
        return;
    }
    finish();
  }

  void finish() {
    std::vector<problem_item> problems;
    std::optional<error> first;
    for (std::size_t i = 0; i < events.size(); ++i)
      if (events[i].refused) {
        if (!first)
          first = events[i].refused;
        problems.push_back(
          {"/" + std::to_string(i), std::string{to_string(public_code(events[i].refused->code))}});
      }
    if (first) {
      reply.refuse(refusal{*first, batch ? std::move(problems) : std::vector<problem_item>{}});
      return;
    }
    bool replayed = !events.empty();
    std::string body;
    json_writer json{body};
    json.begin_object().field("kind", "accepted").key("events").begin_array();
    for (const auto& one : events) {
      replayed = replayed && one.routed->replayed;
      json.begin_object();
      json.field("event_id", to_string(one.routed->event));
      json.field("id", one.id);
      json.field("source", one.source);
      json.key("agents").begin_array();
      for (const auto& route : one.routed->routes)
        if (route.matched)
          json.value(route.type + "/" + route.key);
      json.end_array().end_object();
    }
    json.end_array().end_object();
    net::header_list headers;
    headers.emplace_back("Location", events.size() == 1
                                       ? "/v1/events/" + to_string(events.front().routed->event)
                                       : "/v1/events");
    add_replayed(headers, replayed);
    reply.document(std::move(body), 202, std::move(headers));
  }
};

}  // namespace

void post_agent_event(call&& c) {
  auto agent = c.agent();
  if (!agent)
    return c.reply.refuse(agent.error());
  const auto wait_ms = c.wait_ms();
  if (!wait_ms)
    return c.reply.refuse(wait_ms.error());
  const auto key = idempotency_key_of(c);
  if (!key)
    return c.reply.refuse(key.error());
  deliver_event deliver;
  if (const auto refused = read_direct_event(c.request, c.at().opts.body, deliver.event))
    return c.reply.refuse(*refused);
  deliver.verified = "none";
  deliver.by = c.reply.sender().by;
  const auto once = key->empty() ? once_by_event(c, to_string(*agent), deliver.event)
                                 : std::optional{once_by_key(c, *key)};
  auto& node = c.node();
  if (*wait_ms == 0) {
    node.submit(std::move(*agent), std::move(deliver), once, false, nullptr,
                [reply = std::move(c.reply)](const answer& told) {
                  if (const auto* accepted = std::get_if<accepted_event>(&told))
                    answer_accepted(reply, *accepted);
                  else if (const auto* why = std::get_if<error>(&told))
                    reply.refuse(*why);
                  else
                    reply.refuse(unexpected_answer);
                });
    return;
  }
  auto client = std::make_shared<waiting_client>(std::move(c.reply));
  client->start(*wait_ms);
  node.submit(std::move(*agent), std::move(deliver), once, true, nullptr,
              [client](const answer& told) { client->tell(told); });
}

void post_events(call&& c) {
  const auto key = idempotency_key_of(c);
  if (!key)
    return c.reply.refuse(key.error());
  std::vector<event> events;
  bool batch = false;
  if (const auto refused = read_routed_events(c.request, c.at().opts.body,
                                              c.at().opts.batch_events_max, events, batch))
    return c.reply.refuse(*refused);
  auto under_way = std::make_shared<batch_of_events>(c.reply, events.size());
  under_way->batch = batch;
  for (const auto& one : events)
    under_way->events.push_back({one.id, one.source, {}, {}});
  if (events.empty())
    return under_way->finish();
  auto& node = c.node();
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto once =
      key->empty() ? once_by_event(c, {}, events[i])
                   : std::optional{once_by_key(c, *key, batch ? std::to_string(i) : std::string{})};
    node.route(std::move(events[i]), "none", once, c.reply.sender(),
               [under_way, i](const answer& told) { under_way->tell(i, told); });
  }
}

}  // namespace holdfast
