// Files of client.hpp.

#include <future>

#include "tools/holdfast/client.hpp"

namespace holdfast::cli {

namespace {

constexpr std::size_t refusal_bytes_max = 64 << 10;

}  // namespace

void api_client::download(const api_request& request,
                          const std::function<bool(std::string_view)>& take) {
  struct progress {
    std::promise<net::client_result> ended;
    net::client_response_head head;
    std::string refusal;
    bool wanted = true;  ///< of the io thread, until `ended`
  };
  const auto now = std::make_shared<progress>();
  auto ended = now->ended.get_future();
  auto sent = request_for(request);
  sent.stream = true;
  sent.idle_timeout = std::chrono::minutes{2};
  sent.total_timeout = std::chrono::hours{24};
  sent.response_bytes_max = static_cast<std::size_t>(1) << 46;
  net::client_callbacks callbacks;
  callbacks.on_head = [now](const net::client_response_head& head) { now->head = head; };
  callbacks.on_body_piece = [now, &take](std::string_view bytes) {
    if (now->head.status >= 400)
      now->refusal += bytes.substr(0, refusal_bytes_max - now->refusal.size());
    else if (now->wanted && !take(bytes)) {
      now->wanted = false;
      now->ended.set_value({});
    }
  };
  callbacks.on_done = [now](net::client_result&& done) {
    if (now->wanted)
      now->ended.set_value(std::move(done));
  };
  auto call = http_.start(std::move(sent), std::move(callbacks));
  const auto done = ended.get();
  if (!now->wanted)
    return call.cancel();
  if (now->head.status >= 400)
    throw failure_of_answer(now->head.status, now->refusal, now->head.header("Retry-After"));
  if (!done)
    throw failure_without_answer(done);
}

}  // namespace holdfast::cli
