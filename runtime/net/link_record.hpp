#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::net {

/// What is inside the WebSocket messages of a node link: a stream of records that knows nothing of
/// message boundaries. A record is its kind (1 byte), the size of its body (4, big-endian), body.
///   'f' frame    the application's bytes
///   's' start    4 bytes: the size of a frame that comes in parts
///   'p' part     the next bytes of it; control may come between parts, another frame may not
///   'c' credit   8 bytes: cost of all frames the receiver has let go of so far
///   'w' welcome  empty: this side wants the connection to be the one of the pair
///   'b' beat     empty: to be answered, so that silence means death
///   'a' answer   empty: to a beat
/// Not WebSocket's ping: Beast answers it from within the read, which then waits for the write
/// under way; two sides that send much would stop reading each other for ever.
/// A receiver passes over kinds it does not know.
enum class link_record_kind : uint8_t {
  frame = 'f',
  start = 's',
  part = 'p',
  credit = 'c',
  welcome = 'w',
  beat = 'b',
  answer = 'a',
};

inline constexpr size_t link_record_head_bytes = 5;
inline constexpr size_t link_control_bytes_max = 1'024;  // body of a record without frame bytes

/// What a frame counts against queues and credit, so that empty frames are not free. Both sides of
/// a link must agree on it.
constexpr size_t link_frame_cost(size_t frame_bytes) { return frame_bytes + 64; }

void append_record_head(std::string& out, link_record_kind kind, size_t body_bytes);
void append_credit(std::string& out, uint64_t released);
void append_start(std::string& out, size_t frame_bytes);

struct link_record {
  link_record_kind kind{};
  std::string body;

  /// The number in a credit; 0 when it is none.
  uint64_t credit() const;
};

/// Cuts records out of bytes that come in pieces of any size. Gives a frame as a whole, however it
/// came.
class link_record_reader {
public:
  explicit link_record_reader(size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  /// True when `out` is a whole record; what it took is gone from the front of `input`. False: all
  /// input is taken, or it is broken (`failure`).
  bool next(std::string_view& input, link_record& out);

  /// Where the next bytes may be read to without a copy: in the middle of a large part. Else empty.
  std::span<char> direct();

  /// So many bytes have been read to `direct()`. True when `out` is a whole record.
  bool filled(size_t bytes, link_record& out);

  /// Not empty: the peer does not keep to the format or to the limit, and nothing can be read any
  /// more.
  const std::string& failure() const { return failure_; }
  bool too_large() const { return too_large_; }

private:
  bool take_head(std::string_view& input);
  void check_head(char kind);
  bool finished(link_record& out);
  bool begin_parts();
  std::string& target() { return in_part_ ? parts_ : body_; }
  size_t missing() const { return body_bytes_ - body_filled_; }

  size_t frame_bytes_max_;
  char head_[link_record_head_bytes];
  size_t head_bytes_ = 0;
  size_t body_bytes_ = 0;   // of the record under way
  size_t body_filled_ = 0;  // so much of them is there
  size_t direct_at_ = 0;    // where `direct` began
  bool in_part_ = false;
  std::string body_;
  std::string parts_;       // of a frame that comes in parts
  size_t parts_bytes_ = 0;  // when complete; 0: there is none
  std::string failure_;
  bool too_large_ = false;
};

}  // namespace holdfast::net
