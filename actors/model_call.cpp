#include "actors/model_call.hpp"

#include <nlohmann/json.hpp>

#include "actors/effect_request.hpp"
#include "actors/instrumented.hpp"
#include "runtime/model/conversation.hpp"
#include "runtime/model/http_failure.hpp"
#include "runtime/model/openai.hpp"

namespace holdfast {

/// What the io thread hands over.
struct model_head {
  unsigned status = 0;
  net::header_list headers;
};
struct model_piece {
  std::string bytes;
};
struct model_end {
  std::shared_ptr<net::client_result> result;
};

}  // namespace holdfast

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::model_head)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::model_piece)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::model_end)

namespace holdfast {

namespace {

constexpr std::chrono::milliseconds coalesce{25};
/// Between pieces: nothing would be gained by holding one back.
constexpr std::chrono::milliseconds slow_pace{50};
constexpr std::size_t error_body_bytes_max = 64 << 10;
constexpr std::size_t text_piece_bytes_max = 32 << 10;

/// The request in the words of `runtime/model`, and where it goes.
struct prepared_call {
  model::request request;
  const model_endpoint* endpoint = nullptr;
};

/// A native agent's own messages and options.
status take_options(const std::string& options, model::request& out) {
  const auto json = nlohmann::json::parse(options, nullptr, false);
  if (!json.is_object())
    return error{errc::corrupt, "the options of a model call do not parse"};
  out.instructions = json.value("instructions", out.instructions);
  if (json.contains("temperature") && json["temperature"].is_number())
    out.temperature = json["temperature"].get<double>();
  out.output_tokens_max = json.value("max_output_tokens", out.output_tokens_max);
  if (json.contains("messages") && json["messages"].is_array())
    for (const auto& one : json["messages"]) {
      message m;
      const auto role = one.value("role", std::string{"user"});
      m.role = role == "assistant" ? message_role::assistant
               : role == "system"  ? message_role::system
                                   : message_role::user;
      m.content = one.value("content", std::string{});
      out.messages.push_back(std::move(m));
    }
  return ok_status();
}

result<prepared_call> prepare_model(const node_services& services, const effect_order& order) {
  auto request = prepare(services, order);
  if (!request)
    return request.error();
  const auto* declared = std::get_if<model_requested>(&request->declared);
  if (declared == nullptr)
    return error{errc::corrupt, "the declared fact is not a model call"};
  const auto& def = request->definition->def;
  // Attempts go down the list of models and start over.
  std::string name = declared->model;
  if (!def.models.empty())
    name = def.models[(std::max<std::uint32_t>(order.effect.attempt, 1) - 1) % def.models.size()];
  const auto found = services.models.find(name);
  if (found == services.models.end())
    return error{errc::not_found,
                 "no model `" + name + "` is configured on this node; add it under `models`"};
  prepared_call call;
  call.endpoint = &found->second;
  call.request.model = found->second.model;
  call.request.instructions = def.instructions;
  call.request.temperature = def.temperature;
  call.request.output_tokens_max = def.output_tokens_max;
  if (!declared->options.empty()) {
    if (auto taken = take_options(declared->options, call.request); !taken)
      return taken.error();
    return call;
  }
  for (const auto& tool : def.tools)
    call.request.tools.push_back({tool.name, tool.description, tool.input_schema});
  call.request.output_schema = def.output_schema;
  const stored_records records{*services.records, order.group, order.agent};
  auto messages = records.messages(declared->message_first, declared->message_last);
  if (!messages)
    return messages.error();
  call.request.messages = model::cut_to_window(std::move(*messages), def.memory.window_tokens);
  return call;
}

/// One attempt. Holds text back for a moment so that a record carries more than one token, unless tokens are rare.
struct model_call_state {
  static inline constexpr const char* name = "holdfast.model_call";

  services_ptr services;
  effect_order order;
  shard_reports shard;
  model::price price;
  net::call_handle call;
  std::optional<model::openai_answer> answer;
  unsigned status = 0;
  net::header_list headers;
  std::string error_body;
  std::string text;  // not reported yet
  bool flush_due = false;
  std::chrono::steady_clock::time_point piece_at;  // the last one
  bool over = false;
  std::vector<std::string> secrets;
  model::scripted_answer script;
  std::size_t script_next = 0;

  model_call_state() = default;
  ~model_call_state() { call.cancel(); }  // nothing when it is over
  model_call_state(const model_call_state&) = delete;
  model_call_state& operator=(const model_call_state&) = delete;

  void flush(caf::event_based_actor* self) {
    if (text.empty())
      return;
    self->send(
      shard, atom::text_v,
      text_report{order.agent,
                  {order.effect.run, order.effect.no, order.effect.attempt, std::move(text)}});
    text.clear();
  }

  void add_text(caf::event_based_actor* self, std::string_view piece) {
    text.append(piece);
    const auto now = std::chrono::steady_clock::now();
    const bool rare = now - piece_at >= slow_pace;
    piece_at = now;
    if ((rare && !flush_due) || text.size() >= text_piece_bytes_max)
      flush(self);
    if (!flush_due && !text.empty()) {
      flush_due = true;
      self->delayed_send(self, coalesce, atom::wake_v);
    }
  }

  void report(caf::event_based_actor* self, attempt_outcome outcome) {
    flush(self);  // the outcome is proposed after the last chunk
    over = true;
    self->send(shard, atom::outcome_v,
               effect_report{order.agent, completed(order, std::move(outcome))});
    self->quit();
  }

  std::optional<attempt_outcome> start_openai(caf::event_based_actor* self,
                                              const prepared_call& prepared) {
    const auto& endpoint = *prepared.endpoint;
    auto body =
      model::encode_openai_chat(prepared.request, model::openai_dialect_for(endpoint.base_url));
    if (!body)
      return not_performed(failure_kind::rejected, "bad_request", body.error().context);
    answer.emplace(model::estimate_input_tokens(prepared.request), price);
    net::client_request out;
    out.method = "POST";
    out.url = model::openai_chat_url(endpoint.base_url);
    out.headers = {{"Content-Type", "application/json"}, {"Accept", "text/event-stream"}};
    if (!endpoint.api_key_secret.empty()) {
      auto key = services->secret(endpoint.api_key_secret);
      if (!key)
        return not_performed(failure_kind::rejected, "no_api_key", key.error().context);
      out.headers.emplace_back("Authorization", "Bearer " + *key);
      secrets.push_back(std::move(*key));
    }
    out.body = std::move(*body);
    out.stream = true;
    out.response_bytes_max = model::reply_limits{}.body_bytes_max;
    out.egress = std::make_shared<const net::egress_policy>(net::egress_policy::unrestricted());
    const auto me = caf::actor_cast<caf::actor>(self);
    net::client_callbacks callbacks;
    callbacks.on_head = [me](const net::client_response_head& head) {
      caf::anon_send(me, model_head{head.status, head.headers});
    };
    callbacks.on_body_piece = [me](std::string_view bytes) {
      caf::anon_send(me, model_piece{std::string{bytes}});
    };
    callbacks.on_done = [me](net::client_result&& done) {
      caf::anon_send(me, model_end{std::make_shared<net::client_result>(std::move(done))});
    };
    call = services->http->start(std::move(out), std::move(callbacks));
    return std::nullopt;
  }

  /// Starts the call, or says why it is not made.
  std::optional<attempt_outcome> start(caf::event_based_actor* self) {
    auto prepared = prepare_model(*services, order);
    if (!prepared)
      return not_performed(
        prepared.error().code == errc::not_leader ? failure_kind::not_sent : failure_kind::rejected,
        std::string{to_string(prepared.error().code)}, prepared.error().context);
    price = prepared->endpoint->price;
    if (!prepared->endpoint->script)
      return start_openai(self, *prepared);
    script = prepared->endpoint->script->answer_to(prepared->request, price);
    self->send(self, atom::work_v);
    return std::nullopt;
  }

  void script_step(caf::event_based_actor* self) {
    if (script_next == script.chunks.size()) {
      report(self, std::move(script.end.outcome));
      return;
    }
    add_text(self, script.chunks[script_next++]);
    if (script.chunk_delay_ms > 0 && script_next < script.chunks.size())
      self->delayed_send(self, std::chrono::milliseconds{script.chunk_delay_ms}, atom::work_v);
    else
      self->send(self, atom::work_v);
  }

  void take_piece(caf::event_based_actor* self, const std::string& bytes) {
    if (status < 200 || status > 299) {
      error_body.append(
        bytes.substr(0, error_body_bytes_max - std::min(error_body.size(), error_body_bytes_max)));
      return;
    }
    answer->feed(bytes, [&](std::string_view piece) { add_text(self, piece); });
    if (answer->is_ended())
      end(self, true, {});
  }

  void end(caf::event_based_actor* self, bool complete, const std::string& detail) {
    auto finished = answer->finish(
      complete, [&](std::string_view piece) { add_text(self, piece); }, detail);
    report(self, std::move(finished.outcome));
  }

  void take_end(caf::event_based_actor* self, net::client_result& done) {
    using net::client_failure;
    if (status != 0 && (status < 200 || status > 299)) {
      report(self,
             model::openai_http_failure(status, headers, error_body, services->now(), secrets));
    } else if (status != 0) {
      end(self, done.failure == client_failure::none, done.detail);
    } else {
      auto how =
        done.request_bytes_sent ? model::transport_end::broken : model::transport_end::not_sent;
      if (done.failure == client_failure::bad_url || done.failure == client_failure::bad_request ||
          done.failure == client_failure::refused_address)
        how = model::transport_end::refused;
      report(self, model::transport_outcome(how, "model", done.detail));
    }
  }
};

caf::behavior model_call_behavior(untyped_self_pointer<model_call_state> self,
                                  services_ptr services, effect_order order, shard_reports shard) {
  auto& state = self->state;
  state.services = std::move(services);
  state.order = std::move(order);
  state.shard = std::move(shard);
  if (auto refused = state.start(self)) {
    state.report(self, std::move(*refused));
    return {};
  }
  return {
    [self](model_head& head) {
      self->state.status = head.status;
      self->state.headers = std::move(head.headers);
    },
    [self](const model_piece& piece) {
      if (!self->state.over)
        self->state.take_piece(self, piece.bytes);
    },
    [self](model_end& end) {
      if (!self->state.over)
        self->state.take_end(self, *end.result);
    },
    [self](atom::wake) {
      self->state.flush_due = false;
      self->state.flush(self);
    },
    [self](atom::work) {
      if (!self->state.over)
        self->state.script_step(self);
    },
  };
}

}  // namespace

caf::actor spawn_model_call(caf::local_actor& by, services_ptr services, effect_order order,
                            shard_reports shard) {
  return by.spawn(model_call_behavior, std::move(services), std::move(order), std::move(shard));
}

}  // namespace holdfast
