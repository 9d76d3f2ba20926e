#pragma once
// `secrets` and `models` of a node's configuration. Part of config.cpp, which alone includes this.

#include <filesystem>

#include "runtime/host/config.hpp"
#include "runtime/host/config_reader.hpp"

namespace holdfast {

void read_secrets(map_reader in, const std::filesystem::path& base,
                  std::map<std::string, secret_source, std::less<>>& out);

void read_models(map_reader in, const std::filesystem::path& base,
                 std::map<std::string, model_config, std::less<>>& out);

/// What `dev` takes when no model is configured: OPENAI_API_KEY, else DIR/script.yaml, else a hint.
void add_dev_model(node_config& config, const std::filesystem::path& dir, const environment& env);

}  // namespace holdfast
