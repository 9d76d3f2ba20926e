#include "runtime/gateway/call.hpp"

#include "runtime/net/url.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

constexpr std::size_t audit_subject_bytes_max = 1'024;

}  // namespace

void answering::add_headers(net::http_response& response) const {
  response.headers.emplace_back("X-Request-Id", request_id_);
  if (!traceparent_.empty())
    response.headers.emplace_back("traceparent", traceparent_);
}

void answering::identify(std::shared_ptr<const principal> who,
                         std::shared_ptr<audit_ticket> ticket) {
  who_ = std::move(who);
  ticket_ = std::move(ticket);
}

event_sender answering::sender() const {
  return {at_->opts.authenticate ? who_->name : std::string{}, who_->scope};
}

audit_note answering::note() const {
  if (!ticket_ || ticket_->refusals_only)
    return nullptr;
  auto entry = std::make_shared<audit_recorded>(ticket_->entry);
  entry->outcome = "done";
  return entry;
}

void answering::note_subject(std::string_view subject) const {
  if (!ticket_)
    return;
  if (subject.size() > audit_subject_bytes_max) {  // cut between characters
    subject = subject.substr(0, audit_subject_bytes_max);
    while (!subject.empty() && (static_cast<unsigned char>(subject.back()) & 0xC0) == 0x80)
      subject.remove_suffix(1);
    if (!subject.empty() && static_cast<unsigned char>(subject.back()) >= 0x80)
      subject.remove_suffix(1);
  }
  ticket_->entry.subject = subject;
}

void answering::audited() const noexcept {
  if (ticket_)
    ticket_->done = true;
}

void answering::refuse(const error& why) const {
  finish(problem(why), to_string(public_code(why.code)));
}

void answering::refuse(const refusal& why) const {
  finish(problem(why), to_string(public_code(why.why.code)));
}

void answering::finish(net::http_response response, std::string_view outcome) const {
  constexpr std::string_view forbidden = "forbidden";
  add_headers(response);
  if (outcome == forbidden)
    at_->forbidden.fetch_add(1, std::memory_order_relaxed);
  if (!ticket_ || (ticket_->refusals_only && outcome != forbidden) || ticket_->done.exchange(true))
    return to_.send(std::move(response));
  auto entry = ticket_->entry;
  entry.outcome = outcome;
  at_->node.audit(std::move(entry),
                  [at = at_, to = to_, held = std::move(response)](const answer& told) mutable {
                    if (std::holds_alternative<error>(told))
                      at->audits_failed.fetch_add(1, std::memory_order_relaxed);
                    to.send(std::move(held));
                  });
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

void answering::on_recall(std::function<void()> callback) const {
  if (carried_)
    to_.on_abort(std::move(callback));
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

result<std::int64_t> call::wait_ms() const {
  const auto asked = query();
  if (!asked)
    return asked.error();
  const auto text = asked->get("wait");
  if (!text)
    return std::int64_t{0};
  const auto wait_ms = parse_duration_ms(*text);
  if (!wait_ms)
    return error{errc::malformed, "`wait` is a duration such as 30s: " + wait_ms.error().context};
  if (*wait_ms > at().opts.wait_ms_max)
    return error{errc::malformed, "`wait` is at most " + format_duration_ms(at().opts.wait_ms_max)};
  return *wait_ms;
}

}  // namespace holdfast
