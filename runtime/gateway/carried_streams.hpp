#pragma once
// Streams that another node answers and this one carries to its client. The client's key was looked at here and may not
// be known there, so it is here that it has to count for as long as the stream is open. Thread-safe.

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/core/access.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast {

class carried_streams : public std::enable_shared_from_this<carried_streams> {
public:
  /// Answers as `to` does; when the answer is a stream, it ends with the key of `who`.
  net::responder watched(net::responder to, std::shared_ptr<const principal> who);

  /// Closes the streams of those who are not valid any more, and lets go of those that are over.
  void tick(const std::function<bool(const principal&)>& valid);

private:
  class watched_exchange;
  void add(std::shared_ptr<const principal> who, net::stream_handle stream);

  std::mutex mutex_;
  std::vector<std::pair<std::shared_ptr<const principal>, net::stream_handle>> open_;
};

}  // namespace holdfast
