#include "schemas/codec_bytes.hpp"

#include <memory>

namespace holdfast::codec {

namespace {

using google::protobuf::Arena;
using google::protobuf::ArenaOptions;

/// Most records and states fit; what does not gets blocks that are freed again.
constexpr std::size_t first_block_bytes = 32 << 10;
constexpr std::size_t further_block_bytes = 256 << 10;

/// In front of a head: the version and the head's length.
constexpr std::size_t prefix_bytes = 5;

struct thread_arena {
  std::unique_ptr<char[]> block{new char[first_block_bytes]};  // not zeroed
  Arena arena{options(block.get())};
  bool in_use = false;

  static ArenaOptions options(char* first) {
    ArenaOptions out;
    out.initial_block = first;
    out.initial_block_size = first_block_bytes;
    out.start_block_size = first_block_bytes;
    out.max_block_size = further_block_bytes;
    return out;
  }
};

thread_arena& of_this_thread() {
  thread_local thread_arena mine;
  return mine;
}

status check_version(std::string_view bytes) {
  if (bytes.empty())
    return error{errc::corrupt, "a stored value without a single byte"};
  const auto version = static_cast<std::uint8_t>(bytes.front());
  if (version != format_version)
    return error{errc::corrupt, "a stored value of format " + std::to_string(version) +
                                  "; this version of holdfast reads format " +
                                  std::to_string(format_version)};
  return ok_status();
}

status parse(std::string_view bytes, google::protobuf::MessageLite& m) {
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return error{errc::corrupt, "a stored value that does not parse"};
  return ok_status();
}

}  // namespace

scratch::scratch() : arena_{of_this_thread().arena}, in_use_{of_this_thread().in_use} {
  HOLDFAST_ASSERT(!in_use_, "two encodings at once in one thread");
  in_use_ = true;
}

scratch::~scratch() {
  arena_.Reset();
  in_use_ = false;
}

std::string seal(const google::protobuf::MessageLite& m) {
  const std::size_t size = m.ByteSizeLong();
  HOLDFAST_ASSERT(size < std::numeric_limits<int>::max(), "a value of more than 2 GiB");
  std::string out(size + 1, static_cast<char>(format_version));
  m.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data() + 1));
  return out;
}

status unseal(std::string_view bytes, google::protobuf::MessageLite& m) {
  if (auto right = check_version(bytes); !right)
    return right;
  return parse(bytes.substr(1), m);
}

void seal_head(const google::protobuf::MessageLite& head, std::size_t large_bytes,
               std::string& out) {
  const std::size_t size = head.ByteSizeLong();
  HOLDFAST_ASSERT(size < std::numeric_limits<int>::max(), "a head of more than 2 GiB");
  const std::size_t begin = out.size();
  out.reserve(begin + prefix_bytes + size + large_bytes);
  out += static_cast<char>(format_version);
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<std::uint8_t>(size >> shift));
  out.resize(begin + prefix_bytes + size);
  head.SerializeWithCachedSizesToArray(
    reinterpret_cast<std::uint8_t*>(out.data() + begin + prefix_bytes));
}

result<std::string_view> unseal_head(std::string_view bytes, google::protobuf::MessageLite& head,
                                     std::size_t head_bytes_max) {
  if (auto right = check_version(bytes); !right)
    return right.error();
  if (bytes.size() < prefix_bytes)
    return error{errc::corrupt, "a stored value that is cut short"};
  std::size_t size = 0;
  for (std::size_t i = 1; i < prefix_bytes; ++i)
    size = size << 8 | static_cast<std::uint8_t>(bytes[i]);
  bytes.remove_prefix(prefix_bytes);
  if (size > bytes.size() || size > head_bytes_max)
    return error{errc::corrupt, "a stored value with a head that is too long"};
  if (auto parsed = parse(bytes.substr(0, size), head); !parsed)
    return parsed.error();
  return bytes.substr(size);
}

error unknown_content(const wrong_field& wrong) {
  std::string field{wrong.in};
  field.append(1, '.').append(wrong.field);
  return error{errc::corrupt, field + " of a stored value has a content that this version of" +
                                " holdfast does not know"};
}

}  // namespace holdfast::codec
