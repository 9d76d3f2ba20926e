#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

TEST_CASE("llm: the loop is user, model, tools, answer, one record each") {
  agent_bench bench{llm_agent("t")};
  const auto run = bench.deliver();
  CHECK(bench.last_names() == std::vector<std::string>{"event_received", "run_started",
                                                       "message_appended", "model_requested",
                                                       "budget_reserved"});
  REQUIRE(bench.last.starts.size() == 1);
  CHECK(bench.last.starts.front().kind == effect_kind::model);
  CHECK(bench.last.starts.front().attempt == 1);

  bench.model_says(calls({{"c1", "look", R"({"id":1})"}}));
  CHECK(bench.last_names() == std::vector<std::string>{"budget_settled", "model_completed",
                                                       "message_appended", "tool_requested"});
  const auto asked = bench.last_of<tool_requested>();
  CHECK(asked.tool == "look");
  CHECK(asked.input == R"({"id":1})");
  CHECK(asked.cls == effect_class::read);
  CHECK(asked.call_id == "c1");

  bench.outcome(bench.only_effect(), succeeded(R"("found")"));
  CHECK(bench.last_names() == std::vector<std::string>{"tool_completed", "message_appended",
                                                       "model_requested", "budget_reserved"});
  bench.model_says(says("all good"));
  const auto completed = bench.last_of<run_completed>();
  CHECK(completed.run == run);
  CHECK(completed.output == R"("all good")");
  CHECK(bench.conversation() == std::vector<std::string>{"user: hello", "assistant: ",
                                                         "tool: found", "assistant: all good"});
  CHECK(is_idle(bench.state()));
  REQUIRE(bench.last.ended.size() == 1);
  const auto& end = bench.last.ended.front().summary;
  CHECK(end.status == run_status::completed);
  CHECK(end.steps == 3);
  CHECK(end.used.model_calls == 2);
  CHECK(end.used.tool_calls == 1);
  CHECK(end.used.cost == 200);
}

TEST_CASE("llm: the model is asked again only after all the calls of its answer are closed") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.model_says(calls({{"c1", "look", "{}"}, {"c2", "put", "{}"}}));
  CHECK(bench.last.starts.size() == 2);
  bench.outcome(bench.effect_named("put"), succeeded());
  CHECK(bench.count<model_requested>() == 1);
  bench.outcome(bench.effect_named("look"), succeeded());
  CHECK(bench.count<model_requested>() == 2);
}

TEST_CASE(
  "llm: an unknown tool and an input that does not fit are told to the model, not performed") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.model_says(calls({{"c1", "fly", "{}"},
                          {"c2", "pay", R"({"sum":1})"},
                          {"c3", "pay", "not json"},
                          {"c4", "pay", "[1]"}}));
  CHECK(bench.count<tool_refused>() == 4);
  CHECK(bench.count<tool_requested>() == 0);
  CHECK(bench.count<model_requested>() == 2);  // all are closed: it is asked at once
  const auto said = bench.conversation();
  CHECK(said[2].find("unknown_tool") != std::string::npos);
  CHECK(said[2].find("look, put, pay, research") != std::string::npos);
  CHECK(said[3].find("expected amount") != std::string::npos);
  CHECK(said[4].find("not a JSON object") != std::string::npos);
  CHECK(said[5].find("not a JSON object") != std::string::npos);
}

TEST_CASE("llm: a refused call beside a good one with the same id does not close it") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.model_says(calls({{"c", "look", "{}"}, {"c", "fly", "{}"}}));
  CHECK(bench.count<model_requested>() == 1);
  bench.outcome(bench.only_effect(), succeeded());
  CHECK(bench.count<model_requested>() == 2);
}

TEST_CASE("llm: a tool that failed for good is told to the model") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.model_says(calls({{"c1", "look", "{}"}}));
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected, "no such invoice"));
  CHECK(bench.conversation().back() ==
        R"(tool: {"error":{"code":"broken","message":"no such invoice"}})");
  CHECK(bench.count<model_requested>() == 2);
}

TEST_CASE("llm: a model that fails for good fails the run") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected, "bad key"));
  const auto error = bench.last_of<run_failed>().error;
  CHECK(error.code == "model_failed");
  CHECK(error.effect_no == 1);
  CHECK(error.retryable);
}

TEST_CASE("llm: an input expression that fails on the event fails the run") {
  auto spec = llm_agent("t");
  spec.input = failing("no .data.x");
  agent_bench bench{std::move(spec)};
  bench.deliver();
  CHECK(bench.last_of<run_failed>().error.code == "bad_input");
  CHECK(bench.count<model_requested>() == 0);
}

TEST_CASE("llm: an answer that does not fit output.schema is asked for again, twice") {
  auto spec = llm_agent("t");
  spec.output = std::make_shared<fake_validator>("ok");
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.model_says(says("not json"));
  CHECK(bench.count<output_refused>() == 1);
  bench.model_says(says(R"({"bad":1})"));
  CHECK(bench.count<output_refused>() == 2);
  CHECK(bench.conversation().back().find("expected ok") != std::string::npos);
  SUBCASE("and then the run fails") {
    bench.model_says(says(R"({"bad":2})"));
    CHECK(bench.last_of<run_failed>().error.code == "output_schema");
    CHECK(bench.count<model_requested>() == 3);
  }
  SUBCASE("or completes with what fits") {
    bench.model_says(says(R"({ "ok" : true })"));
    CHECK(bench.last_of<run_completed>().output == R"({"ok":true})");
  }
}

TEST_CASE("llm: limits.steps counts model and tool calls and fails the run at the next one") {
  auto spec = llm_agent("t");
  spec.def.limits.steps = 2;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.model_says(calls({{"c1", "look", "{}"}, {"c2", "pay", R"({"amount":1})"}}));
  const auto error = bench.last_of<run_failed>().error;
  CHECK(error.code == "limit_exceeded");
  CHECK(error.message.find("limits.steps (2)") != std::string::npos);
  CHECK(bench.count<tool_requested>() == 1);
  CHECK(bench.last.starts.empty());  // the first call was given up in the same record
  CHECK(is_idle(bench.state()));
}

TEST_CASE("llm: what a model call reserves covers its window and its longest answer") {
  auto spec = llm_agent("t");
  spec.def.output_tokens_max = 100;
  spec.def.instructions = std::string(300, 'i');
  agent_bench bench{std::move(spec)};
  bench.deliver();
  const auto reserved = bench.last_of<budget_reserved>();
  CHECK(reserved.tokens == (5 + 300) / 3 + 64 + 100);
  CHECK(reserved.cost == ((5 + 300) / 3 + 64) * 1 + 100 * 2);  // 1 and 2 nano-USD per token
  CHECK(bench.state().run->reserved_tokens == reserved.tokens);
  CHECK(bench.state().run->reserved_cost == reserved.cost);
  bench.model_says(says("done"));
  REQUIRE(bench.last.ended.size() == 1);
  CHECK(bench.last.ended.front().summary.used.input_tokens == 10);
  CHECK(bench.last.ended.front().summary.used.output_tokens == 5);
}

TEST_CASE("llm: a call that could pass limits.tokens is never declared") {
  auto spec = llm_agent("t");
  spec.def.output_tokens_max = 100;
  const std::uint64_t first = 5 / 3 + 64 + 100;
  SUBCASE("the first one") {
    spec.def.limits.tokens = first - 1;
    agent_bench bench{std::move(spec)};
    bench.deliver();
    CHECK(bench.count<model_requested>() == 0);
    CHECK(bench.last_of<run_failed>().error.message.find("limits.tokens") != std::string::npos);
    CHECK(bench.state().effect_next == 1);
  }
  SUBCASE("exactly the limit is within it") {
    spec.def.limits.tokens = first;
    agent_bench bench{std::move(spec)};
    bench.deliver();
    CHECK(bench.count<model_requested>() == 1);
    bench.model_says(calls({{"c1", "look", "{}"}}));
    bench.outcome(bench.only_effect(), succeeded());
    CHECK(bench.count<model_requested>() == 1);  // 15 spent: the next does not fit
    CHECK(bench.count<run_failed>() == 1);
  }
}

TEST_CASE("llm: an agent that was asked and cannot afford its first call answers with the reason") {
  auto spec = llm_agent("t");
  spec.def.limits.tokens = 1;
  agent_bench bench{std::move(spec)};
  deliver_event cmd;
  cmd.event = event_of("holdfast.ask");
  cmd.committed_before = true;
  cmd.reply_to = reply_address{{"asker", "a"}, run_id{make_id(1, 2, 3, 4)}, 5};
  bench.turn(cmd);
  CHECK(bench.last_of<run_failed>().error.code == "limit_exceeded");
  const auto told = bench.last_of<message_sent>().message;
  CHECK(told.kind == outbox_kind::outcome);
  CHECK(told.outcome.error.code == "limit_exceeded");
}

TEST_CASE("llm: limits.usd is compared with what was spent and what is reserved") {
  auto spec = llm_agent("t");
  spec.def.output_tokens_max = 100;
  spec.def.limits.cost = 65 + 200 + 50;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.outcome(bench.only_effect(), succeeded(calls({{"c1", "look", "{}"}}), 10, 5, 51));
  bench.outcome(bench.only_effect(), succeeded());
  const auto error = bench.last_of<run_failed>().error;
  CHECK(error.message.find("limits.usd") != std::string::npos);
}

TEST_CASE("llm: limits.wall fails the run when its timer fires, whatever is open") {
  auto spec = llm_agent("t");
  spec.def.limits.wall_ms = 5'000;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  CHECK(bench.only_timer(timer_kind::wall).due == bench.last.record->at + 5'000'000);
  bench.fire_only(timer_kind::wall);
  CHECK(bench.last_of<run_failed>().error.message.find("limits.wall") != std::string::npos);
  CHECK(bench.count<effect_abandoned>() == 1);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("llm: scope `run` sends only this run's messages, scope `agent` all of them") {
  auto spec = llm_agent("t");
  spec.def.memory.scope = memory_scope::run;
  agent_bench one{std::move(spec)};
  agent_bench all{llm_agent("t")};
  for (auto* bench : {&one, &all}) {
    bench->deliver();
    bench->model_says(says("first"));
    bench->deliver();
  }
  CHECK(one.last_of<model_requested>().message_first == 3);
  CHECK(all.last_of<model_requested>().message_first == 1);
  CHECK(one.last_of<model_requested>().message_last == 4);
  CHECK(one.last_of<budget_reserved>().tokens < all.last_of<budget_reserved>().tokens);
}

TEST_CASE("llm: text is kept by attempt and offset, and dropped for an attempt that is closed") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  const auto effect = bench.only_effect();
  bench.turn(append_text{effect.run, effect.no, 1, "Hel"});
  bench.turn(append_text{effect.run, effect.no, 1, "lo"});
  bench.turn(append_text{effect.run, effect.no, 2, "never"});
  CHECK(bench.last.record == nullptr);
  const auto streamed = bench.all<text_streamed>();
  REQUIRE(streamed.size() == 2);
  CHECK(streamed[1].offset == 3);
  bench.outcome(effect, failed(failure_kind::transient));
  bench.turn(append_text{effect.run, effect.no, 1, "late"});
  CHECK(bench.last.record == nullptr);
  bench.fire_only(timer_kind::retry);
  bench.turn(append_text{effect.run, effect.no, 2, "Hi"});
  CHECK(bench.last_of<text_streamed>().offset == 0);
  bench.turn(append_text{effect.run, effect.no, 1, "late"});
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("llm: a request's digest changes with what is asked and with nothing else") {
  agent_bench a{llm_agent("t")};
  agent_bench b{llm_agent("t")};
  a.deliver();
  b.context.now += 5;
  b.deliver();
  CHECK(a.last_of<model_requested>().request_digest == b.last_of<model_requested>().request_digest);
  a.model_says(calls({{"c1", "look", "{}"}}));
  b.model_says(calls({{"c2", "look", "{}"}}));
  a.outcome(a.only_effect(), succeeded());
  b.outcome(b.only_effect(), succeeded());
  CHECK(a.last_of<model_requested>().request_digest != b.last_of<model_requested>().request_digest);
}
