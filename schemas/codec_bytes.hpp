#pragma once
// From a value to its bytes and back: the version byte, and an arena per thread, so that a message
// costs no allocation but its long texts. For the files of the codec only.

#include <google/protobuf/arena.h>

#include "schemas/codec.hpp"
#include "schemas/codec_wire.hpp"

namespace holdfast::codec {

/// This thread's arena, emptied at the end. One at a time: nesting is a broken invariant.
class scratch {
public:
  scratch();
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  template <class Message>
  Message& make() {
    return *google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

private:
  google::protobuf::Arena& arena_;
  bool& in_use_;
};

/// The version byte and the message.
std::string seal(const google::protobuf::MessageLite& m);
/// Checks the version and parses the rest into `m`.
status unseal(std::string_view bytes, google::protobuf::MessageLite& m);
/// For values with large parts, which are not put into a message but behind it, and so are copied
/// once: appends the version byte, the length of the head (4 bytes, big-endian) and the head.
/// Reserves room for the `large_bytes` that the caller appends then.
void seal_head(const google::protobuf::MessageLite& head, std::size_t large_bytes,
               std::string& out);
/// Checks the version and parses the head, of at most `head_bytes_max`; gives what is behind it.
result<std::string_view> unseal_head(std::string_view bytes, google::protobuf::MessageLite& head,
                                     std::size_t head_bytes_max);
error unknown_content(const wrong_field& wrong);

template <class T>
std::string encode_as_message(const T& value) {
  scratch arena;
  auto& m = arena.make<typename wire<T>::stored>();
  wire<T>::put(value, m);
  return seal(m);
}

template <class T>
result<T> decode_as_message(std::string_view bytes) {
  scratch arena;
  auto& m = arena.make<typename wire<T>::stored>();
  if (auto unsealed = unseal(bytes, m); !unsealed)
    return unsealed.error();
  T value;
  wrong_field wrong;
  if (!wire<T>::take(m, value, wrong))
    return unknown_content(wrong);
  return value;
}

}  // namespace holdfast::codec
