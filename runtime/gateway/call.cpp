#include "runtime/gateway/call.hpp"

#include "runtime/net/url.hpp"

namespace holdfast {

void answering::add_headers(net::http_response& response) const {
  response.headers.emplace_back("X-Request-Id", request_id_);
  if (!traceparent_.empty())
    response.headers.emplace_back("traceparent", traceparent_);
}

void answering::send(net::http_response response) const {
  add_headers(response);
  to_.send(std::move(response));
}

void answering::document(std::string body, unsigned status_code, net::header_list headers) const {
  net::http_response response;
  response.status = status_code;
  response.content_type = "application/json";
  response.headers = std::move(headers);
  response.body = std::move(body);
  response.body += '\n';
  send(std::move(response));
}

void answering::no_content() const {
  net::http_response response;
  response.status = 204;
  send(std::move(response));
}

net::stream_handle answering::stream(net::http_response head) const {
  add_headers(head);
  return to_.start_stream(std::move(head));
}

std::string_view call::path() const noexcept { return net::split_target(request.target()).path; }

result<agent_name> call::agent() const {
  agent_name name;
  auto type = net::percent_decode(parameters[0]);
  if (!type || !is_valid_type(*type))
    return error{errc::unknown_type,
                 "an agent type is 1 to 63 of a-z, 0-9 and '-', and starts with a letter;"
                 " `holdfast type list` shows those there are"};
  auto key = net::percent_decode(parameters[1]);
  if (!key)
    return error{
      errc::invalid_key,
      "the agent key in the path is not percent-encoded UTF-8 without control characters"};
  if (auto checked = check_key(*key); !checked)
    return checked.error();
  name.type = std::move(*type);
  name.key = std::move(*key);
  return name;
}

std::optional<std::string> call::parameter(std::size_t at) const {
  auto text = net::percent_decode(parameters[at]);
  if (!text || !is_utf8(*text))
    return std::nullopt;
  return text;
}

result<query_reader> call::query() const {
  return query_reader::parse(net::split_target(request.target()).query);
}

}  // namespace holdfast
