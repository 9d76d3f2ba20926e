// Body → answer.

#include <algorithm>
#include <utility>

#include "runtime/model/http_failure.hpp"
#include "runtime/model/openai.hpp"
#include "runtime/model/openai_error.hpp"
#include "runtime/model/text.hpp"

namespace holdfast::model {

namespace {
constexpr std::size_t id_bytes_max = 256;
}

openai_answer::openai_answer(std::uint64_t input_tokens_estimate, price at, reply_limits limits)
  : input_tokens_estimate_(input_tokens_estimate),
    price_(at),
    limits_(limits),
    events_(limits.json_bytes_max) {}

void openai_answer::fail(failure_kind kind, std::string code, std::string text) {
  if (!broken_)
    broken_ = failed_attempt(kind, std::move(code), std::move(text));
}

void openai_answer::feed(std::string_view bytes, const text_sink& on_text) {
  if (is_ended())
    return;
  body_bytes_ += bytes.size();
  if (body_bytes_ > limits_.body_bytes_max)
    return fail(failure_kind::rejected, "model_reply_too_large",
                "the provider's answer does not end: more than " +
                  std::to_string(limits_.body_bytes_max >> 20) + " MiB");
  if (shape_ == shape::unknown) {
    bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
    if (bytes.empty())
      return;
    shape_ = bytes.front() == '{' ? shape::document : shape::events;
  }
  if (shape_ == shape::document) {
    if (document_.size() + bytes.size() > limits_.json_bytes_max)
      return fail(failure_kind::rejected, "model_reply_too_large",
                  "the provider's answer is too large");
    document_ += bytes;
    return;
  }
  const auto failure = events_.feed(bytes, [&](net::sse_event&& event) {
    if (!is_ended())
      take_event(event, on_text);
  });
  if (failure != net::sse_failure::none && !is_ended())
    fail(failure_kind::transient, "model_reply_invalid",
         "an event of the provider's stream is too large");
}

void openai_answer::take_event(const net::sse_event& event, const text_sink& on_text) {
  if (event.data.empty())
    return;
  if (event.data == "[DONE]") {
    done_ = true;
    return;
  }
  const auto document = parse_json(escape_lone_surrogates(to_utf8(event.data)));
  if (document && document->is_object())
    return take_document(*document, on_text);
  if (!flushing_)
    fail(failure_kind::transient, "model_reply_invalid",
         "the provider's stream holds something that is not JSON");
}

void openai_answer::take_document(const json& document, const text_sink& on_text) {
  if (const auto problem = document.find("error"); problem != document.end() && !problem->is_null())
    return take_error(*problem);
  if (model_.empty())
    model_ = to_utf8(cut_at(string_at(document, "model"), 256));
  if (const auto* reported = object_at(document, "usage"))
    take_usage(*reported);
  const auto choices = document.find("choices");
  if (choices == document.end() || !choices->is_array())
    return;
  for (const auto& choice : *choices)
    if (choice.is_object() && count_at(choice, "index").value_or(0) == 0)
      take_choice(choice, on_text);
}

void openai_answer::take_choice(const json& choice, const text_sink& on_text) {
  const auto* part = object_at(choice, "delta");
  if (part == nullptr)
    part = object_at(choice, "message");
  if (part != nullptr) {
    choice_seen_ = true;
    // A refusal is what the model said instead.
    for (const char* key : {"content", "refusal"}) {
      const auto content = part->find(key);
      if (content == part->end())
        continue;
      if (content->is_string())
        take_text(content->get_ref<const std::string&>(), on_text);
      else if (content->is_array())
        for (const auto& piece : *content)
          if (piece.is_object())
            take_text(string_at(piece, "text"), on_text);
    }
    if (const auto calls = part->find("tool_calls"); calls != part->end() && calls->is_array()) {
      std::int64_t position = 0;
      for (const auto& call : *calls)
        if (call.is_object() && !broken_)
          take_call(call, position++);
    }
  }
  if (auto reason = string_at(choice, "finish_reason"); !reason.empty())
    finish_reason_ = one_line(reason, 64);
}

void openai_answer::take_text(std::string_view piece, const text_sink& on_text) {
  if (piece.empty() || broken_)
    return;
  const std::string joined = text_pieces_.join(piece);
  if (joined.empty())
    return;
  if (text_.size() + joined.size() > limits_.text_bytes_max)
    return fail(
      failure_kind::rejected, "model_reply_too_large",
      "the model wrote more than " + std::to_string(limits_.text_bytes_max >> 10) + " KiB of text");
  text_ += joined;
  on_text(joined);
}

/// The call that a delta continues, or a new one; null when there are too many.
openai_answer::partial_call* openai_answer::call_for(const json& delta, std::int64_t position) {
  const auto id = string_at(delta, "id");
  const auto* function = object_at(delta, "function");
  const bool named = function != nullptr && !string_at(*function, "name").empty();
  const auto given = delta.find("index");
  std::int64_t index = position;
  if (given != delta.end() && given->is_number_integer())
    index = given->get<std::int64_t>();
  else if (shape_ == shape::events && id.empty() && !named && !calls_.empty())
    index = calls_.back().index;  // no index and nothing else to tell: goes on with the last
  // From the back: a server that gives every call the same index means the newest.
  for (auto at = calls_.rbegin(); at != calls_.rend(); ++at) {
    if (at->index != index)
      continue;
    const bool another = named && !id.empty() && !at->call.id.empty() && at->call.id != id;
    if (!another)
      return &*at;
    break;
  }
  if (calls_.size() == limits_.calls_max) {
    fail(
      failure_kind::rejected, "model_reply_too_large",
      "the model asked for more than " + std::to_string(limits_.calls_max) + " tool calls at once");
    return nullptr;
  }
  calls_.push_back({index, {}, {}});
  return &calls_.back();
}

void openai_answer::take_call(const json& delta, std::int64_t position) {
  auto* call = call_for(delta, position);
  if (call == nullptr)
    return;
  if (call->call.id.empty())
    call->call.id = string_at(delta, "id");
  const auto* function = object_at(delta, "function");
  if (function == nullptr)
    return;
  const auto name = string_at(*function, "name");
  if (call->call.name != name && call->call.name.size() + name.size() <= id_bytes_max)
    call->call.name += name;  // in pieces, or whole in every piece
  const auto arguments = function->find("arguments");
  if (arguments == function->end() || arguments->is_null())
    return;
  // Some servers send the object itself.
  const std::string joined = call->arguments.join(
    arguments->is_string() ? arguments->get_ref<const std::string&>() : to_text(*arguments));
  arguments_bytes_ += joined.size();
  call->call.arguments += joined;
  if (call->call.arguments.size() > limits_.arguments_bytes_max ||
      arguments_bytes_ > limits_.arguments_bytes_total_max)
    fail(failure_kind::rejected, "model_reply_too_large",
         "the model wrote more than " + std::to_string(limits_.arguments_bytes_max >> 10) +
           " KiB of arguments for a tool");
}

void openai_answer::take_usage(const json& reported) {
  const auto input = count_at(reported, "prompt_tokens");
  const auto output = count_at(reported, "completion_tokens");
  if (!input || !output || *input == 0)
    return;  // not counted, or counted wrong: a request is never empty
  usage used;
  used.input_tokens = *input;
  used.output_tokens = *output;
  if (const auto* details = object_at(reported, "prompt_tokens_details"))
    used.cached_input_tokens = std::min(count_at(*details, "cached_tokens").value_or(0), *input);
  usage_ = used;
}

void openai_answer::take_error(const json& error) {
  const auto problem = read_error(error, {});
  const unsigned status = status_of(problem);
  const auto kind = kind_of(status, problem);
  fail(kind, code_of(kind, status),
       "the provider ended its answer with an error: " +
         (problem.text.empty() ? "(no text)" : problem.text));
}

model_reply openai_answer::take_reply(const text_sink& on_text) {
  if (const auto rest = text_pieces_.end(); !rest.empty()) {
    text_ += rest;
    on_text(rest);
  }
  model_reply reply;
  reply.text = std::move(text_);
  reply.model = std::move(model_);
  std::stable_sort(calls_.begin(), calls_.end(),
                   [](const auto& a, const auto& b) { return a.index < b.index; });
  for (auto& partial : calls_) {
    auto& call = partial.call;
    call.arguments += partial.arguments.end();
    if (call.arguments.find_first_not_of(" \t\r\n") == std::string::npos)
      call.arguments = "{}";  // how many servers write "no arguments"
    call.name = to_utf8(call.name);
    call.id = to_utf8(call.id);
    const auto taken = [&](const std::string& id) {
      return std::any_of(reply.tool_calls.begin(), reply.tool_calls.end(),
                         [&](const tool_call& other) { return other.id == id; });
    };
    // Results are matched by id: each call needs one of its own.
    if (call.id.empty() || call.id.size() > id_bytes_max || taken(call.id)) {
      std::size_t number = reply.tool_calls.size();
      do
        call.id = "call_" + std::to_string(number++);
      while (taken(call.id));
    }
    reply.tool_calls.push_back(std::move(call));
  }
  reply.finish_reason = std::move(finish_reason_);
  if (reply.finish_reason.empty())
    reply.finish_reason = reply.tool_calls.empty() ? "stop" : "tool_calls";
  return reply;
}

answer openai_answer::finish(bool complete, const text_sink& on_text, std::string_view detail) {
  if (!is_ended() && complete && shape_ == shape::events) {
    flushing_ = true;  // a last event without its blank line
    feed("\n\n", on_text);
  }
  if (!is_ended() && complete && shape_ == shape::document) {
    if (const auto document = parse_json(escape_lone_surrogates(to_utf8(document_)))) {
      take_document(*document, on_text);
      done_ = choice_seen_;
    }
  }
  if (!broken_ && finish_reason_.empty() && !(done_ && choice_seen_)) {
    if (!complete && !done_)
      fail(failure_kind::transient, "model_unavailable",
           "the connection to the provider broke before its answer was complete: " +
             one_line(detail, 300));
    else
      fail(failure_kind::transient, "model_reply_invalid",
           shape_ == shape::unknown ? "the provider answered with nothing"
                                    : "the provider's answer ended before it was complete");
  }
  answer out;
  if (broken_) {
    out.outcome = std::move(*broken_);
    if (usage_)
      out.outcome.used = *usage_;
  } else {
    out.outcome.status = outcome_status::succeeded;
    out.outcome.reply = take_reply(on_text);
    if (usage_) {
      out.outcome.used = *usage_;
    } else {
      std::uint64_t bytes = out.outcome.reply.text.size();
      for (const auto& call : out.outcome.reply.tool_calls)
        bytes += call.name.size() + call.arguments.size();
      out.outcome.used.input_tokens = input_tokens_estimate_;
      out.outcome.used.output_tokens = estimate_tokens(bytes);
      out.usage_estimated = true;
    }
  }
  out.outcome.used.model_calls = 1;
  out.outcome.used.cost = cost_of(out.outcome.used, price_);
  return out;
}

}  // namespace holdfast::model
