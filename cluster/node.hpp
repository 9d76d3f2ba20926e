#pragma once
// The composition root: one process's disk, log, actors, HTTP server and client, put together and taken apart in order.
// The only place that picks threads, clocks and disks.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/feature_levels.hpp"
#include "runtime/gateway/backend.hpp"
#include "runtime/host/config.hpp"

namespace holdfast {

class node {
public:
  struct options {
    node_config config;
    environment env;
    bool development = false;  ///< tools may reach loopback
    std::string version;
    /// The node was removed from its cluster, and must be stopped. Any thread; must not block.
    std::function<void()> removed = {};
    feature_levels features = features_of_this_release;
  };

  explicit node(options opts);
  ~node();  ///< stops
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Opens the data folder, recovers, starts the actors and listens. Errors say what to do.
  status start();
  /// Refuses new requests, lets those in flight end for at most that long, then stops everything.
  void stop(std::chrono::milliseconds limit);

  /// Reads the certificate and the API keys again, as SIGHUP asks for. What cannot be read stays as
  /// it was, and the log says why. Any thread.
  void reload();

  std::uint16_t port() const noexcept;
  /// A new key of the developer role that only this process knows of, for `dev`; empty where no key
  /// is asked for. Before `start`.
  std::string own_token();
  /// For what runs inside the process: `dev` applies definitions through it.
  backend& inside() noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace holdfast
