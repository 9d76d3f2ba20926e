#pragma once
// A server under a test's control, and a process for commands to run in.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/net/http_server.hpp"
#include "tools/holdfast/cli.hpp"

namespace holdfast::test {

using json = nlohmann::ordered_json;

struct recorded_request {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  std::string line() const { return method + " " + target; }
  json document() const { return json::parse(body); }
};

/// Answers on 127.0.0.1 with what `answer` says; keeps what was asked.
class fake_server {
public:
  using answer_function = std::function<void(const recorded_request&, net::responder)>;

  explicit fake_server(answer_function answer) : answer_(std::move(answer)), server_(options()) {
    const auto started = server_.start([this](net::http_request&& request, net::responder to) {
      recorded_request seen{
        std::string{request.method()}, std::string{request.target()}, {}, request.body};
      for (const auto& header : request.headers()) {
        std::string name{header.name};
        for (auto& c : name)
          c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        seen.headers[name] = header.value;
      }
      {
        const std::lock_guard lock{mutex_};
        requests_.push_back(seen);
      }
      answer_(seen, std::move(to));
    });
    if (!started)
      throw std::runtime_error{started.detail};
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

  std::vector<recorded_request> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }

private:
  static net::http_server::options options() {
    net::http_server::options out;
    out.address = "127.0.0.1";
    return out;
  }

  mutable std::mutex mutex_;
  std::vector<recorded_request> requests_;
  answer_function answer_;
  net::http_server server_;  // last: stops before the rest goes
};

inline net::http_response json_answer(unsigned status, const json& document) {
  return {status, "application/json", {}, document.dump()};
}

inline net::http_response problem(unsigned status, const std::string& code,
                                  const std::string& detail) {
  return {status,
          "application/problem+json",
          {},
          json{{"status", status}, {"code", code}, {"detail", detail}}.dump()};
}

/// Always the same answer.
inline fake_server::answer_function always(net::http_response response) {
  return [response](const recorded_request&, const net::responder& to) { to.send(response); };
}

/// What a command did.
struct outcome {
  int code = 0;
  std::string out;
  std::string err;
};

/// A process without a terminal whose clock stands at 2026-11-21T08:00:00Z.
struct fake_process {
  std::map<std::string, std::string> variables;
  std::string input;
  bool terminal = false;
  std::function<bool(const std::string&)> edit;
  std::vector<dev_options> dev_calls;
  std::vector<serve_options> serve_calls;

  outcome run(const std::vector<std::string>& arguments) {
    std::istringstream in{input};
    std::ostringstream out;
    std::ostringstream err;
    cli::command_host host{.in = in, .out = out, .err = err};
    host.in_is_terminal = host.err_is_terminal = terminal;
    host.variable = [this](const char* name) {
      const auto it = variables.find(name);
      return it == variables.end() ? std::nullopt : std::optional{it->second};
    };
    host.now = [] { return time_us{1'795'248'000'000'000}; };
    host.edit = edit;
    host.dev = [this](const dev_options& options) {
      dev_calls.push_back(options);
      return 0;
    };
    host.serve = [this](const serve_options& options) {
      serve_calls.push_back(options);
      return 0;
    };
    host.doctor_folder = [](const std::string&, cli::console&) { return 1; };
    host.restore_folder = [](const restore_folder_options& options, cli::console& to) {
      to.line(options.file + ' ' + options.config.value_or("-") + ' ' +
              options.flags.data.value_or("-") + ' ' + options.flags.node.value_or("-"));
      return 0;
    };
    host.poll_interval = std::chrono::milliseconds{1};
    outcome done;
    done.code = cli::run_command(arguments, host);
    done.out = out.str();
    done.err = err.str();
    return done;
  }

  /// The same against a server.
  outcome run(const fake_server& server, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server.url()});
    return run(arguments);
  }
};

}  // namespace holdfast::test
