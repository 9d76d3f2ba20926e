// Loads a running server with events and prints what came back as one line of JSON; tools/bench/run reads it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/bench/load.hpp"
#include "tools/bench/process_meter.hpp"

namespace {

std::chrono::nanoseconds of_seconds(double seconds) {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)};
}

}  // namespace

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  load_options options;
  double seconds = 5;
  double warmup = 0.5;
  std::string path;
  std::string body;
  CLI::App app{"HTTP load for benchmarks"};
  app.add_option("--port", options.port)->required();
  app.add_option("--clients", options.clients);
  app.add_option("--seconds", seconds);
  app.add_option("--warmup", warmup, "seconds before the window opens");
  app.add_option("--requests", options.requests_max, "end after so many");
  app.add_option("--path", path, "{agent} becomes the agent's number")->required();
  app.add_option("--body", body, "may have {serial}, too")->required();
  app.add_option("--agents", options.agents);
  app.add_option("--first", options.agent_first, "number of the first agent");
  app.add_option("--expect", options.expected_status);
  CLI11_PARSE(app, argc, argv);
  options.length = of_seconds(seconds);
  options.warmup = of_seconds(warmup);
  options.requests = request_template::post(path, body);

  const process_meter used;
  const auto result = run_load(options);
  const auto answered = static_cast<double>(result.answered);
  nlohmann::json out{{"answered", result.answered},
                     {"refused", result.refused},
                     {"seconds", result.seconds},
                     {"rate_per_s", answered / result.seconds},
                     {"p50_ms", result.latency.quantile_ms(0.5)},
                     {"p99_ms", result.latency.quantile_ms(0.99)},
                     {"max_ms", result.latency.quantile_ms(1.0 - 1e-12)},
                     {"client_cpu_us_per_op", used.cpu_us() / std::max(answered, 1.0)}};
  if (!result.first_refusal.empty())
    out["first_refusal"] = result.first_refusal;
  std::puts(out.dump().c_str());
  return 0;
}
