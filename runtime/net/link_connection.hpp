#pragma once

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <string>
#include <vector>

#include "runtime/net/asio_types.hpp"
#include "runtime/net/link_greeting.hpp"
#include "runtime/net/link_outbox.hpp"
#include "runtime/net/link_peer_counters.hpp"
#include "runtime/net/link_record.hpp"
#include "runtime/net/link_stream.hpp"

namespace holdfast::net {

class link_connection;

/// How a connection ended, for whoever keeps it.
enum class link_end : uint8_t {
  quietly,  ///< nothing went wrong: another connection is the one, or we are told to
  failed,   ///< the network, or the peer went away
  refused,  ///< somebody has to look into it
  removed,  ///< the peer, which is believed, has refused this node for good
};

/// Who keeps the connections and decides about them. Called on the io thread.
class link_owner {
public:
  virtual ~link_owner() = default;
  /// May this peer come in? If not: why, fit for both sides.
  virtual link_verdict judge(const link_connection& about) = 0;
  /// Is there a connection with this peer already, which a new one cannot replace?
  virtual bool is_duplicate(const link_connection& about) const = 0;
  /// It becomes the one connection of its pair, or is a duplicate: false. Gives it its counters.
  virtual bool claim(link_connection& by) = 0;
  virtual void on_up(link_connection& which) = 0;
  virtual void on_frame(link_connection& from, link_frame&& frame) = 0;
  /// Once for each connection. It may still say why to the peer, until `is_gone`.
  virtual void on_ended(link_connection& which, link_end how, const std::string& why) = 0;
};

/// What the connections of one link share.
struct link_shared {
  const peer_link::options& opts;
  link_greeting self;
  link_owner& owner;
  int64_t now_ms = 0;
};

/// One TCP connection to another node, from TLS to the last byte. It opens in steps, all of them
/// within the time for the handshake: TLS, the peer's certificate, the upgrade with both greetings,
/// and the welcome, which makes it the one connection of the pair:
///   the side with the smaller name claims the connection first, when it has judged the answer or
///   hears the other's welcome, and says welcome; the other side claims when it hears that.
/// Belongs to the io thread.
class link_connection : public std::enable_shared_from_this<link_connection> {
public:
  /// Accepted: `expected` is empty, `address` the peer's without its port. Dialled: whom we meant,
  /// and where.
  link_connection(link_shared& shared, tcp_socket socket, asio::ssl::context* tls,
                  std::string expected, std::string address);

  void start();

  /// Looks at the deadlines; `late_ms`: the thread itself has slept so much too long.
  void sweep(int64_t late_ms);

  /// Ends and tells the peer why, if it listens. Without effect when it has ended.
  void end(link_end how, uint16_t code, const std::string& why);

  /// Ends at once.
  void drop();

  bool dialled() const { return !expected_.empty(); }
  bool is_open() const { return phase_ == phase::open; }
  bool has_ended() const { return ended_; }
  bool is_gone() const { return phase_ == phase::gone; }
  int64_t opened_at_ms() const { return opened_at_ms_; }
  const link_greeting& peer() const { return peer_; }

  /// Known as soon as it is believed: dialled at once, accepted after the upgrade.
  const std::string& node() const { return dialled() ? expected_ : peer_.hello.node; }
  /// `n2 at 10.0.0.12:7071`, or just the address.
  std::string who() const;
  const std::string& address() const { return address_; }
  bool is_known() const { return dialled() || believed_; }

  /// Set by `claim`.
  std::shared_ptr<link_outbox> outbox;
  std::shared_ptr<link_unread> unread;
  std::shared_ptr<link_peer_counters> counters;
  std::function<void()> waker();  ///< for the outbox

private:
  enum class phase : uint8_t { tls, upgrade, welcome, open, closing, lingering, gone };
  using http_request = boost::beast::http::request<boost::beast::http::empty_body>;

  // link_connection.cpp: up to the upgrade
  link_stream& stream() { return ws_.next_layer(); }
  void on_tls(const error_code& failure);
  void ask();
  void on_answer(const error_code& failure);
  void read_request();
  void on_request(const error_code& failure);
  void judge_request(const http_request& request);
  void accept(const http_request& request);
  void answer(unsigned status, const std::string& why_for_peer, bool for_good = false);
  std::string carries(const std::string& node) const;
  void linger();

  // link_connection_flow.cpp: from the welcome on
  void await_welcome();
  void on_welcome();
  bool open();
  void read();
  void on_read(const error_code& failure, size_t bytes, bool direct);
  void obey(link_record& record);
  void on_broken(const error_code& failure);
  void flush();
  void fill();
  bool fill_frame();
  bool fill_part(const std::string& frame);

  void ended(link_end how, const std::string& why);

  link_shared& shared_;
  std::string expected_;
  std::string address_;
  boost::beast::websocket::stream<link_stream, false> ws_;
  phase phase_ = phase::tls;
  bool ended_ = false;
  int64_t deadline_ms_ = 0;
  int64_t opened_at_ms_ = 0;
  std::vector<std::string> names_;  // of the peer's certificate
  link_greeting peer_;
  bool believed_ = false;  // the peer is who `peer_` says

  std::string head_;  // of the request, and what is answered in HTTP
  boost::beast::websocket::response_type response_;

  link_record_reader reader_;
  std::vector<char> input_;
  bool heard_ = false;
  int64_t heard_at_ms_ = 0;
  int64_t beaten_at_ms_ = 0;

  std::string batch_;  // being written
  bool writing_ = false;
  bool welcome_due_ = false;
  bool beat_due_ = false;
  bool answer_due_ = false;
  std::vector<std::string> frames_;  // taken from the outbox
  size_t frame_next_ = 0;
  size_t frame_offset_ = 0;  // in the frame that is partly written
  bool frame_begun_ = false;
  size_t cost_written_ = 0;  // of the frames that end in `batch_`
  uint64_t cost_sent_ = 0;
  uint64_t cost_credited_ = 0;
};

}  // namespace holdfast::net
