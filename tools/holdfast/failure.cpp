#include "tools/holdfast/failure.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "runtime/net/http_message.hpp"
#include "tools/holdfast/document_view.hpp"

namespace holdfast::cli {

namespace {

/// True for `orders.yaml:12:3: …`.
bool begins_with_place(const std::string& text) {
  const auto message = text.find(": ");
  const auto column = message == std::string::npos ? message : text.rfind(':', message - 1);
  if (message == std::string::npos || message == 0 || column == std::string::npos)
    return false;
  const auto digits = std::string_view{text}.substr(column + 1, message - column - 1);
  return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

/// `orders.yaml:12: …` where the server names a line, else `/data/amount: …`.
std::string detail_line(const nlohmann::ordered_json& item) {
  if (!item.is_object())
    return item.dump();
  auto detail = text_at(item, "detail");
  auto where = text_at(item, "file");
  auto line = item.find("line");
  if (line != item.end() && line->is_number_integer())
    where += (where.empty() ? "line " : ":") + line->dump();
  if (where.empty())
    where = text_at(item, "pointer");
  return where.empty() || begins_with_place(detail) ? detail : where + ": " + detail;
}

}  // namespace

exit_code exit_code_of(unsigned http_status, std::string_view problem_code) noexcept {
  if (problem_code == "not_available" || problem_code == "idempotency_conflict")
    return exit_code::refused;
  switch (http_status) {
    case 400:
    case 413:
    case 414:
    case 415:
    case 422:
    case 431:
      return exit_code::usage;
    case 401:
    case 403:
      return exit_code::unauthorised;
    case 404:
    case 410:
      return exit_code::not_found;
    case 405:
    case 409:
    case 412:
      return exit_code::refused;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
      return exit_code::unavailable;
    default:
      return http_status < 400 ? exit_code::done : exit_code::failed;
  }
}

void refuse_usage(std::string message) {
  throw command_failure{exit_code::usage, std::move(message)};
}

command_failure failure_of_answer(unsigned status, std::string_view body,
                                  std::string_view retry_after) {
  auto document = nlohmann::ordered_json::parse(body, nullptr, false);
  std::string code;
  std::string message;
  if (document.is_object()) {
    code = text_at(document, "code");
    message = text_at(document, "detail");
    if (message.empty())
      message = text_at(document, "title");
  }
  if (message.empty())
    message = std::string{net::reason_phrase(status)};
  message += " [" + std::to_string(status) + (code.empty() ? "" : " " + code) + "]";
  command_failure failure{exit_code_of(status, code), std::move(message)};
  failure.http_status = status;
  failure.problem_code = std::move(code);
  std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(),
                  failure.retry_after_s);
  if (document.is_object() && document.contains("errors") && document["errors"].is_array())
    for (const auto& item : document["errors"])
      failure.details.push_back(detail_line(item));
  return failure;
}

}  // namespace holdfast::cli
