#include "cluster/request_forwarder.hpp"

#include <atomic>

#include "runtime/gateway/problem.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

// What is not HTTP on the way: pseudo headers, which no client can send.
constexpr std::string_view content_type_field = ":content-type";
constexpr std::string_view stream_field = ":stream";
constexpr std::string_view scope_field = ":types";
constexpr std::string_view peer_field = ":peer";
constexpr std::string_view replayed_field = ":replayed";
constexpr std::string_view code_field = ":code";
constexpr std::string_view verb_field = ":verb";
constexpr std::string_view by_field = ":by";
constexpr std::string_view reason_field = ":reason";
constexpr std::string_view changed_field = ":changed";
constexpr unsigned status_done = 204;
constexpr unsigned status_unknown = 500;
constexpr std::string_view route_method = ":route";
constexpr std::string_view control_method = ":control";
constexpr std::string_view audit_method = ":audit";

constexpr std::string_view not_forwarded[] = {
  "connection", "content-length", "transfer-encoding", "authorization", "expect", "upgrade"};

bool is_forwarded(std::string_view name) {
  return std::none_of(std::begin(not_forwarded), std::end(not_forwarded),
                      [&](std::string_view one) { return net::equals_ignoring_case(one, name); });
}

std::string_view field(const link::header_list& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (net::equals_ignoring_case(key, name))
      return value;
  return {};
}

/// Roles, types and the name, a line each; the name comes last.
std::string text_of(const principal& who) {
  std::string out = std::to_string(who.roles.bits) + '\n';
  for (const auto& type : who.scope.types)
    out += type + ' ';
  return out + '\n' + who.name;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = text.find(' ');
    if (end != 0)
      out.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

/// Nobody who may do nothing, when the text is not one of ours.
std::shared_ptr<const principal> principal_of(std::string_view text) {
  if (text == text_of(*local_principal()))
    return local_principal();
  principal out;
  const auto roles = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), roles.size() + 1));
  const auto types = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), types.size() + 1));
  for (const char digit : roles)
    out.roles.bits = static_cast<std::uint8_t>(out.roles.bits * 10 + (digit - '0'));
  out.scope.types = words_of(types);
  out.name = text;
  return std::make_shared<const principal>(std::move(out));
}

/// As it came to the node that sent it.
net::http_request request_of(link::http_request&& sent) {
  std::string peer{field(sent.headers, peer_field)};
  std::erase_if(sent.headers, [](const auto& one) { return one.first.starts_with(':'); });
  auto out = net::http_request::make(sent.method, sent.target, sent.headers, std::move(sent.body));
  out.peer = std::move(peer);
  return out;
}

/// The second fact of a command's record, if there is one.
void put_once(const std::optional<idempotency>& once, turn_record& record) {
  if (once)
    record.facts.push_back(
      idempotency_recorded{once->scope, once->body, {}, {}, {}, once->expires});
}

std::optional<idempotency> once_of(const turn_record& record) {
  if (record.facts.size() < 2)
    return std::nullopt;
  const auto* known = std::get_if<idempotency_recorded>(&record.facts[1]);
  return known ? std::optional{idempotency{known->scope, known->body, known->expires}}
               : std::nullopt;
}

/// The answer to a command, as another node sends it.
net::http_response response_of(const answer& told) {
  net::http_response out;
  if (const auto* why = std::get_if<error>(&told)) {
    out = problem(*why);
    out.headers.emplace_back(code_field, to_string(why->code));
    out.body = why->context;
  } else if (const auto* routed = std::get_if<routed_event>(&told)) {
    turn_record record;
    record.facts.push_back(event_routed{routed->event, {}, {}, routed->routes});
    out.body = codec::encode(record);
    out.headers.emplace_back(replayed_field, routed->replayed ? "1" : "0");
  } else if (const auto* done = std::get_if<command_done>(&told)) {
    out.status = status_done;
    out.headers.emplace_back(changed_field, done->changed ? "1" : "0");
  } else {
    out.status = status_unknown;
  }
  return out;
}

answer answer_of(const link::http_head& head, const std::string& body) {
  if (const auto code = field(head.headers, code_field); !code.empty())
    return error{errc_from_string(code), body};
  if (head.status == status_done)
    return command_done{{}, {}, field(head.headers, changed_field) == "1"};
  auto record = codec::decode_record(body);
  if (!record || record->facts.empty())
    return error{errc::unknown_outcome, {}};
  auto* routed = std::get_if<event_routed>(&record->facts.front());
  if (!routed)
    return error{errc::unknown_outcome, {}};
  return routed_event{routed->id, std::move(routed->routes),
                      field(head.headers, replayed_field) == "1"};
}

const error no_leader{errc::no_quorum,
                      "no node leads this partition right now; send again in a moment"};
/// One hop: who asked finds out where the group has gone.
const error not_leading{errc::not_leader, "the partition moved; send again"};

const error not_reached{errc::no_quorum,
                        "that node cannot be reached; `holdfast node list` says whether it is up"};

}  // namespace

group_id home_of(const std::optional<idempotency>& once, const event& e, std::uint16_t partitions) {
  const std::string home = once ? std::string{once->scope.view()} : e.source + '\n' + e.id;
  return group_of(std::string_view{home}, partitions);
}

// ---- answering another node ------------------------------------------------------------------------------------------

/// The body of an answer that goes on, at the node that gives it.
class request_forwarder::answer_stream final : public net::stream_sink {
public:
  answer_stream(std::shared_ptr<request_forwarder> by, consensus::node_id to, std::uint64_t number)
    : by_(std::move(by)), to_(to), number_(number) {}

  bool write(std::shared_ptr<const std::string> bytes) override {
    if (closed_)
      return false;
    if (by_->p_.send(to_, link::http_chunk{number_, *bytes, false}))
      return true;
    end();  // the reader sees a broken stream and resumes by its cursor
    return false;
  }
  void close() override {
    if (!closed_)
      by_->p_.send(to_, link::http_chunk{number_, {}, true});
    end();
  }
  bool closed() const override { return closed_; }
  void on_close(std::function<void()> callback) override {
    {
      const std::lock_guard lock{mutex_};
      if (!closed_) {
        on_close_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  void end() {
    std::function<void()> callback;
    {
      const std::lock_guard lock{mutex_};
      closed_ = true;
      callback = std::exchange(on_close_, nullptr);
    }
    if (callback)
      callback();
  }

private:
  const std::shared_ptr<request_forwarder> by_;
  const consensus::node_id to_;
  const std::uint64_t number_;
  std::mutex mutex_;
  std::atomic<bool> closed_{false};
  std::function<void()> on_close_;
};

class request_forwarder::answer_exchange final : public net::exchange {
public:
  answer_exchange(std::shared_ptr<request_forwarder> by, consensus::node_id to,
                  std::uint64_t number)
    : by_(std::move(by)), to_(to), number_(number) {}
  ~answer_exchange() override {
    if (!answered_)
      by_->p_.send(to_, link::http_cancel{number_});
  }
  answer_exchange(const answer_exchange&) = delete;
  answer_exchange& operator=(const answer_exchange&) = delete;

  void send(net::http_response&& response) override {
    if (answered_.exchange(true))
      return;
    by_->p_.send(to_, head_of(response));
    by_->p_.send(to_, link::http_chunk{number_, std::move(response.body), true});
  }
  net::stream_handle start_stream(net::http_response&& head) override {
    if (answered_.exchange(true))
      return {};
    auto sink = std::make_shared<answer_stream>(by_, to_, number_);
    {
      const std::lock_guard lock{by_->mutex_};
      by_->streams_[{to_, number_}] = sink;
    }
    auto sent = head_of(head);
    sent.headers.emplace_back(stream_field, "1");
    if (!by_->p_.send(to_, sent))
      sink->end();
    else if (!head.body.empty())
      sink->write(std::make_shared<const std::string>(std::move(head.body)));
    return net::stream_handle{sink};
  }
  void on_abort(std::function<void()>) override {}

private:
  link::http_head head_of(net::http_response& response) const {
    link::http_head out{number_, response.status, std::move(response.headers)};
    if (!response.content_type.empty())
      out.headers.emplace_back(content_type_field, response.content_type);
    return out;
  }

  const std::shared_ptr<request_forwarder> by_;
  const consensus::node_id to_;
  const std::uint64_t number_;
  std::atomic<bool> answered_{false};
};

void request_forwarder::received(consensus::node_id from, link::http_request&& request) {
  net::responder to{std::make_shared<answer_exchange>(shared_from_this(), from, request.number)};
  if (!request.method.starts_with(':')) {
    auto who = principal_of(request.principal);
    return p_.serve(request_of(std::move(request)), std::move(who), std::move(to));
  }
  take_command(request, [to](const answer& told) { to.send(response_of(told)); });
}

/// What it holds is the record that it would become, without what its owner decides.
void request_forwarder::take_command(const link::http_request& request,
                                     answer_function tell) const {
  auto record = codec::decode_record(request.body);
  if (!record || record->facts.empty())
    return tell(error{errc::malformed, "a command of another node does not parse"});
  const auto once = once_of(*record);
  auto& first = record->facts.front();
  if (auto* routed = std::get_if<event_routed>(&first); routed && request.method == route_method) {
    event_sender sender{std::move(routed->by), {words_of(field(request.headers, scope_field))}};
    if (!node_->owns(home_of(once, routed->event, node_->partitions())))
      return tell(not_leading);
    return node_->route(std::move(routed->event), std::move(routed->verified), once,
                        std::move(sender), std::move(tell));
  }
  auto* audited = std::get_if<audit_recorded>(&first);
  if (audited && request.method == audit_method) {
    if (!node_->owns(catalog_group))
      return tell(not_leading);
    return node_->audit(std::move(*audited), std::move(tell));
  }
  const auto agent = parse_agent_name(request.target);
  const auto verb = field(request.headers, verb_field);
  if (!audited || request.method != control_method || !agent || verb.size() != 1)
    return tell(error{errc::malformed, "a command of another node does not parse"});
  if (!node_->owns(group_of(*agent, node_->partitions())))
    return tell(not_leading);
  holdfast::control what;
  what.verb = static_cast<control_verb>(verb.front() - '0');
  what.by = field(request.headers, by_field);
  what.reason = field(request.headers, reason_field);
  auto note =
    audited->method.empty() ? nullptr : std::make_shared<const audit_recorded>(std::move(*audited));
  node_->submit(*agent, std::move(what), once, false, std::move(note), std::move(tell));
}

void request_forwarder::received(consensus::node_id from, const link::http_cancel& cancel) {
  std::shared_ptr<answer_stream> gone;
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = streams_.find({from, cancel.number}); found != streams_.end()) {
      gone = found->second.lock();
      streams_.erase(found);
    }
  }
  if (gone)
    return gone->end();
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
  what->request.method = request.method();
  what->request.target = request.target();
  for (const auto& header : request.headers())
    if (is_forwarded(header.name))
      what->request.headers.emplace_back(header.name, header.value);
  what->request.headers.emplace_back(peer_field, request.peer);
  what->request.body = std::move(request.body);
  what->request.principal = text_of(who);
  what->repeatable = is_reading(what->request.method) || !request.header("idempotency-key").empty();
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

void request_forwarder::route(group_id home, event e, std::string verified,
                              std::optional<idempotency> once, event_sender sender,
                              answer_function tell) {
  auto what = std::make_shared<asked>();
  what->group = home;
  what->request.method = route_method;
  std::string types;
  for (const auto& type : sender.scope.types)
    types += type + ' ';
  what->request.headers.emplace_back(scope_field, types);
  turn_record record;
  record.facts.push_back(
    event_routed{{}, std::move(e), std::move(verified), {}, std::move(sender.by)});
  put_once(once, record);
  what->request.body = codec::encode(record);
  what->repeatable = once.has_value();
  what->tell = std::move(tell);
  ask(what);
}

void request_forwarder::control(group_id group, const agent_name& to, const holdfast::control& of,
                                const std::optional<idempotency>& once, const audit_note& audit,
                                answer_function tell) {
  auto what = std::make_shared<asked>();
  what->group = group;
  what->request.method = control_method;
  what->request.target = to_string(to);
  what->request.headers.emplace_back(
    verb_field, std::string(1, static_cast<char>('0' + static_cast<int>(of.verb))));
  what->request.headers.emplace_back(by_field, of.by);
  what->request.headers.emplace_back(reason_field, of.reason);
  turn_record record;
  record.facts.push_back(audit ? *audit : audit_recorded{});
  put_once(once, record);
  what->request.body = codec::encode(record);
  what->tell = std::move(tell);
  ask(what);
}

void request_forwarder::audit(audit_recorded of, answer_function tell) {
  auto what = std::make_shared<asked>();
  what->group = catalog_group;
  what->request.method = audit_method;
  turn_record record;
  record.facts.push_back(std::move(of));
  what->request.body = codec::encode(record);
  what->tell = std::move(tell);
  ask(what);
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
      p_.serve(request_of(std::move(what->request)), principal_of(what->request.principal),
               what->to);
    return true;
  }
  {
    const std::lock_guard lock{mutex_};
    if (what->at != 0 || !asked_.contains(what->request.number))
      return true;  // the ticker and its own thread have met: sent already
    what->at = leader;
  }
  if (p_.send(leader, what->request))
    return true;
  const std::lock_guard lock{mutex_};
  what->at = 0;
  return false;
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
  if (!what)
    return;
  if (!field(head.headers, nothing_taken_header).empty() && p_.steady_ms() < what->deadline_ms) {
    const std::lock_guard lock{mutex_};
    what->at = 0;  // asked again by the next tick, where the group has gone
    return;
  }
  if (field(head.headers, stream_field).empty()) {
    what->head = std::move(head);
    what->body.clear();
    return;
  }
  net::http_response out;
  out.status = head.status;
  for (auto& [name, value] : head.headers)
    if (name == content_type_field)
      out.content_type = std::move(value);
    else if (!name.starts_with(':'))
      out.headers.emplace_back(std::move(name), std::move(value));
  what->streaming = true;
  what->stream = what->to.start_stream(std::move(out));
  what->stream.on_close([weak = weak_from_this(), from, number = head.number] {
    if (const auto self = weak.lock(); self && self->take(number))
      self->p_.send(from, link::http_cancel{number});
  });
}

void request_forwarder::received(consensus::node_id from, link::http_chunk&& chunk) {
  const auto what = find(chunk.number, from);
  if (!what)
    return;
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
  what->body += chunk.bytes;
  if (!chunk.end || !take(chunk.number))
    return;
  finish(*what);
}

void request_forwarder::finish(const asked& what) const {
  const auto& head = *what.head;
  if (what.tell)
    return what.tell(answer_of(head, what.body));
  net::http_response out;
  out.status = head.status;
  for (const auto& [name, value] : head.headers)
    if (name == content_type_field)
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

void request_forwarder::peer_down(consensus::node_id node) {
  std::vector<asked_ptr> ended;
  std::vector<std::shared_ptr<answer_stream>> readers;
  {
    const std::lock_guard lock{mutex_};
    for (auto at = asked_.begin(); at != asked_.end();) {
      auto& what = *at->second;
      if (what.at != node) {
        ++at;
      } else if (what.repeatable && !what.streaming) {
        what.at = 0;
        what.head.reset();
        what.body.clear();
        what.deadline_ms = deadline_for(what);
        ++at;
      } else {
        ended.push_back(std::move(at->second));
        at = asked_.erase(at);
      }
    }
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
  }
  for (const auto& what : again)
    try_send(what);
  for (const auto& what : late)
    if (is_reading(what->request.method) && what->only == 0)
      p_.serve_stale(what->group, request_of(std::move(what->request)),
                     principal_of(what->request.principal), what->to);
    else
      refuse(*what, what->only != 0 ? not_reached : no_leader);
}

void request_forwarder::stop() {
  std::map<std::uint64_t, asked_ptr> left;
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
    left.swap(asked_);
    streams_.clear();
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
