// The members of JSON objects that other programs wrote, or somebody's hand.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace understudy::reproduce {

enum class Kind { text, truth, number, whole, object, list, texts, wholes };

struct Member {
  const char* key;
  Kind kind;
};

// Error with `place` ("runs/base/header.json"), key, what was expected and what was found, where
// the value is no object or one of these members is there and of another kind. After it
// value("key", otherwise) of them does not throw.
void check_members(const nlohmann::json& object, const std::string& place,
                   const std::vector<Member>& members);
// The same, and all of them have to be there.
void need_members(const nlohmann::json& object, const std::string& place,
                  const std::vector<Member>& members);

}  // namespace understudy::reproduce
