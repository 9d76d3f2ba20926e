#include "tools/holdfast/client.hpp"

#include <future>
#include <nlohmann/json.hpp>
#include <random>

namespace holdfast::cli {

namespace {

net::http_client::options client_options(const connection& to) {
  net::http_client::options options;
  options.ca_file = to.ca_file;
  options.user_agent = "holdfast-cli";
  return options;
}

bool is_replayable(const api_request& request) {
  if (request.method == "GET" || request.method == "PUT" || request.method == "DELETE")
    return true;
  for (const auto& [name, value] : request.headers)
    if (net::equals_ignoring_case(name, "Idempotency-Key"))
      return true;
  return false;
}

}  // namespace

std::string_view api_response::header(std::string_view name) const noexcept {
  for (const auto& [each, value] : headers)
    if (net::equals_ignoring_case(each, name))
      return value;
  return {};
}

nlohmann::ordered_json api_response::document() const {
  auto parsed = nlohmann::ordered_json::parse(body, nullptr, false);
  if (parsed.is_discarded())
    throw command_failure{exit_code::failed,
                          "the answer is not JSON: does a Holdfast server listen there?"};
  return parsed;
}

api_client::api_client(connection to)
  : to_(std::move(to)),
    egress_(std::make_shared<net::egress_policy>(net::egress_policy::unrestricted())),
    http_(client_options(to_)) {}

net::client_request api_client::request_for(const api_request& request) const {
  net::client_request out;
  out.method = request.method;
  out.url = to_.server + request.path.text();
  out.headers = request.headers;
  out.body = request.body;
  if (!request.content_type.empty())
    out.headers.emplace_back("Content-Type", request.content_type);
  if (!to_.token.empty())
    out.headers.emplace_back("Authorization", "Bearer " + to_.token);
  out.first_byte_timeout = request.answer_timeout;
  out.total_timeout = request.answer_timeout + std::chrono::minutes{10};
  out.response_bytes_max = 256u << 20;
  out.replayable = is_replayable(request);
  out.egress = egress_;
  return out;
}

command_failure api_client::failure_without_answer(const net::client_result& done) const {
  using failure = net::client_failure;
  if (done.failure == failure::bad_url || done.failure == failure::bad_request)
    return {exit_code::usage, "cannot send that to " + to_.server + ": " + done.detail};
  // The client's own detail begins with the server it names.
  const bool names_server = done.detail.starts_with(to_.server);
  auto message = "no answer from " + (names_server ? done.detail : to_.server);
  if (!names_server)
    message += ": " + (done.detail.empty() ? std::string{net::name(done.failure)} : done.detail);
  if (done.failure == failure::tls)
    message += "; name the authority that signed its certificate with --ca FILE";
  else if (!done.request_bytes_sent)
    message += "; start a node with `holdfast dev`, or name one with --server";
  command_failure failed{exit_code::unavailable, std::move(message)};
  failed.may_have_arrived = done.request_bytes_sent;
  if (done.request_bytes_sent)
    failed.details.emplace_back("the request was sent: whether it took effect is not known");
  return failed;
}

api_response api_client::call(const api_request& request) {
  auto promise = std::make_shared<std::promise<net::client_result>>();
  auto answer = promise->get_future();
  net::client_callbacks callbacks;
  callbacks.on_done = [promise](net::client_result&& done) { promise->set_value(std::move(done)); };
  auto sent = request_for(request);
  sent.headers.emplace_back("Accept", "application/json");
  http_.start(std::move(sent), std::move(callbacks));
  auto done = answer.get();
  if (!done)
    throw failure_without_answer(done);
  if (done.head.status >= 400)
    throw failure_of_answer(done.head.status, done.body, done.head.header("Retry-After"));
  return {done.head.status, std::move(done.head.headers), std::move(done.body)};
}

nlohmann::ordered_json api_client::get(const api_path& path) {
  return call({.method = "GET", .path = path}).document();
}

nlohmann::ordered_json api_client::post(const api_path& path, const nlohmann::ordered_json& body,
                                        std::string_view idempotency_key) {
  api_request request{.method = "POST", .path = path};
  request.content_type = "application/json";
  request.body = body.dump();
  if (!idempotency_key.empty())
    request.headers.emplace_back("Idempotency-Key", std::string{idempotency_key});
  const auto response = call(request);
  return response.body.empty() ? nlohmann::ordered_json::object() : response.document();
}

std::string new_idempotency_key() {
  static constexpr char digits[] = "0123456789abcdef";
  std::random_device source;
  std::string key = "cli-";
  for (int word = 0; word < 4; ++word) {
    auto bits = source();
    for (int i = 0; i < 8; ++i, bits >>= 4)
      key += digits[bits & 15u];
  }
  return key;
}

}  // namespace holdfast::cli
