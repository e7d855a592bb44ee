#include "datasets/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <memory>

#include "kernels/check.h"

namespace understudy {

namespace {

using Parts = std::initializer_list<std::span<const std::uint8_t>>;

std::string digest(const EVP_MD* algorithm, const Parts& parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  // A machine in FIPS mode refuses MD5.
  check(context && EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1,
        "[digest] OpenSSL does not offer {}", EVP_MD_get0_name(algorithm));
  for (const auto& part : parts)
    check(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1,
          "[digest] EVP_DigestUpdate failed");
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  check(EVP_DigestFinal_ex(context.get(), bytes, &size) == 1, "[digest] EVP_DigestFinal_ex failed");
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

}  // namespace

std::string sha256(Parts parts) { return digest(EVP_sha256(), parts); }
std::string md5(Parts parts) { return digest(EVP_md5(), parts); }

}  // namespace understudy
