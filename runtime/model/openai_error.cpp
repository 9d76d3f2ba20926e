#include "runtime/model/openai_error.hpp"

#include "runtime/model/http_failure.hpp"
#include "runtime/model/openai.hpp"
#include "runtime/model/text.hpp"

namespace holdfast::model {

namespace {

constexpr std::size_t message_bytes_max = 500;
constexpr std::uint64_t tokens_max = 1ULL << 40;  // more is not a count

bool is_quota(const provider_error& problem) {
  return problem.code == "insufficient_quota" || problem.type == "insufficient_quota";
}

}  // namespace

std::string string_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

const json* object_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_object() ? &*at : nullptr;
}

std::optional<std::uint64_t> count_at(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number())
    return std::nullopt;
  if (at->is_number_float()) {
    const double value = at->get<double>();
    if (!(value >= 0 && value <= static_cast<double>(tokens_max)))
      return std::nullopt;
    return static_cast<std::uint64_t>(value);
  }
  if (!at->is_number_unsigned() || at->get<std::uint64_t>() > tokens_max)
    return std::nullopt;
  return at->get<std::uint64_t>();
}

provider_error read_error(const json& problem, std::span<const std::string> secrets) {
  provider_error out;
  if (problem.is_string()) {
    out.text = problem.get<std::string>();
  } else if (problem.is_object()) {
    out.text = string_at(problem, "message");
    out.type = string_at(problem, "type");
    out.code = string_at(problem, "code");
    if (const auto number = count_at(problem, "code"))
      out.code = std::to_string(*number);
  }
  out.text = one_line(without_credentials(std::string{cut_at(out.text, 16'384)}, secrets),
                      message_bytes_max);
  return out;
}

unsigned status_of(const provider_error& problem) {
  if (problem.code.size() == 3 && problem.code.find_first_not_of("0123456789") == std::string::npos)
    return static_cast<unsigned>(std::stoul(problem.code));
  const auto is = [&](std::string_view name) {
    return problem.code == name || problem.type == name;
  };
  if (is("rate_limit_exceeded") || is("rate_limit_error") || is_quota(problem))
    return 429;
  if (is("invalid_request_error") || is("context_length_exceeded") || is("invalid_prompt"))
    return 400;
  return 500;
}

failure_kind kind_of(unsigned status, const provider_error& problem) {
  if (status == 429)
    return is_quota(problem) ? failure_kind::rejected : failure_kind::throttled;
  if (status == 408 || status == 409 || status >= 500 || status < 300)
    return failure_kind::transient;
  return failure_kind::rejected;
}

std::string code_of(failure_kind kind, unsigned status) {
  switch (kind) {
    case failure_kind::throttled:
      return "model_throttled";
    case failure_kind::transient:
      return "model_unavailable";
    default:
      return status == 401 || status == 403 ? "model_unauthorised" : "model_rejected";
  }
}

attempt_outcome openai_http_failure(unsigned status, const net::header_list& headers,
                                    std::string_view body, time_us now,
                                    std::span<const std::string> secrets) {
  provider_error problem;
  if (const auto document = parse_json(to_utf8(body.substr(0, 1 << 20)));
      document && document->is_object()) {
    if (const auto at = document->find("error"); at != document->end())
      problem = read_error(*at, secrets);
    else  // what other servers do: {"message"} (vLLM), {"detail"} (FastAPI)
      problem =
        read_error(document->contains("detail") ? (*document)["detail"] : *document, secrets);
  } else {
    problem = read_error(json(to_utf8(cut_at(body, 4'096))), secrets);
  }
  auto kind = kind_of(status, problem);
  const auto wish = find_header(headers, "x-should-retry");
  if (wish == "true" && kind == failure_kind::rejected)
    kind = status == 429 ? failure_kind::throttled : failure_kind::transient;
  else if (wish == "false")
    kind = failure_kind::rejected;
  std::string text = "the provider answered " + std::to_string(status);
  if (!problem.text.empty())
    text += ": " + problem.text;
  return failed_attempt(
    kind, code_of(kind, status), std::move(text),
    kind == failure_kind::rejected ? 0 : retry_after_ms(headers, now).value_or(0));
}

}  // namespace holdfast::model
