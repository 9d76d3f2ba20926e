#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace holdfast::net::testing {

/// A certificate authority of the test's own, with its files in a folder that goes with it.
class test_authority {
public:
  struct files {
    std::string certificate;
    std::string key;
  };

  test_authority();
  ~test_authority();

  /// PEM file to trust.
  std::string ca_file() const;

  /// Issues a certificate for `subject_alt_names`, e.g. `DNS:localhost,IP:127.0.0.1` (empty: none),
  /// valid from an hour ago for `days` days (negative: expired).
  files issue(const std::string& subject_alt_names, int days = 1,
              const std::string& common_name = "server");

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace holdfast::net::testing
