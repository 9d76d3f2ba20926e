#include "cluster/forwarded_answer.hpp"

#include <utility>

#include "cluster/forwarded_command.hpp"

namespace holdfast {

bool forwarded_stream::write(std::shared_ptr<const std::string> bytes) {
  if (closed_)
    return false;
  if (way_.send(link::http_chunk{way_.number, *bytes, false}))
    return true;
  end();
  return false;
}

void forwarded_stream::close() {
  if (!closed_)
    way_.send(link::http_chunk{way_.number, {}, true});
  end();
}

void forwarded_stream::on_close(std::function<void()> callback) {
  {
    const std::lock_guard lock{mutex_};
    if (!closed_) {
      on_close_ = std::move(callback);
      return;
    }
  }
  callback();
}

void forwarded_stream::end() {
  std::function<void()> callback;
  {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    callback = std::exchange(on_close_, nullptr);
  }
  if (callback)
    callback();
}

forwarded_exchange::~forwarded_exchange() {
  if (!answered_)
    way_.send(link::http_cancel{way_.number});
}

void forwarded_exchange::send(net::http_response&& response) {
  if (answered_.exchange(true))
    return;
  way_.send(head_of(response));
  way_.send(link::http_chunk{way_.number, std::move(response.body), true});
}

net::stream_handle forwarded_exchange::start_stream(net::http_response&& head) {
  if (answered_.exchange(true))
    return {};
  auto sink = std::make_shared<forwarded_stream>(way_);
  streaming_(sink);
  auto sent = head_of(head);
  sent.headers.emplace_back(forwarded::stream_field, "1");
  if (!way_.send(sent))
    sink->end();
  else if (!head.body.empty())
    sink->write(std::make_shared<const std::string>(std::move(head.body)));
  return net::stream_handle{sink};
}

link::http_head forwarded_exchange::head_of(net::http_response& response) const {
  link::http_head out{way_.number, response.status, std::move(response.headers)};
  if (!response.content_type.empty())
    out.headers.emplace_back(forwarded::content_type_field, response.content_type);
  return out;
}

}  // namespace holdfast
