#pragma once
// Every call of the API, once: the router and the OpenAPI document are made from it, so that none
// can miss a route.

#include <span>
#include <string_view>

#include "runtime/core/access.hpp"
#include "runtime/gateway/requests.hpp"

namespace holdfast {

struct api_call {
  std::string_view method;  ///< `*`: any; not in the OpenAPI document
  std::string_view path;
  serve_function serve;
  access_rule access;          ///< what a key must be for; see runtime/core/access.hpp
  std::string_view operation;  ///< unique; what `not_available` names
  std::string_view tag;
  std::string_view summary;
  std::string_view query = {};  ///< names of query parameters, separated by spaces
  std::string_view takes = {};  ///< schema of the JSON body; empty: no body
  std::string_view gives =
    {};  ///< schema of the answer; `stream`, `text` and empty (no content) are special
  unsigned success = 200;
};

std::span<const api_call> api_calls() noexcept;

/// What a node answers for itself and for the cluster, whatever its roles are.
inline bool is_of_the_node(const api_call& one) noexcept { return one.tag == "node"; }

/// False for calls that a later release delivers.
inline bool is_available(const api_call& one) noexcept { return one.serve != refuse_not_available; }

}  // namespace holdfast
