#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::net {

/// Who a node says it is; in the headers of the upgrade request and of its answer.
struct link_hello {
  std::string cluster;  ///< 1 to 63 of [A-Za-z0-9._-], as `node`
  std::string node;
  std::string folder;           ///< random id of that node's data folder; up to 128 of the same
  std::string version;          ///< for people; up to 128 printable characters
  unsigned feature_oldest = 0;  ///< of the feature levels that it can do,
  unsigned feature_newest = 0;  ///< and the last
  unsigned partitions = 0;
  bool operator==(const link_hello&) const = default;
};

/// Whether a peer may come in.
struct link_verdict {
  std::string refusal;    ///< empty: it may. Else why not; the peer is told
  bool for_good = false;  ///< it is no member any more and shall end: it hears `removed`
};

/// PEM files. Peers are verified against `ca_file` alone, never against the system's authorities.
struct link_tls {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
};

/// One frame of a peer. Its bytes count against `unread_bytes_max` until `held` is gone, which any
/// thread may let go of, also after the link has stopped.
struct link_frame {
  std::string bytes;
  std::shared_ptr<void> held;
};

/// Why `start` failed.
enum class link_failure : uint8_t {
  none,
  bad_options,
  bad_address,
  in_use,
  not_permitted,
  tls,
  system
};

struct [[nodiscard]] link_status {
  link_failure failure = link_failure::none;
  std::string detail;
  explicit operator bool() const noexcept { return failure == link_failure::none; }
};

/// A reading of one peer's counters: totals since it was first set or first connected.
struct link_peer_stats {
  bool connected = false;
  uint64_t bytes_in = 0;  ///< of records: frames, 5 bytes each on top, and control
  uint64_t bytes_out = 0;
  uint64_t frames_in = 0;
  uint64_t frames_out = 0;
  uint64_t writes = 0;         ///< WebSocket messages sent: `frames_out / writes` is the coalescing
  uint64_t queued_bytes = 0;   ///< taken by `send` and not yet in the kernel's hands
  uint64_t unread_bytes = 0;   ///< received and still held here
  uint64_t connects = 0;       ///< times the connection came up
  uint64_t refused_sends = 0;  ///< `send` said false
  std::string last_failure;    ///< why the last attempt or connection ended; for people
};

/// The connections of one node to the other nodes: one WebSocket over mutual TLS per pair, opaque
/// frames in order, everything bounded. A frame taken by `send` arrives once or not at all, and not
/// at all only when the connection breaks: after `down` nothing is known about the last frames.
///
/// Both sides of a pair may dial. The node with the smaller name decides which connection is the
/// one; the other attempt ends unseen. `start`, `stop` and the destructor belong to one thread that
/// is not the link's; the rest may be called from any, callbacks included.
class peer_link {
public:
  struct options {
    std::string address = "127.0.0.1";  ///< numeric
    uint16_t port = 0;                  ///< 0: any free one, see `port()`
    link_hello self;
    std::optional<link_tls> tls;          ///< none: plain TCP, for loopback addresses only
    size_t frame_bytes_max = 16u << 20;   ///< the peer closes on a larger one
    size_t queue_bytes_max = 64u << 20;   ///< per peer; a frame counts 64 bytes more than it has
    size_t unread_bytes_max = 16u << 20;  ///< per peer; the last frame may go over it
    std::chrono::milliseconds connect{1'000};     ///< name lookup and TCP
    std::chrono::milliseconds handshake{2'000};   ///< TLS, upgrade and welcome together
    std::chrono::milliseconds ping{500};          ///< asked so often, the peer answers
    std::chrono::milliseconds silent_max{1'500};  ///< nothing heard for so long: the peer is dead
    std::chrono::milliseconds backoff_min{50};    ///< between attempts, doubled each time, jittered
    std::chrono::milliseconds backoff_max{1'000};
    size_t connections_max = 64;  ///< accepted and not yet up; the oldest makes room
  };

  /// Called on the link's one thread; must not block. None is called after `stop` has returned, and
  /// `stop` itself calls no `down`.
  struct events {
    /// Judges a peer whose certificate, cluster and name are right already. Called for each attempt,
    /// on both sides.
    std::function<link_verdict(const link_hello& peer)> admit;
    std::function<void(const link_hello& peer)> up;
    std::function<void(std::string_view node, std::string_view why)> down;
    std::function<void(std::string_view node, link_frame&& frame)> frame;
    /// A peer refused us or we it; for an operator, says what to do. The same text about the same
    /// peer comes at most once in 30 s.
    std::function<void(std::string_view node_or_address, std::string_view why)> refused;
    /// A peer that this node believes has refused it for good; after `refused`.
    std::function<void(std::string_view node)> removed;
  };

  explicit peer_link(options opts);
  ~peer_link();  ///< stops
  peer_link(const peer_link&) = delete;
  peer_link& operator=(const peer_link&) = delete;

  /// Loads the certificates, listens and starts the thread. At most once.
  link_status start(events on);

  /// Closes every connection and joins the thread. `send` says false from then on.
  void stop();

  /// The port listened on; 0 before `start`.
  uint16_t port() const noexcept;

  /// Whom to hold a connection with, once started: node to `host:port`. New ones are dialled,
  /// connections to those that went are closed; this node itself is passed over. Others may still
  /// dial: `admit` judges.
  void set_peers(std::map<std::string, std::string> peers);

  /// Reads the files of `tls` again, once started: handshakes from then on have what is in them, open
  /// connections keep theirs. When they are no good, all stays as it was.
  link_status reload_tls();

  /// When this node's certificate expires, in seconds since 1970; nothing without TLS.
  std::optional<int64_t> certificate_expires_s() const;

  /// Never blocks. False: nothing was queued, because `node` is not connected, its queue is full,
  /// or the frame is larger than `frame_bytes_max`.
  bool send(std::string_view node, std::string frame);

  bool connected(std::string_view node) const;

  /// Of every node that is set or connected.
  std::map<std::string, link_peer_stats> stats() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace holdfast::net
