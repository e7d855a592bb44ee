// What stb_image does not look at in a JPEG file, or reads on without.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace understudy {

// Follows the segments of a JPEG file from the first to the last. Error, beginning with `name`, for
// a file that ends before its end marker, one without image data, and code tables that do not fit
// their segments or have more than 256 entries: stb_image 2.27, Debian's, writes those past the end
// of its own.
void check_jpeg(std::span<const std::uint8_t> bytes, const std::string& name);

}  // namespace understudy
