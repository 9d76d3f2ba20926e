#include "runtime/gateway/carried_streams.hpp"

namespace holdfast {

class carried_streams::watched_exchange final : public net::exchange {
public:
  watched_exchange(std::weak_ptr<carried_streams> streams, net::responder to,
                   std::shared_ptr<const principal> who)
    : streams_(std::move(streams)), to_(std::move(to)), who_(std::move(who)) {}
  void send(net::http_response&& response) override { to_.send(std::move(response)); }
  net::stream_handle start_stream(net::http_response&& head) override {
    auto out = to_.start_stream(std::move(head));
    if (const auto streams = streams_.lock())
      streams->add(who_, out);
    return out;
  }
  void on_abort(std::function<void()> callback) override { to_.on_abort(std::move(callback)); }

private:
  const std::weak_ptr<carried_streams> streams_;
  const net::responder to_;
  const std::shared_ptr<const principal> who_;
};

net::responder carried_streams::watched(net::responder to, std::shared_ptr<const principal> who) {
  return net::responder{
    std::make_shared<watched_exchange>(weak_from_this(), std::move(to), std::move(who))};
}

void carried_streams::add(std::shared_ptr<const principal> who, net::stream_handle stream) {
  const std::lock_guard lock{mutex_};
  open_.emplace_back(std::move(who), std::move(stream));
}

void carried_streams::tick(const std::function<bool(const principal&)>& valid) {
  std::vector<net::stream_handle> ended;
  {
    const std::lock_guard lock{mutex_};
    std::erase_if(open_, [&](const auto& one) {
      const auto& [who, stream] = one;
      if (stream.closed())
        return true;
      if (valid(*who))
        return false;
      ended.push_back(stream);
      return true;
    });
  }
  for (const auto& stream : ended)
    stream.close();  // without the lock: who wrote it is called back
}

}  // namespace holdfast
