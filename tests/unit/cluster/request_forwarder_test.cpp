// Requests between two forwarders of one process: what is asked at one node is answered at the other.

#include "cluster/request_forwarder.hpp"

#include <doctest/doctest.h>

#include "persistence/memory_store.hpp"
#include "runtime/gateway/problem.hpp"
#include "runtime/net/http_server.hpp"
#include "runtime/net/peer_link.hpp"
#include "schemas/codec_link.hpp"

using namespace holdfast;

namespace {

/// A client at the other end of a responder.
struct seen_answer {
  std::optional<net::http_response> response;
  std::string streamed;
  bool stream_open = false;
  std::function<void()> on_close;
};
class seen_stream final : public net::stream_sink {
public:
  explicit seen_stream(std::shared_ptr<seen_answer> in) : in_(std::move(in)) {}
  bool write(std::shared_ptr<const std::string> bytes) override {
    if (bytes->size() > net::http_server::options{}.stream_bytes_max)
      close();
    if (in_->stream_open)
      in_->streamed += *bytes;
    return in_->stream_open;
  }
  void close() override {
    in_->stream_open = false;
    if (const auto told = std::exchange(in_->on_close, nullptr))
      told();
  }
  bool closed() const override { return !in_->stream_open; }
  void on_close(std::function<void()> callback) override { in_->on_close = std::move(callback); }

private:
  const std::shared_ptr<seen_answer> in_;
};
class seen_exchange final : public net::exchange {
public:
  explicit seen_exchange(std::shared_ptr<seen_answer> in) : in_(std::move(in)) {}
  void send(net::http_response&& response) override { in_->response = std::move(response); }
  net::stream_handle start_stream(net::http_response&& head) override {
    in_->response = std::move(head);
    in_->stream_open = true;
    return net::stream_handle{std::make_shared<seen_stream>(in_)};
  }
  void on_abort(std::function<void()>) override {}

private:
  const std::shared_ptr<seen_answer> in_;
};

struct served_request {
  std::string line;
  std::string body;
  std::string authorization;
  std::shared_ptr<const principal> who;
  net::responder to;
};

/// Takes commands and keeps them.
class noting_backend final : public backend {
public:
  void submit(agent_name to, command cmd, std::optional<idempotency> once, bool, audit_note audit,
              answer_function tell) override {
    const auto& verb = std::get<control>(cmd);
    noted = to_string(to) + " " + std::string{to_string(verb.verb)} + " " + verb.reason +
            (once ? " once" : "") + (audit ? " " + audit->route : "");
    tell(answer_with);
  }
  void route(holdfast::event e, std::string verified, std::optional<idempotency> once,
             event_sender sender, answer_function tell) override {
    noted = e.type + " " + e.data + " " + verified + (once ? " once" : "") + " " + sender.by;
    for (const auto& type : sender.scope.types)
      noted += " " + type;
    tell(answer_with);
  }
  void audit(audit_recorded what, answer_function tell) override {
    noted = what.by + " " + what.outcome;
    tell(answer_with);
  }
  void fork(agent_name, seq_no, std::string, audit_note, answer_function) override {}
  void apply(std::vector<definition_change_request>, bool, std::string, audit_note,
             answer_function) override {}
  void settle_dead_letter(event_id, bool, audit_note, answer_function) override {}
  void wait_for(agent_name, run_id, answer_function) override {}
  std::shared_ptr<const catalog> definitions() const override { return nullptr; }
  const reader& records() const override { return disk_; }
  std::uint16_t partitions() const override { return 24; }
  node_status status() const override { return {}; }
  std::vector<metric_value> metrics() const override { return {}; }
  time_us now() const override { return 0; }
  bool has_native(std::string_view) const override { return false; }
  std::uint64_t subscribe(agent_name,
                          std::function<void(std::shared_ptr<const turn_record>)>) override {
    return 0;
  }
  void unsubscribe(std::uint64_t) override {}

  std::string noted;
  answer answer_with = command_done{{}, {}, true};

private:
  memory_store disk_;
};

/// Three nodes; what one sends arrives at once, through its bytes.
struct three_nodes {
  struct node {
    std::shared_ptr<request_forwarder> forwarder;
    std::vector<served_request> served;
    std::vector<served_request> served_stale;
    noting_backend commands;
    bool up = true;
  };
  std::map<consensus::node_id, node> nodes;
  consensus::node_id leader = 2;
  std::int64_t now_ms = 1'000;
  /// What the link takes, beside frames of its size; null: everything.
  std::function<bool(const link_frame&)> takes;

  three_nodes() {
    for (consensus::node_id id = 1; id <= 3; ++id)
      begin_life(id);
  }
  void begin_life(consensus::node_id id) {
    auto& here = nodes[id];
    request_forwarder::parts p;
    p.self = id;
    p.send = [this, id](consensus::node_id to, const link_frame& frame) {
      return carry(id, to, frame);
    };
    p.reaches = [this, id](consensus::node_id to) { return nodes.at(id).up && nodes.at(to).up; };
    p.leader_of = [this](group_id) { return leader; };
    p.steady_ms = [this] { return now_ms; };
    const auto note = [](std::vector<served_request>& into, net::http_request&& request,
                         std::shared_ptr<const principal> who, net::responder to) {
      into.push_back({std::string{request.method()} + " " + std::string{request.target()},
                      request.body, std::string{request.header("authorization")}, std::move(who),
                      std::move(to)});
    };
    p.serve = [&here, note](net::http_request&& request, std::shared_ptr<const principal> who,
                            net::responder to) {
      note(here.served, std::move(request), std::move(who), std::move(to));
    };
    p.serve_stale = [&here, note](group_id, net::http_request&& request,
                                  std::shared_ptr<const principal> who, net::responder to) {
      note(here.served_stale, std::move(request), std::move(who), std::move(to));
    };
    here.forwarder = std::make_shared<request_forwarder>(std::move(p));
    here.forwarder->take_commands(here.commands);
  }
  ~three_nodes() {
    for (auto& [id, one] : nodes)
      one.forwarder->stop();
  }

  bool carry(consensus::node_id from, consensus::node_id to, const link_frame& frame) {
    if (!nodes.at(from).up || !nodes.at(to).up)
      return false;
    const auto bytes = codec::encode(frame);
    if (bytes.size() > net::peer_link::options{}.frame_bytes_max || (takes && !takes(frame)))
      return false;
    auto read = codec::decode_link_frame(bytes);
    REQUIRE(read);
    auto& target = *nodes.at(to).forwarder;
    std::visit(
      [&]<class T>(T& what) {
        if constexpr (std::is_same_v<T, link::http_request> || std::is_same_v<T, link::http_head> ||
                      std::is_same_v<T, link::http_chunk> || std::is_same_v<T, link::http_cancel>)
          target.received(from, std::move(what));
      },
      *read);
    return true;
  }
  /// The node's process is gone: the others hear of it.
  void kill(consensus::node_id id) {
    nodes.at(id).up = false;
    for (auto& [other, one] : nodes)
      if (other != id)
        one.forwarder->peer_down(id);
  }
  std::shared_ptr<seen_answer> ask(std::string_view method, const net::header_list& headers = {}) {
    principal who;
    who.name = "ops";
    who.roles.add(key_role::developer);
    who.scope.types = {"a", "b"};
    auto answered = std::make_shared<seen_answer>();
    nodes.at(1).forwarder->forward(
      5, net::http_request::make(method, "/v1/agents/t/k?x=1", headers, "body"),
      std::make_shared<const principal>(who),
      net::responder{std::make_shared<seen_exchange>(answered)});
    return answered;
  }
  served_request& last(consensus::node_id id) {
    REQUIRE_FALSE(nodes.at(id).served.empty());
    return nodes.at(id).served.back();
  }
  void later(std::int64_t ms) {
    now_ms += ms;
    for (auto& [id, one] : nodes)
      one.forwarder->tick();
  }
};

/// Refuses the nth frame of a kind, and everything from then on as long as `full`.
template <class T>
struct filling {
  int left;
  bool full = false;
  bool operator()(const link_frame& frame) {
    if (std::holds_alternative<T>(frame) && --left == 0)
      full = true;
    return !full;
  }
};

/// Not the same anywhere.
std::string text_of_size(std::size_t bytes) {
  std::string out;
  while (out.size() < bytes)
    out += std::to_string(out.size()) + ' ';
  out.resize(bytes);
  return out;
}

net::http_response moved() { return problem(error{errc::not_leader, "it moved"}); }

}  // namespace

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: a request is answered by the leader as if it came there") {
  const auto answered = ask("POST", {{"Authorization", "Bearer hf_secret"}, {"X-Own", "1"}});
  auto& there = last(2);
  CHECK(there.line == "POST /v1/agents/t/k?x=1");
  CHECK(there.body == "body");
  CHECK(there.authorization.empty());  // who asks was found out where it was asked
  CHECK(there.who->name == "ops");
  CHECK(there.who->roles.has(key_role::developer));
  CHECK(there.who->scope.types == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(answered->response);
  net::http_response response{202, "application/json", {{"Location", "/x"}}, "{}"};
  there.to.send(std::move(response));
  REQUIRE(answered->response);
  CHECK(answered->response->status == 202);
  CHECK(answered->response->content_type == "application/json");
  CHECK(answered->response->headers == net::header_list{{"Location", "/x"}});
  CHECK(answered->response->body == "{}");
  CHECK(nodes.at(1).forwarder->waiting() == 0);
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: where nothing was taken it is asked again, at the leader that is") {
  const auto answered = ask("POST");
  leader = 3;
  last(2).to.send(moved());
  CHECK_FALSE(answered->response);
  later(50);
  last(3).to.send({200, "", {}, "done"});
  REQUIRE(answered->response);
  CHECK(answered->response->body == "done");
}

TEST_CASE_FIXTURE(
  three_nodes, "forwarding: what a node asked in its life before is not answered to anybody new") {
  const auto before = ask("POST", {{"Idempotency-Key", "a"}});
  const auto old = last(2);
  kill(1);
  nodes.at(1).forwarder->stop();
  begin_life(1);
  nodes.at(1).up = true;
  const auto now = ask("POST", {{"Idempotency-Key", "b"}});
  REQUIRE(nodes.at(2).served.size() == 2);
  old.to.send({202, "", {}, "of the life before"});
  CHECK_FALSE(now->response);
  last(2).to.send({202, "", {}, "its own"});
  REQUIRE(now->response);
  CHECK(now->response->body == "its own");
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: asked again after the link broke, the first asking has no answer") {
  const auto answered = ask("POST", {{"Idempotency-Key", "a"}});
  const auto first = last(2);
  nodes.at(1).forwarder->peer_down(2);
  later(50);
  REQUIRE(nodes.at(2).served.size() == 2);
  first.to.send({503, "", {}, "of the first"});
  CHECK_FALSE(answered->response);
  last(2).to.send({202, "", {}, "of the second"});
  REQUIRE(answered->response);
  CHECK(answered->response->body == "of the second");
}

TEST_CASE_FIXTURE(three_nodes, "forwarding: the leader can be this node by the time it is asked") {
  leader = 0;
  const auto answered = ask("POST");
  leader = 1;
  later(50);
  CHECK(last(1).line == "POST /v1/agents/t/k?x=1");
  CHECK(last(1).who->name == "ops");
  last(1).to.send({200, "", {}, "here"});
  CHECK(answered->response->body == "here");
}

TEST_CASE_FIXTURE(
  three_nodes, "forwarding: without a leader a change is refused, and a read answered from here") {
  leader = 0;
  const auto change = ask("POST");
  const auto read = ask("GET");
  later(request_forwarder::search_to_read_ms_max);
  CHECK(nodes.at(1).served_stale.size() == 1);
  CHECK(nodes.at(1).served_stale.front().line == "GET /v1/agents/t/k?x=1");
  CHECK_FALSE(change->response);
  later(request_forwarder::search_ms_max);
  REQUIRE(change->response);
  CHECK(change->response->status == 503);
  CHECK(change->response->body.find("no_quorum") != std::string::npos);
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: when the leader dies, only what may be repeated is asked again") {
  const auto change = ask("POST");
  const auto keyed = ask("POST", {{"Idempotency-Key", "k1"}});
  const auto read = ask("GET");
  kill(2);
  REQUIRE(change->response);
  CHECK(change->response->status == 503);
  CHECK(change->response->body.find("not known") != std::string::npos);
  CHECK_FALSE(keyed->response);
  CHECK_FALSE(read->response);
  leader = 3;
  later(50);
  CHECK(nodes.at(3).served.size() == 2);
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: an answer that is never given is an outcome that is not known") {
  const auto answered = ask("POST");
  nodes.at(2).served.clear();  // the last responder goes
  REQUIRE(answered->response);
  CHECK(answered->response->status == 503);
}

TEST_CASE_FIXTURE(three_nodes, "forwarding: a stream goes on until either end closes it") {
  const auto reader = ask("GET");
  auto stream = last(2).to.start_stream({200, "text/event-stream", {}, "first "});
  REQUIRE(reader->stream_open);
  CHECK(reader->response->content_type == "text/event-stream");
  CHECK(stream.write(std::string{"second"}));
  CHECK(reader->response->body == "first ");
  CHECK(reader->streamed == "second");
  SUBCASE("the writer") {
    stream.close();
    CHECK_FALSE(reader->stream_open);
  }
  SUBCASE("the reader") {
    bool told = false;
    stream.on_close([&] { told = true; });
    reader->on_close();
    CHECK(told);
    CHECK_FALSE(stream.write(std::string{"third"}));
  }
  SUBCASE("the death of the writer's node") {
    kill(2);
    CHECK_FALSE(reader->stream_open);
  }
  SUBCASE("the death of the reader's node") {
    bool told = false;
    stream.on_close([&] { told = true; });
    kill(1);
    CHECK(told);
    CHECK(stream.closed());
  }
}

TEST_CASE_FIXTURE(three_nodes, "forwarding: an answer larger than a frame comes in pieces") {
  const auto body = text_of_size((20U << 20) + 1);
  const auto whole = ask("GET");
  last(2).to.send({200, "", {}, body});
  REQUIRE(whole->response);
  CHECK((whole->response->body == body));
  const auto stream = ask("GET");
  auto writer = last(2).to.start_stream({200, "", {}, body});
  CHECK(writer.write(std::string{"second"}));
  REQUIRE(stream->response);
  CHECK((stream->response->body == body));
  CHECK(stream->streamed == "second");
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: an answer too large to be carried is refused with why") {
  const auto answered = ask("GET");
  last(2).to.send({200, "", {}, std::string((32U << 20) + 1, 'x')});
  REQUIRE(answered->response);
  CHECK(answered->response->status == 413);
  CHECK(answered->response->body.find("32 MiB") != std::string::npos);
  // A node that would send it all the same.
  const auto given = ask("GET");
  link::http_head head;
  takes = [&](const link_frame& frame) {
    if (const auto* one = std::get_if<link::http_head>(&frame))
      head = *one;
    return true;
  };
  const auto kept = last(2).to;
  kept.start_stream({200, "", {}, {}});
  REQUIRE(given->stream_open);
  const auto larger = ask("GET");
  nodes.at(1).forwarder->received(2, link::http_head{head.number + 1, 200, {}});
  for (int i = 0; i < 33; ++i)
    nodes.at(1).forwarder->received(
      2, link::http_chunk{head.number + 1, std::string(1U << 20, 'x'), false});
  REQUIRE(larger->response);
  CHECK(larger->response->status == 413);
  CHECK(nodes.at(1).forwarder->waiting() == 1);
}

TEST_CASE_FIXTURE(
  three_nodes, "forwarding: an answer that the link does not take in time is refused, not lost") {
  const auto answered = ask("GET");
  SUBCASE("its head") { takes = filling<link::http_head>{1}; }
  SUBCASE("a piece of its body") { takes = filling<link::http_chunk>{2}; }
  SUBCASE("that there is none") { takes = filling<link::http_cancel>{1}; }
  if (takes.target<filling<link::http_cancel>>() != nullptr)
    nodes.at(2).served.clear();
  else
    last(2).to.send({200, "", {}, std::string(2U << 20, 'x')});
  later(50);
  CHECK_FALSE(answered->response);  // still full
  takes = nullptr;
  later(50);
  REQUIRE(answered->response);
  CHECK(answered->response->status == 503);
  CHECK(nodes.at(1).forwarder->waiting() == 0);
}

TEST_CASE_FIXTURE(three_nodes, "forwarding: a stream that the link does not take in time ends") {
  const auto reader = ask("GET");
  SUBCASE("at its head") { takes = filling<link::http_head>{1}; }
  SUBCASE("in its middle") { takes = filling<link::http_chunk>{2}; }
  SUBCASE("at its end") { takes = filling<link::http_chunk>{3}; }
  auto stream = last(2).to.start_stream({200, "text/event-stream", {}, "first "});
  stream.write(std::string{"second"});
  stream.close();
  CHECK(stream.closed());
  later(50);
  takes = nullptr;
  later(50);
  CHECK_FALSE(reader->stream_open);
  CHECK(reader->response);
  CHECK(nodes.at(1).forwarder->waiting() == 0);
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: what a node that is down did not take is not kept for it") {
  const auto answered = ask("GET");
  const auto to = last(2).to;
  takes = filling<link::http_head>{1};
  to.send({200, "", {}, "lost"});
  nodes.at(1).up = false;
  later(50);
  nodes.at(1).up = true;
  int cancels = 0;
  takes = [&](const link_frame& frame) {
    cancels += std::holds_alternative<link::http_cancel>(frame) ? 1 : 0;
    return true;
  };
  later(50);
  CHECK(cancels == 0);
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: a stream that begins after its reader's link broke is closed") {
  const auto reader = ask("GET");
  const auto to = last(2).to;
  leader = 0;
  bool told = false;
  SUBCASE("before its head") {
    nodes.at(1).forwarder->peer_down(2);
    nodes.at(2).forwarder->peer_down(1);
    auto stream = to.start_stream({200, "text/event-stream", {}, "first "});
    CHECK(stream.closed());
    stream.on_close([&] { told = true; });
  }
  SUBCASE("and its head was lost with it") {
    takes = [](const link_frame& frame) {
      return !std::holds_alternative<link::http_cancel>(frame);
    };
    nodes.at(1).forwarder->peer_down(2);
    auto stream = to.start_stream({200, "text/event-stream", {}, {}});
    stream.on_close([&] { told = true; });
    CHECK_FALSE(told);
    takes = nullptr;
    stream.write(std::string{"second"});
    later(50);
  }
  CHECK(told);
  CHECK_FALSE(reader->stream_open);
}

TEST_CASE_FIXTURE(three_nodes, "forwarding: of a node that ends, carried streams end in order") {
  const auto reader = ask("GET");
  auto stream = last(2).to.start_stream({200, "text/event-stream", {}, "first "});
  bool told = false;
  stream.on_close([&] { told = true; });
  nodes.at(1).forwarder->drain();
  CHECK_FALSE(reader->stream_open);
  CHECK(told);
  CHECK(nodes.at(1).forwarder->waiting() == 0);
}

TEST_CASE_FIXTURE(
  three_nodes, "forwarding: of a node that ends, what waits is answered as it stands, or refused") {
  const auto waits = ask("POST");
  const auto to = last(2).to;
  to.on_abort([&] { to.send({202, "", {}, "accepted"}); });
  CHECK_FALSE(waits->response);
  nodes.at(1).forwarder->drain();
  REQUIRE(waits->response);
  CHECK(waits->response->body == "accepted");
  const auto change = ask("POST");
  const auto keyed = ask("POST", {{"Idempotency-Key", "k1"}});
  const auto soon = ask("GET");
  int recalls = 0;
  last(2).to.on_abort([&] { ++recalls; });
  for (int i = 0; i < 3; ++i)
    nodes.at(1).forwarder->drain();
  CHECK(recalls == 1);
  last(2).to.send({200, "", {}, "in time"});
  CHECK(soon->response->body == "in time");
  CHECK_FALSE(change->response);
  now_ms += request_forwarder::drain_ms_max;
  nodes.at(1).forwarder->drain();
  REQUIRE(change->response);
  CHECK(change->response->status == 503);
  CHECK(change->response->body.find("not known") != std::string::npos);
  REQUIRE(keyed->response);
  CHECK(keyed->response->status == 503);
  CHECK(keyed->response->body.find("draining") != std::string::npos);
}

TEST_CASE_FIXTURE(three_nodes,
                  "forwarding: an event is routed at its home, and its routes come back") {
  holdfast::event e;
  e.type = "paid";
  e.data = "{\"a\":1}";
  const auto id = event_id{make_id(77, 5, 1, 2)};
  route r;
  r.type = "t";
  r.key = "k";
  r.matched = true;
  nodes.at(2).commands.answer_with = routed_event{id, {r}, true};
  std::optional<answer> told;
  nodes.at(1).forwarder->route(5, e, "stripe", idempotency{digest_of({"s"}), {}, 9},
                               {"shop", {{"t"}}}, [&](answer what) { told = std::move(what); });
  CHECK(nodes.at(2).commands.noted == "paid {\"a\":1} stripe once shop t");
  REQUIRE(told);
  const auto& routed = std::get<routed_event>(*told);
  CHECK(routed.event == id);
  CHECK(routed.replayed);
  REQUIRE(routed.routes.size() == 1);
  CHECK(routed.routes.front().key == "k");
}

TEST_CASE_FIXTURE(
  three_nodes,
  "forwarding: verbs and notes of the audit log reach their owners, refusals come back") {
  std::optional<answer> told;
  const auto tell = [&](answer what) { told = std::move(what); };
  control pause{control_verb::pause, "ops", "lunch", {}, false};
  auto note = std::make_shared<audit_recorded>();
  note->method = "POST";
  note->route = "/v1/agents:batch";
  nodes.at(1).forwarder->control(5, {"t", "k"}, pause, idempotency{}, note, tell);
  CHECK(nodes.at(2).commands.noted == "t/k pause lunch once /v1/agents:batch");
  REQUIRE(told);
  CHECK(std::get<command_done>(*told).changed);
  nodes.at(2).commands.answer_with = error{errc::conflict, "it is paused"};
  nodes.at(1).forwarder->control(5, {"t", "k"}, pause, std::nullopt, nullptr, tell);
  CHECK(std::get<error>(*told).code == errc::conflict);
  CHECK(std::get<error>(*told).context == "it is paused");
  nodes.at(2).commands.answer_with = command_done{{}, {}, true};
  audit_recorded refused;
  refused.by = "ops";
  refused.outcome = "forbidden";
  nodes.at(1).forwarder->audit(refused, tell);
  CHECK(nodes.at(2).commands.noted == "ops forbidden");
}
