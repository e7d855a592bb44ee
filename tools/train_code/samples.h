// Pictures of what an encoder does, for the report.
#pragma once

#include <filesystem>

#include "coding/query_code.h"
#include "datasets/dataset.h"

namespace understudy {

// samples.safetensors: the first `groups` groups of `test` as they are and encoded. inputs u8
// (G, k, H, W, C), parities float (G, r, H, W, C), labels i64 (G, k).
void write_samples(const std::filesystem::path& path, QueryCode& code, const Dataset& test,
                   std::int64_t groups = 6);

}  // namespace understudy
