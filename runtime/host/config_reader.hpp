#pragma once
// Typed reading of a map of `document_node`: every key is asked for once, what was not asked for is a problem with the
// nearest key that was, and all problems are collected. What was read is written down as canonical JSON on the way.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/host/config_document.hpp"
#include "schemas/effect.hpp"
#include "schemas/error.hpp"

namespace holdfast {

class map_reader {
public:
  static constexpr std::size_t text_bytes_max = 4 * 1024;

  /// All are kept by the caller. A node that is no map is a problem, and then everything is absent.
  map_reader(const document_node& node, std::string pointer,
             std::vector<document_problem>& problems);

  /// Says what is unknown. To be called when every key was asked for.
  void finish();

  // Each reads one key. True when it is there and good; otherwise `out` stays as it is, and a bad one is a problem.
  bool text(std::string_view key, std::string& out, std::size_t bytes_max = text_bytes_max);
  bool truth(std::string_view key, bool& out);
  bool real(std::string_view key, double& out, double least, double most);
  bool duration(std::string_view key, std::int64_t& out_ms, std::int64_t least_ms = 1);
  bool size(std::string_view key, std::uint64_t& out_bytes, std::uint64_t least = 1,
            std::uint64_t most = UINT64_MAX);
  bool money(std::string_view key, nano_usd& out);
  /// A list of text, or one text.
  bool texts(std::string_view key, std::vector<std::string>& out, std::size_t most);

  template <std::unsigned_integral N>
  bool number(std::string_view key, N& out, std::uint64_t least,
              std::uint64_t most = std::numeric_limits<N>::max()) {
    std::uint64_t value = 0;
    if (!whole(key, value, least, most))
      return false;
    out = static_cast<N>(value);
    return true;
  }

  template <class E>
  using choices = std::span<const std::pair<std::string_view, E>>;
  template <class E>
  bool choice(std::string_view key, E& out, choices<std::type_identity_t<E>> among,
              std::span<const std::string_view> later = {}) {
    std::vector<std::string_view> names;
    for (const auto& one : among)
      names.push_back(one.first);
    const auto index = chosen(key, names, later);
    if (index == names.size())
      return false;
    out = among[index].second;
    return true;
  }

  /// Asks for a key whose value the caller reads; null when absent.
  const document_entry* take(std::string_view key);
  /// Named by the contract, not delivered in this release: refused when it is there. True when it is.
  bool not_available(std::string_view key, std::string_view instead = {});

  void problem(const document_node& at, std::string_view below, std::string message,
               errc code = errc::schema);
  void missing(std::string_view key, std::string_view what);
  bool has(std::string_view key) const noexcept { return node_->find(key) != nullptr; }
  std::string pointer_of(std::string_view key) const { return pointer_ + pointer_step(key); }
  std::vector<document_problem>& problems() noexcept { return *problems_; }
  const document_node& node() const noexcept { return *node_; }

  nlohmann::json& written() noexcept { return written_; }

private:
  const document_entry* scalar(std::string_view key, std::string_view expected);
  bool whole(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most);
  std::size_t chosen(std::string_view key, std::span<const std::string_view> names,
                     std::span<const std::string_view> later);
  bool bad(const document_entry& entry, std::string message, errc code = errc::schema);

  const document_node* node_;
  std::string pointer_;
  std::vector<document_problem>* problems_;
  std::vector<std::string> asked_;
  nlohmann::json written_ = nlohmann::json::object();
};

/// Each `${secret:NAME}` in `text`; anything else that begins with `${` is the error's message.
result<std::vector<std::string>> secret_references(std::string_view text);

/// The name in a text that is `${secret:NAME}` and nothing else.
result<std::string> secret_reference(std::string_view text);

}  // namespace holdfast
