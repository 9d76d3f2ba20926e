#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "runtime/model/openai.hpp"

using namespace holdfast;
using namespace holdfast::model;
using nlohmann::json;

namespace {

request small_request() {
  request asked;
  asked.model = "gpt-x";
  asked.instructions = "Be brief.";
  asked.messages.push_back({message_role::user, "hello", {}, {}, {}});
  return asked;
}

json encoded(const request& asked, const openai_dialect& dialect = {}) {
  const auto body = encode_openai_chat(asked, dialect);
  REQUIRE(body);
  return json::parse(*body);
}

}  // namespace

TEST_CASE("openai request: a plain request has these bytes") {
  auto asked = small_request();
  asked.temperature = 0.5;
  asked.output_tokens_max = 64;
  const auto body = encode_openai_chat(asked, {});
  REQUIRE(body);
  CHECK(
    *body ==
    R"({"model":"gpt-x","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hello"}],)"
    R"("temperature":0.5,"max_tokens":64,"stream":true,"stream_options":{"include_usage":true}})");
}

TEST_CASE("openai request: dialects choose the name of the output limit and usage in the stream") {
  const auto asked = small_request();
  auto body = encoded(asked, openai_dialect_for("https://api.openai.com/v1"));
  CHECK(body["max_completion_tokens"] == 1'024);
  CHECK_FALSE(body.contains("max_tokens"));
  body = encoded(asked, openai_dialect_for("http://127.0.0.1:11434/v1"));
  CHECK(body["max_tokens"] == 1'024);
  body = encoded(asked, {.new_output_limit = false, .stream_usage = false});
  CHECK_FALSE(body.contains("stream_options"));
  CHECK(openai_dialect_for("https://x.openai.azure.com/openai/v1").new_output_limit);
  CHECK_FALSE(openai_dialect_for("https://api.openai.com.evil.test/v1").new_output_limit);
  CHECK_FALSE(openai_dialect_for("nonsense").new_output_limit);
}

TEST_CASE("openai request: calls and results are written as the API wants them") {
  auto asked = small_request();
  message calls;
  calls.role = message_role::assistant;
  calls.tool_calls.push_back({"c1", "get_invoice", R"({"id":"1"})"});
  message done;
  done.role = message_role::tool;
  done.tool_call_id = "c1";
  done.tool_name = "get_invoice";
  done.content = R"({"amount":5})";
  asked.messages.push_back(calls);
  asked.messages.push_back(done);
  const auto messages = encoded(asked)["messages"];
  REQUIRE(messages.size() == 4);
  CHECK(
    messages[2] ==
    json::parse(R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
    "function":{"name":"get_invoice","arguments":"{\"id\":\"1\"}"}}]})"));
  CHECK(messages[3] ==
        json::parse(R"({"role":"tool","tool_call_id":"c1","content":"{\"amount\":5}"})"));
}

TEST_CASE("openai request: what a model made up cannot make the conversation unsendable") {
  auto asked = small_request();
  message calls;
  calls.role = message_role::assistant;
  calls.content = "\xFF";
  calls.tool_calls.push_back({"c1", "né me/" + std::string(100, 'x'), "{broken"});
  calls.tool_calls.push_back({"c2", "", "[1]"});
  asked.messages.push_back(calls);
  const auto messages = encoded(asked)["messages"];
  REQUIRE(messages.size() == 5);  // both calls got a result
  const auto& function = messages[2]["tool_calls"][0]["function"];
  CHECK(function["name"].get<std::string>().size() == 64);
  CHECK(function["name"].get<std::string>().starts_with("n___me_xxx"));
  CHECK(json::parse(function["arguments"].get<std::string>())["invalid_arguments"] == "{broken");
  CHECK(messages[2]["tool_calls"][1]["function"]["name"] == "unnamed");
  CHECK(messages[2]["content"] == "\xEF\xBF\xBD");
  CHECK(messages[3]["tool_call_id"] == "c1");
}

TEST_CASE("openai request: tools keep the order of their schema's keys") {
  auto asked = small_request();
  asked.tools.push_back(
    {"refund", "Refunds.", R"({"type":"object","properties":{"z":{},"a":{}}})"});
  asked.tools.push_back({"ping", "", R"({"type":"object"})"});
  const auto body = encode_openai_chat(asked, {});
  REQUIRE(body);
  CHECK(body->find(
          R"("tools":[{"type":"function","function":{"name":"refund","description":"Refunds.",)"
          R"("parameters":{"type":"object","properties":{"z":{},"a":{}}}}},)"
          R"({"type":"function","function":{"name":"ping","parameters":{"type":"object"}}}])") !=
        std::string::npos);
}

TEST_CASE("openai request: an output schema becomes a response format") {
  auto asked = small_request();
  asked.output_schema = R"({"type":"object"})";
  CHECK(encoded(asked)["response_format"] ==
        json::parse(
          R"({"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object"}}})"));
}

TEST_CASE("openai request: a schema that is no JSON is refused with its name") {
  auto asked = small_request();
  asked.tools.push_back({"refund", "", "{"});
  auto body = encode_openai_chat(asked, {});
  REQUIRE_FALSE(body);
  CHECK(body.error().code == errc::schema);
  CHECK(body.error().context.find("refund") != std::string::npos);
  asked.tools.clear();
  asked.output_schema = std::string(1'000, '[');
  CHECK_FALSE(encode_openai_chat(asked, {}));
}

TEST_CASE("openai request: the URL is below the base") {
  CHECK(openai_chat_url("https://h/v1") == "https://h/v1/chat/completions");
  CHECK(openai_chat_url("https://h/v1//") == "https://h/v1/chat/completions");
}
