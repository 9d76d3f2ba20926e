#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>
#include <vector>

#include "runtime/model/openai.hpp"
#include "runtime/model/text.hpp"

using namespace holdfast;
using namespace holdfast::model;
using nlohmann::json;

namespace {

struct decoded {
  std::string streamed;
  std::size_t deltas = 0;
  bool ended = false;
  answer end;
  const attempt_outcome& outcome() const { return end.outcome; }
  const model_reply& reply() const { return end.outcome.reply; }
};

constexpr price prices{1'000'000, 2'000'000, 500'000};  // a token costs 1, 2, 0.5 nano-USD

decoded decode(const std::vector<std::string>& pieces, bool complete = true,
               reply_limits limits = {}) {
  decoded out;
  openai_answer codec{100, prices, limits};
  const auto sink = [&](std::string_view text) {
    CHECK_FALSE(text.empty());
    CHECK(is_utf8(text));
    out.streamed += text;
    ++out.deltas;
  };
  for (const auto& piece : pieces)
    codec.feed(piece, sink);
  out.ended = codec.is_ended();
  out.end = codec.finish(complete, sink, "connection reset");
  if (out.outcome().status == outcome_status::succeeded)
    CHECK(out.streamed == out.reply().text);
  return out;
}

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

std::string chunk(const json& delta, const json& finish = nullptr) {
  return event(
    json{{"object", "chat.completion.chunk"},
         {"model", "gpt-x-2026"},
         {"choices", json::array({{{"index", 0}, {"delta", delta}, {"finish_reason", finish}}})}}
      .dump());
}

std::string said(const std::string& text) { return chunk({{"content", text}}); }

std::string call_delta(const json& call) { return chunk({{"tool_calls", json::array({call})}}); }

const std::string usage_event = event(
  R"({"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":7,"total_tokens":57,)"
  R"("prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":3}}})");
const std::string stop = chunk(json::object(), "stop");
const std::string done = "data: [DONE]\n\n";

void check_failed(const decoded& got, failure_kind kind, const std::string& code) {
  CHECK(got.outcome().status == outcome_status::failed);
  CHECK(got.outcome().failure_reason == kind);
  CHECK(got.outcome().error.code == code);
  CHECK(got.outcome().error.retryable == (kind != failure_kind::rejected));
  CHECK_FALSE(got.outcome().error.message.empty());
}

const std::string text_stream = chunk({{"role", "assistant"}, {"content", ""}}) + said("Grüße, ") +
                                ": keep-alive\n\n" + said("Wélt 😀") + stop + usage_event + done;

const std::string tool_stream =
  chunk({{"role", "assistant"}, {"content", nullptr}}) +
  call_delta({{"index", 0},
              {"id", "call_a"},
              {"type", "function"},
              {"function", {{"name", "get_invoice"}, {"arguments", ""}}}}) +
  call_delta({{"index", 0}, {"function", {{"arguments", "{\"id\":"}}}}) +
  call_delta(
    {{"index", 1}, {"id", "call_b"}, {"function", {{"name", "refund"}, {"arguments", "{\"é\""}}}}) +
  call_delta({{"index", 0}, {"function", {{"arguments", "\"in_1\"}"}}}}) +
  call_delta({{"index", 1}, {"function", {{"arguments", ":1}"}}}}) +
  chunk(json::object(), "tool_calls") + usage_event + done;

}  // namespace

TEST_CASE("openai answer: a text stream gives deltas, a reply and its cost") {
  const auto got = decode({text_stream});
  CHECK(got.ended);
  CHECK(got.outcome().status == outcome_status::succeeded);
  CHECK(got.reply().text == "Grüße, Wélt 😀");
  CHECK(got.deltas == 2);
  CHECK(got.reply().finish_reason == "stop");
  CHECK(got.reply().model == "gpt-x-2026");
  CHECK(got.reply().tool_calls.empty());
  CHECK_FALSE(got.end.usage_estimated);
  const auto& used = got.outcome().used;
  CHECK(used.input_tokens == 50);
  CHECK(used.cached_input_tokens == 20);
  CHECK(used.output_tokens == 7);
  CHECK(used.model_calls == 1);
  CHECK(used.cost == 30 + 10 + 14);
}

TEST_CASE("openai answer: tool calls are merged by index") {
  const auto got = decode({tool_stream});
  REQUIRE(got.reply().tool_calls.size() == 2);
  CHECK(got.reply().tool_calls[0] == tool_call{"call_a", "get_invoice", R"({"id":"in_1"})"});
  CHECK(got.reply().tool_calls[1] == tool_call{"call_b", "refund", R"({"é":1})"});
  CHECK(got.reply().finish_reason == "tool_calls");
}

TEST_CASE("openai answer: where the bytes are cut makes no difference") {
  for (const auto& stream : {text_stream, tool_stream}) {
    const auto whole = decode({stream});
    for (std::size_t at = 0; at <= stream.size(); ++at) {
      const auto got = decode({stream.substr(0, at), stream.substr(at)});
      REQUIRE(got.reply() == whole.reply());
      REQUIRE(got.outcome().used == whole.outcome().used);
    }
    std::vector<std::string> bytes;
    for (const char c : stream)
      bytes.emplace_back(1, c);
    CHECK(decode(bytes).reply() == whole.reply());
  }
}

TEST_CASE(
  "openai answer: a connection that breaks at any byte before the end is transient, after it a "
  "success") {
  for (const auto& stream : {text_stream, tool_stream}) {
    const auto finished = stream.find("\n\n", stream.find("\"finish_reason\":\"")) + 2;
    for (std::size_t at = 0; at < stream.size(); ++at) {
      const auto got = decode({stream.substr(0, at)}, false);
      CAPTURE(at);
      if (at < finished)
        check_failed(got, failure_kind::transient, "model_unavailable");
      else
        CHECK(got.outcome().status == outcome_status::succeeded);
    }
  }
}

TEST_CASE("openai answer: without [DONE], or without its blank line, a finished answer counts") {
  CHECK(decode({said("hi") + stop}).reply().text == "hi");
  const auto last =
    "data: " +
    json{{"choices", {{{"delta", {{"content", "hi"}}}, {"finish_reason", "stop"}}}}}.dump();
  CHECK(decode({last}).reply().text == "hi");
  CHECK(decode({said("hi") + "data: [DONE]"}).reply().text == "hi");
  const auto no_reason = decode({said("hi") + done});
  CHECK(no_reason.outcome().status == outcome_status::succeeded);
  CHECK(no_reason.reply().finish_reason == "stop");
  const auto calls =
    decode({call_delta({{"index", 0}, {"id", "x"}, {"function", {{"name", "f"}}}}) + done});
  CHECK(calls.reply().finish_reason == "tool_calls");
}

TEST_CASE("openai answer: an answer that ends without an end is transient") {
  check_failed(decode({said("hi")}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({""}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({" \r\n"}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({done}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({usage_event + done}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({said("hi") + "data: {\"choi"}), failure_kind::transient,
               "model_reply_invalid");
}

TEST_CASE("openai answer: garbage is transient") {
  for (const std::string body :
       {"<html>502</html>", "data: {broken\n\n", "data: 17\n\n", "data: []\n\n", "{\"choices\"",
        "{}", "{\"choices\":[]}", "\x01\x02\xFF\xFE", "data: \xFF\n\n"}) {
    CAPTURE(body);
    check_failed(decode({body}), failure_kind::transient, "model_reply_invalid");
  }
  const std::string deep = "data: " + std::string(100'000, '[') + "\n\n";
  check_failed(decode({deep}), failure_kind::transient, "model_reply_invalid");
}

TEST_CASE("openai answer: members of a wrong type are passed over") {
  const std::string odd =
    event(R"({"choices":{},"model":7,"usage":[]})") +
    event(R"({"choices":[1,null,{"delta":3},{"delta":{"content":5}}]})") +
    event(
      R"({"choices":[{"delta":{"tool_calls":[null,{"index":"x","function":[]}]},"finish_reason":9}]})") +
    event(R"({"choices":[{"index":1,"delta":{"content":"other"}}]})");
  const auto got = decode({odd + said("hi") + stop + done});
  CHECK(got.outcome().status == outcome_status::succeeded);
  CHECK(got.reply().text == "hi");
}

TEST_CASE("openai answer: an error inside the stream ends it") {
  struct row {
    std::string error;
    failure_kind kind;
    std::string code;
  };
  const std::vector<row> rows = {
    {R"({"message":"overloaded","type":"server_error"})", failure_kind::transient,
     "model_unavailable"},
    {R"("went wrong")", failure_kind::transient, "model_unavailable"},
    {R"({"message":"slow down","code":"rate_limit_exceeded"})", failure_kind::throttled,
     "model_throttled"},
    {R"({"message":"slow down","code":429})", failure_kind::throttled, "model_throttled"},
    {R"({"message":"no","code":"401"})", failure_kind::rejected, "model_unauthorised"},
    {R"({"message":"too long","code":"context_length_exceeded"})", failure_kind::rejected,
     "model_rejected"},
    {R"({"message":"pay","type":"insufficient_quota"})", failure_kind::rejected, "model_rejected"},
    {R"({"code":502})", failure_kind::transient, "model_unavailable"},
    {R"([])", failure_kind::transient, "model_unavailable"},
  };
  for (const auto& [problem, kind, code] : rows) {
    CAPTURE(problem);
    auto got =
      decode({said("half") + event("{\"error\":" + problem + "}") + said("more") + stop + done});
    check_failed(got, kind, code);
    CHECK(got.streamed == "half");
    CHECK(got.ended);
    got = decode({"{\"error\":" + problem + "}"});  // with status 200, not a stream
    check_failed(got, kind, code);
  }
  const auto fine = decode(
    {event(R"({"error":null,"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]})")});
  CHECK(fine.reply().text == "x");
}

TEST_CASE("openai answer: missing or unbelievable usage is estimated and says so") {
  for (const std::string usage :
       {"", R"({"choices":[],"usage":null})", R"({"choices":[],"usage":{}})",
        R"({"usage":{"prompt_tokens":0,"completion_tokens":0}})",
        R"({"usage":{"prompt_tokens":-5,"completion_tokens":1}})",
        R"({"usage":{"prompt_tokens":"9","completion_tokens":1}})",
        R"({"usage":{"prompt_tokens":9e30,"completion_tokens":1}})",
        R"({"usage":{"prompt_tokens":99999999999999999,"completion_tokens":1}})"}) {
    CAPTURE(usage);
    const auto got = decode({said("eight by") + stop + (usage.empty() ? "" : event(usage)) + done});
    CHECK(got.end.usage_estimated);
    CHECK(got.outcome().used.input_tokens == 100);
    CHECK(got.outcome().used.output_tokens == 2);
    CHECK(got.outcome().used.cost == 104);
  }
  const auto cached = decode(
    {said("x") + stop +
     event(
       R"({"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":50}}})") +
     done});
  CHECK(cached.outcome().used.cached_input_tokens == 9);
}

TEST_CASE("openai answer: servers that ignore `stream` are understood") {
  const std::string document =
    R"( {"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hé 😀",
    "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
                  {"id":"b","type":"function","function":{"name":"g","arguments":{"y":2}}}]},
    "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2}} )";
  const auto whole = decode({document});
  CHECK(whole.reply().text == "Hé 😀");
  REQUIRE(whole.reply().tool_calls.size() == 2);
  CHECK(whole.reply().tool_calls[0] == tool_call{"a", "f", R"({"x":1})"});
  CHECK(whole.reply().tool_calls[1] == tool_call{"b", "g", R"({"y":2})"});
  CHECK(whole.outcome().used.input_tokens == 5);
  for (std::size_t at = 0; at <= document.size(); ++at)
    REQUIRE(decode({document.substr(0, at), document.substr(at)}).reply() == whole.reply());
  check_failed(decode({document.substr(0, 50)}), failure_kind::transient, "model_reply_invalid");
  check_failed(decode({document.substr(0, 50)}, false), failure_kind::transient,
               "model_unavailable");
}

TEST_CASE("openai answer: servers that number calls badly are understood") {
  SUBCASE("the same index for every call") {
    const auto got = decode(
      {call_delta({{"index", 0}, {"id", "a"}, {"function", {{"name", "f"}, {"arguments", "{}"}}}}) +
       call_delta(
         {{"index", 0}, {"id", "b"}, {"function", {{"name", "f"}, {"arguments", "{\"x\":1}"}}}}) +
       stop + done});
    REQUIRE(got.reply().tool_calls.size() == 2);
    CHECK(got.reply().tool_calls[1] == tool_call{"b", "f", "{\"x\":1}"});
  }
  SUBCASE("no index") {
    const auto got =
      decode({call_delta({{"id", "a"}, {"function", {{"name", "f"}, {"arguments", "{"}}}}) +
              call_delta({{"function", {{"arguments", "}"}}}}) +
              call_delta({{"id", "b"}, {"function", {{"name", "g"}, {"arguments", "{}"}}}}) + stop +
              done});
    REQUIRE(got.reply().tool_calls.size() == 2);
    CHECK(got.reply().tool_calls[0].arguments == "{}");
    CHECK(got.reply().tool_calls[1].name == "g");
  }
  SUBCASE("indexes out of order, negative, huge") {
    const auto got = decode(
      {call_delta({{"index", 9'000'000'000}, {"id", "c"}, {"function", {{"name", "c"}}}}) +
       call_delta({{"index", -3}, {"id", "a"}, {"function", {{"name", "a"}}}}) +
       call_delta({{"index", 4}, {"id", "b"}, {"function", {{"name", "b"}}}}) + stop + done});
    REQUIRE(got.reply().tool_calls.size() == 3);
    CHECK(got.reply().tool_calls[0].name == "a");
    CHECK(got.reply().tool_calls[2].name == "c");
  }
  SUBCASE("the name in every piece, or in pieces") {
    const auto got =
      decode({call_delta(
                {{"index", 0}, {"id", "a"}, {"function", {{"name", "get"}, {"arguments", "{"}}}}) +
              call_delta(
                {{"index", 0}, {"id", "a"}, {"function", {{"name", "get"}, {"arguments", "}"}}}}) +
              call_delta({{"index", 1}, {"id", "b"}, {"function", {{"name", "re"}}}}) +
              call_delta({{"index", 1}, {"function", {{"name", "fund"}}}}) + stop + done});
    REQUIRE(got.reply().tool_calls.size() == 2);
    CHECK(got.reply().tool_calls[0].name == "get");
    CHECK(got.reply().tool_calls[1].name == "refund");
  }
  SUBCASE("ids missing, repeated, too long; arguments empty") {
    const auto got = decode(
      {call_delta({{"index", 0}, {"function", {{"name", "a"}, {"arguments", " \n"}}}}) +
       call_delta({{"index", 1}, {"id", "x"}, {"function", {{"name", "b"}}}}) +
       call_delta({{"index", 2}, {"id", "x"}, {"function", {{"name", "c"}}}}) +
       call_delta({{"index", 3}, {"id", std::string(300, 'y')}, {"function", {{"name", "d"}}}}) +
       call_delta({{"index", 4}, {"id", "call_0"}, {"function", {{"name", "e"}}}}) + stop + done});
    REQUIRE(got.reply().tool_calls.size() == 5);
    std::vector<std::string> ids;
    for (const auto& call : got.reply().tool_calls) {
      ids.push_back(call.id);
      CHECK(call.arguments == "{}");
      CHECK(call.id.size() <= 256);
      CHECK_FALSE(call.id.empty());
    }
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  }
}

TEST_CASE("openai answer: what the model wrote is kept even when it is no JSON") {
  const auto got =
    decode({call_delta(
              {{"index", 0}, {"id", "a"}, {"function", {{"name", "f"}, {"arguments", "{oops"}}}}) +
            chunk(json::object(), "length") + done});
  CHECK(got.reply().tool_calls.at(0).arguments == "{oops");
  CHECK(got.reply().finish_reason == "length");
}

TEST_CASE("openai answer: a refusal and text in parts are text") {
  CHECK(decode({chunk({{"refusal", "I cannot."}}) + stop + done}).reply().text == "I cannot.");
  CHECK(decode({chunk({{"content",
                        {{{"type", "text"}, {"text", "a"}},
                         {{"type", "image"}},
                         {{"type", "text"}, {"text", "b"}}}}}) +
                stop + done})
          .reply()
          .text == "ab");
}

TEST_CASE("openai answer: ill-formed UTF-8 is replaced and halves of characters are joined") {
  const auto bad =
    decode({event("{\"choices\":[{\"delta\":{\"content\":\"a\xFF\xC3z\"}}]}") + stop + done});
  CHECK(bad.reply().text == "a\xEF\xBF\xBD\xEF\xBF\xBDz");
  const auto halves =
    decode({event(R"({"choices":[{"delta":{"content":"a\ud83d"}}]})") +
            event(R"({"choices":[{"delta":{"content":"\ude00"}}]})") + stop + done});
  CHECK(halves.reply().text == "a😀");
  const auto lone =
    decode({event(R"({"choices":[{"delta":{"content":"a\ud83d"}}]})") + stop + done});
  CHECK(lone.reply().text == "a\xEF\xBF\xBD");
}

TEST_CASE("openai answer: bounds hold") {
  reply_limits limits;
  limits.text_bytes_max = 10;
  limits.calls_max = 2;
  limits.arguments_bytes_max = 8;
  limits.arguments_bytes_total_max = 12;
  const auto too_large = [&](const std::string& stream, const reply_limits& with) {
    const auto got = decode({stream + stop + done}, true, with);
    check_failed(got, failure_kind::rejected, "model_reply_too_large");
    CHECK(got.streamed.size() <= with.text_bytes_max);
  };
  const auto call = [&](int index, const std::string& arguments) {
    return call_delta({{"index", index}, {"function", {{"name", "f"}, {"arguments", arguments}}}});
  };
  CHECK(decode({said("1234567890") + stop + done}, true, limits).reply().text == "1234567890");
  too_large(said("12345678901"), limits);
  too_large(said("123456") + said("78901"), limits);
  CHECK(
    decode({call(0, "{}") + call(1, "{}") + stop + done}, true, limits).reply().tool_calls.size() ==
    2);
  too_large(call(0, "{}") + call(1, "{}") + call(2, "{}"), limits);
  too_large(call(0, "12345") + call(0, "6789"), limits);
  too_large(call(0, "12345678") + call(1, "12345"), limits);

  reply_limits small;
  small.body_bytes_max = 1'000;
  too_large(std::string(2'000, ':'), small);
  reply_limits document;
  document.json_bytes_max = 100;
  check_failed(decode({"{" + std::string(200, ' ')}, true, document), failure_kind::rejected,
               "model_reply_too_large");
  check_failed(decode({"data: " + std::string(200, 'x')}, true, document), failure_kind::transient,
               "model_reply_invalid");
}

TEST_CASE("openai answer: the default bounds hold against floods") {
  std::string calls;
  for (int i = 0; i < 129; ++i)
    calls += call_delta({{"index", i}, {"function", {{"name", "f"}}}});
  check_failed(decode({calls + stop + done}), failure_kind::rejected, "model_reply_too_large");
  check_failed(decode({said(std::string((1 << 20) + 1, 'x')) + stop + done}),
               failure_kind::rejected, "model_reply_too_large");
  check_failed(
    decode({call_delta(
              {{"index", 0}, {"function", {{"arguments", std::string((256 << 10) + 1, 'x')}}}}) +
            stop}),
    failure_kind::rejected, "model_reply_too_large");
  check_failed(decode({"data: " + std::string(20 << 20, 'x') + "\n\n"}), failure_kind::transient,
               "model_reply_invalid");
}

TEST_CASE("openai answer: nothing is taken after the end") {
  const auto got = decode({text_stream, said("more"), "garbage"});
  CHECK(got.reply().text == "Grüße, Wélt 😀");
}

TEST_CASE("openai answer: damaged streams end one way or the other") {
  std::mt19937 random{7};
  for (int round = 0; round < 3'000; ++round) {
    std::string stream = round % 2 == 0 ? text_stream : tool_stream;
    for (auto damages = random() % 4; damages-- > 0;) {
      const auto at = random() % stream.size();
      switch (random() % 3) {
        case 0:
          stream[at] = static_cast<char>(random());
          break;
        case 1:
          stream.erase(at, random() % 40);
          break;
        default:
          stream.insert(at, stream.substr(random() % stream.size(), random() % 40));
          break;
      }
    }
    const auto got = decode({stream}, random() % 2 == 0);
    const auto& outcome = got.outcome();
    CHECK((outcome.status == outcome_status::succeeded) ==
          (outcome.failure_reason == failure_kind::none));
    CHECK(is_utf8(outcome.reply.text));
    for (const auto& call : outcome.reply.tool_calls) {
      CHECK(is_utf8(call.name));
      CHECK(is_utf8(call.id));
      CHECK(is_utf8(call.arguments));
    }
  }
}
