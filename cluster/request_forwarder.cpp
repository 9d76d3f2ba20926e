#include "cluster/request_forwarder.hpp"

#include <charconv>
#include <random>

#include "cluster/forwarded_answer.hpp"
#include "runtime/gateway/problem.hpp"

namespace holdfast {

namespace {

const error no_leader{errc::no_quorum,
                      "no node leads this partition right now; send again in a moment"};
/// One hop: who asked finds out where the group has gone.
const error not_leading{errc::not_leader, "the partition moved; send again"};

const error not_reached{errc::no_quorum,
                        "that node cannot be reached; `holdfast node list` says whether it is up"};

std::size_t begin_of(const link::header_list& headers) {
  const auto text = forwarded::field(headers, forwarded::begin_field);
  std::size_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

const error ending{errc::draining, "this node is stopping; send again to another"};

}  // namespace

group_id home_of(const std::optional<idempotency>& once, const event& e, std::uint16_t partitions) {
  const std::string home = once ? std::string{once->scope.view()} : e.source + '\n' + e.id;
  return group_of(std::string_view{home}, partitions);
}

// ---- answering another node ------------------------------------------------------------------------------------------

void request_forwarder::received(consensus::node_id from, link::http_request&& request) {
  const auto number = request.number;
  const auto here = shared_from_this();
  answer_way way{number,
                 [here, from](const link_frame& frame) { return here->p_.send(from, frame); },
                 [here, from, number] { here->cancel(from, number); }};
  auto streaming = [weak = weak_from_this(), from,
                    number](const std::shared_ptr<forwarded_stream>& stream) {
    if (const auto self = weak.lock()) {
      const std::lock_guard lock{self->mutex_};
      self->streams_[{from, number}] = stream;
    }
  };
  auto answering = std::make_shared<forwarded_exchange>(std::move(way), std::move(streaming));
  {
    const std::lock_guard lock{mutex_};
    exchanges_[{from, number}] = answering;
  }
  net::responder to{std::move(answering)};
  if (forwarded::is_command(request))
    return take_command(request,
                        [to](const answer& told) { to.send(forwarded::response_of(told)); });
  auto who = forwarded::principal_of(request.principal);
  p_.serve(forwarded::request_of(std::move(request)), std::move(who), std::move(to));
}

void request_forwarder::take_command(const link::http_request& request,
                                     answer_function tell) const {
  auto sent = forwarded::decode_command(request);
  if (!sent)
    return tell(sent.error());
  if (auto* route = std::get_if<forwarded::route_command>(&*sent)) {
    if (!node_->owns(home_of(route->once, route->what, node_->partitions())))
      return tell(not_leading);
    return node_->route(std::move(route->what), std::move(route->verified), route->once,
                        std::move(route->sender), std::move(tell));
  }
  if (auto* audit = std::get_if<forwarded::audit_command>(&*sent)) {
    if (!node_->owns(catalog_group))
      return tell(not_leading);
    return node_->audit(std::move(audit->what), std::move(tell));
  }
  auto& of = std::get<forwarded::control_command>(*sent);
  if (!node_->owns(group_of(of.to, node_->partitions())))
    return tell(not_leading);
  node_->submit(of.to, std::move(of.what), of.once, false, std::move(of.audit), std::move(tell));
}

void request_forwarder::received(consensus::node_id from, const link::http_cancel& cancel) {
  std::shared_ptr<forwarded_stream> gone;
  std::shared_ptr<forwarded_exchange> waiting;
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = streams_.find({from, cancel.number}); found != streams_.end()) {
      gone = found->second.lock();
      streams_.erase(found);
    }
    if (const auto found = exchanges_.find({from, cancel.number}); found != exchanges_.end())
      waiting = found->second.lock();
  }
  if (gone)
    return gone->end();
  if (waiting)
    return waiting->recall();
  if (const auto what = find(cancel.number, from)) {
    take(cancel.number);
    if (what->streaming)
      what->stream.close();
    else
      refuse(*what, {errc::unknown_outcome, {}});
  }
}

// ---- asking another node ---------------------------------------------------------------------------------------------

request_forwarder::asked_ptr request_forwarder::carried(net::http_request&& request,
                                                        const principal& who, net::responder to) {
  auto what = std::make_shared<asked>();
  what->repeatable = is_reading(request.method()) || !request.header("idempotency-key").empty();
  what->request = forwarded::carried(std::move(request), who);
  what->to = std::move(to);
  return what;
}

void request_forwarder::forward(group_id group, net::http_request&& request,
                                std::shared_ptr<const principal> who, net::responder to) {
  const auto what = carried(std::move(request), *who, std::move(to));
  what->group = group;
  ask(what);
}

void request_forwarder::forward_to(consensus::node_id node, net::http_request&& request,
                                   std::shared_ptr<const principal> who, net::responder to) {
  const auto what = carried(std::move(request), *who, std::move(to));
  what->only = node;
  ask(what);
}

void request_forwarder::command(group_id group, const forwarded::command& of,
                                answer_function tell) {
  auto what = std::make_shared<asked>();
  what->group = group;
  what->request = forwarded::encode(of);
  if (const auto* route = std::get_if<forwarded::route_command>(&of))
    what->repeatable = route->once.has_value();
  what->tell = std::move(tell);
  ask(what);
}

void request_forwarder::route(group_id home, event e, std::string verified,
                              std::optional<idempotency> once, event_sender sender,
                              answer_function tell) {
  command(
    home,
    forwarded::route_command{std::move(e), std::move(verified), std::move(once), std::move(sender)},
    std::move(tell));
}

void request_forwarder::control(group_id group, const agent_name& to, const holdfast::control& of,
                                const std::optional<idempotency>& once, const audit_note& audit,
                                answer_function tell) {
  command(group, forwarded::control_command{to, of, once, audit}, std::move(tell));
}

void request_forwarder::audit(audit_recorded of, answer_function tell) {
  command(catalog_group, forwarded::audit_command{std::move(of)}, std::move(tell));
}

void request_forwarder::ask(const asked_ptr& what) {
  what->deadline_ms = deadline_for(*what);
  bool stopped = false;
  {
    const std::lock_guard lock{mutex_};
    what->request.number = next_++;
    stopped = stopped_;
    if (!stopped)
      asked_.emplace(what->request.number, what);
  }
  if (stopped)
    return refuse(*what, no_leader);
  try_send(what);
}

std::int64_t request_forwarder::deadline_for(const asked& what) const {
  return p_.steady_ms() + (is_reading(what.request.method) ? search_to_read_ms_max : search_ms_max);
}

std::uint64_t request_forwarder::first_number() {
  std::random_device chance;
  return (std::uint64_t{chance()} << 16) | 1;
}

/// Before it is asked again, with the lock held: answers to the first asking are none to the second.
void request_forwarder::renumber(const asked_ptr& what) {
  what->outdated = what->sending;
  if (what->sending || asked_.erase(what->request.number) == 0)
    return;  // by who sends it, when that is done; or it is over
  what->request.number = next_++;
  what->at = 0;
  what->recalled = false;
  what->head.reset();
  what->body.clear();
  what->begin_bytes = 0;
  asked_.emplace(what->request.number, what);
}

/// False: there is nobody to send it to; `tick` tries again.
bool request_forwarder::try_send(const asked_ptr& what) {
  const auto leader = what->only != 0 ? what->only : p_.leader_of(what->group);
  if (leader == 0)
    return false;
  if (leader == p_.self) {
    // Elected, but its shard is not there yet, or the lease is over: the backend would only send it here again.
    if (node_ == nullptr || !node_->owns(what->group))
      return false;
    if (!take(what->request.number))
      return true;
    if (what->tell)
      take_command(what->request, what->tell);
    else
      p_.serve(forwarded::request_of(std::move(what->request)),
               forwarded::principal_of(what->request.principal), what->to);
    return true;
  }
  {
    const std::lock_guard lock{mutex_};
    if (what->at != 0 || !asked_.contains(what->request.number))
      return true;  // the ticker and its own thread have met: sent already
    what->at = leader;
    what->sending = true;
  }
  const bool sent = p_.send(leader, what->request);
  const std::lock_guard lock{mutex_};
  what->sending = false;
  if (!sent || what->outdated)
    renumber(what);
  return sent;
}

request_forwarder::asked_ptr request_forwarder::find(std::uint64_t number,
                                                     consensus::node_id from) const {
  const std::lock_guard lock{mutex_};
  const auto found = asked_.find(number);
  return found != asked_.end() && found->second->at == from ? found->second : nullptr;
}

request_forwarder::asked_ptr request_forwarder::take(std::uint64_t number) {
  const std::lock_guard lock{mutex_};
  const auto found = asked_.find(number);
  if (found == asked_.end())
    return nullptr;
  auto out = std::move(found->second);
  asked_.erase(found);
  return out;
}

void request_forwarder::received(consensus::node_id from, link::http_head&& head) {
  const auto what = find(head.number, from);
  const bool goes_on = !forwarded::field(head.headers, forwarded::stream_field).empty();
  if (!what) {
    if (goes_on)
      cancel(from, head.number);  // nobody is here to read it any more
    return;
  }
  if (!forwarded::field(head.headers, nothing_taken_header).empty() &&
      p_.steady_ms() < what->deadline_ms) {
    const std::lock_guard lock{mutex_};
    renumber(what);  // asked again by the next tick, where the group has gone
    return;
  }
  what->begin_bytes = goes_on ? begin_of(head.headers) : 0;
  what->head = std::move(head);
  what->body.clear();
  if (goes_on && what->begin_bytes == 0)
    begin_stream(what, from);
}

void request_forwarder::begin_stream(const asked_ptr& what, consensus::node_id from) {
  const auto& head = *what->head;
  net::http_response out;
  out.status = head.status;
  for (const auto& [name, value] : head.headers)
    if (name == forwarded::content_type_field)
      out.content_type = value;
    else if (!name.starts_with(':'))
      out.headers.emplace_back(name, value);
  out.body = std::move(what->body);
  auto stream = what->to.start_stream(std::move(out));
  {
    const std::lock_guard lock{mutex_};
    what->streaming = true;
    what->stream = stream;
  }
  stream.on_close([weak = weak_from_this(), from, number = head.number] {
    if (const auto self = weak.lock(); self && self->take(number))
      self->cancel(from, number);
  });
}

void request_forwarder::received(consensus::node_id from, link::http_chunk&& chunk) {
  const auto what = find(chunk.number, from);
  if (!what) {
    if (!chunk.end)
      cancel(from, chunk.number);
    return;
  }
  if (what->streaming) {
    if (!chunk.bytes.empty() && !what->stream.write(std::move(chunk.bytes)))
      return;  // `on_close` tells the other side
    if (!chunk.end)
      return;
    take(chunk.number);
    what->stream.close();
    return;
  }
  if (!what->head)
    return;  // of an answer that was not taken
  if (what->body.size() + chunk.bytes.size() > forwarded::answer_bytes_max) {
    if (!take(chunk.number))
      return;
    cancel(from, chunk.number);
    return refuse(*what, forwarded::answer_too_large);
  }
  what->body += chunk.bytes;
  if (what->begin_bytes != 0 && what->body.size() >= what->begin_bytes)
    return begin_stream(what, from);
  if (!chunk.end || !take(chunk.number))
    return;
  finish(*what);
}

void request_forwarder::finish(const asked& what) const {
  const auto& head = *what.head;
  if (what.tell)
    return what.tell(forwarded::answer_of(head, what.body));
  net::http_response out;
  out.status = head.status;
  for (const auto& [name, value] : head.headers)
    if (name == forwarded::content_type_field)
      out.content_type = value;
    else if (!name.starts_with(':') && !net::equals_ignoring_case(name, nothing_taken_header))
      out.headers.emplace_back(name, value);
  out.body = what.body;
  what.to.send(std::move(out));
}

void request_forwarder::refuse(const asked& what, const error& why) const {
  if (what.tell)
    what.tell(why);
  else
    what.to.send(problem(why));
}

/// Nothing more comes, or is wanted. While the link takes no more, each tick tries again: who hears nothing would wait for
/// ever. When the link is down, both sides know without.
void request_forwarder::cancel(consensus::node_id to, std::uint64_t number) {
  if (p_.send(to, link::http_cancel{number}) || !p_.reaches(to))
    return;
  const std::lock_guard lock{mutex_};
  cancels_.emplace(to, number);
}

void request_forwarder::cancel_again() {
  std::set<exchange_key> left;
  {
    const std::lock_guard lock{mutex_};
    left.swap(cancels_);
  }
  consensus::node_id full = 0;
  std::erase_if(left, [&](const exchange_key& one) {
    const auto& [to, number] = one;
    if (to == full)
      return false;
    if (p_.send(to, link::http_cancel{number}) || !p_.reaches(to))
      return true;
    full = to;
    return false;
  });
  const std::lock_guard lock{mutex_};
  cancels_.merge(left);
}

void request_forwarder::peer_down(consensus::node_id node) {
  std::vector<asked_ptr> ended;
  std::vector<std::shared_ptr<forwarded_stream>> readers;
  {
    const std::lock_guard lock{mutex_};
    std::vector<asked_ptr> again;
    for (auto at = asked_.begin(); at != asked_.end();) {
      auto& what = *at->second;
      if (what.at != node) {
        ++at;
      } else if (what.repeatable && !what.streaming) {
        what.deadline_ms = deadline_for(what);
        again.push_back(at->second);
        ++at;
      } else {
        ended.push_back(std::move(at->second));
        at = asked_.erase(at);
      }
    }
    for (const auto& what : again)
      renumber(what);
    for (auto at = streams_.begin(); at != streams_.end();) {
      if (at->first.first != node) {
        ++at;
        continue;
      }
      if (auto reader = at->second.lock())
        readers.push_back(std::move(reader));
      at = streams_.erase(at);
    }
  }
  for (const auto& what : ended)
    if (what->streaming)
      what->stream.close();
    else
      refuse(*what, {errc::unknown_outcome, {}});
  for (const auto& reader : readers)
    reader->end();
}

void request_forwarder::tick() {
  std::vector<asked_ptr> again;
  std::vector<asked_ptr> late;
  const auto now = p_.steady_ms();
  {
    const std::lock_guard lock{mutex_};
    for (auto at = asked_.begin(); at != asked_.end();) {
      if (at->second->at != 0) {
        ++at;
      } else if (now < at->second->deadline_ms) {
        again.push_back(at->second);
        ++at;
      } else {
        late.push_back(std::move(at->second));
        at = asked_.erase(at);
      }
    }
    std::erase_if(streams_, [](const auto& one) { return one.second.expired(); });
    std::erase_if(exchanges_, [](const auto& one) { return one.second.expired(); });
  }
  cancel_again();
  for (const auto& what : again)
    try_send(what);
  for (const auto& what : late)
    if (is_reading(what->request.method) && what->only == 0)
      p_.serve_stale(what->group, forwarded::request_of(std::move(what->request)),
                     forwarded::principal_of(what->request.principal), what->to);
    else
      refuse(*what, what->only != 0 ? not_reached : no_leader);
}

void request_forwarder::drain() {
  std::vector<net::stream_handle> streams;
  std::vector<exchange_key> recalled;
  std::vector<asked_ptr> late;
  const auto now = p_.steady_ms();
  {
    const std::lock_guard lock{mutex_};
    if (drained_at_ms_ == 0)
      drained_at_ms_ = now + drain_ms_max;
    for (auto at = asked_.begin(); at != asked_.end();) {
      auto& what = *at->second;
      if (what.streaming) {
        streams.push_back(what.stream);
      } else if (now >= drained_at_ms_) {
        late.push_back(std::move(at->second));
        at = asked_.erase(at);
        continue;
      } else if (what.at != 0 && !std::exchange(what.recalled, true)) {
        recalled.emplace_back(what.at, at->first);
      }
      ++at;
    }
  }
  for (const auto& stream : streams)
    stream.close();  // its `on_close` tells who writes it
  for (const auto& [to, number] : recalled)
    cancel(to, number);
  for (const auto& what : late)
    refuse(*what, what->at == 0 || what->repeatable ? ending : error{errc::unknown_outcome, {}});
}

void request_forwarder::stop() {
  std::map<std::uint64_t, asked_ptr> left;
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
    left.swap(asked_);
    exchanges_.clear();
    streams_.clear();
    cancels_.clear();
  }
  for (const auto& [number, what] : left)
    if (what->streaming)
      what->stream.close();
    else
      refuse(*what, {errc::unknown_outcome, {}});
}

std::size_t request_forwarder::waiting() const {
  const std::lock_guard lock{mutex_};
  return asked_.size();
}

}  // namespace holdfast
