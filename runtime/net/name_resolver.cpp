#include "runtime/net/name_resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace holdfast::net {

namespace {

ip_address to_address(const sockaddr& from) {
  ip_address out;
  if (from.sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &from, sizeof v6);
    out.v6 = true;
    std::memcpy(out.bytes.data(), &v6.sin6_addr, 16);
  } else {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof v4);
    std::memcpy(out.bytes.data(), &v4.sin_addr, 4);
  }
  return out;
}

name_resolver::answer look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  name_resolver::answer out;
  if (const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found); failure != 0) {
    out.failure = gai_strerror(failure);
    return out;
  }
  for (const auto* each = found; each; each = each->ai_next) {
    if (each->ai_family != AF_INET && each->ai_family != AF_INET6)
      continue;
    const auto address = to_address(*each->ai_addr);
    if (std::find(out.addresses.begin(), out.addresses.end(), address) == out.addresses.end())
      out.addresses.push_back(address);
  }
  freeaddrinfo(found);
  if (out.addresses.empty())
    out.failure = "no address";
  return out;
}

struct lookup {
  std::string host;
  std::shared_ptr<const std::atomic<bool>> wanted;
  name_resolver::callback on_answer;
};

}  // namespace

struct name_resolver::shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<lookup> queue;
  unsigned threads = 0;
  unsigned idle = 0;       // waiting for work
  unsigned in_lookup = 0;  // in getaddrinfo, for how long nobody knows
  bool stopping = false;

  void work();
};

void name_resolver::shared::work() {
  std::unique_lock lock{mutex};
  while (true) {
    ++idle;
    changed.wait(lock, [this] { return stopping || !queue.empty(); });
    --idle;
    if (stopping)
      break;
    auto next = std::move(queue.front());
    queue.pop_front();
    if (!*next.wanted)
      continue;
    ++in_lookup;
    lock.unlock();
    auto found = look_up(next.host);
    lock.lock();
    --in_lookup;
    if (!stopping)
      next.on_answer(std::move(found));  // under the lock: the destructor waits for it
  }
  --threads;
  changed.notify_all();
}

name_resolver::name_resolver() : shared_(std::make_shared<shared>()) {}

name_resolver::~name_resolver() {
  std::unique_lock lock{shared_->mutex};
  shared_->stopping = true;
  shared_->queue.clear();
  shared_->changed.notify_all();
  shared_->changed.wait(lock, [this] { return shared_->threads == shared_->in_lookup; });
}

void name_resolver::resolve(const std::string& host,
                            std::shared_ptr<const std::atomic<bool>> wanted, callback on_answer) {
  std::lock_guard lock{shared_->mutex};
  shared_->queue.push_back({host, std::move(wanted), std::move(on_answer)});
  if (shared_->idle < shared_->queue.size() && shared_->threads < threads_max) {
    ++shared_->threads;
    std::thread{[s = shared_] { s->work(); }}.detach();
  }
  shared_->changed.notify_one();
}

}  // namespace holdfast::net
