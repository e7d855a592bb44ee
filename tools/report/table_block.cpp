#include "tools/report/table_block.h"

#include <fmt/format.h>

#include <iterator>

#include "tools/report/markup.h"

namespace understudy::report {
namespace {

std::size_t rows_of(const Table& table) {
  std::size_t rows = 0;
  for (const Section& section : table.sections) rows += section.rows.size();
  return rows;
}

std::string notes_of(const Table& table) {
  std::string notes;
  for (const std::string& note : table.notes)
    fmt::format_to(std::back_inserter(notes), R"(<p class="note">{}</p>)", escape(note));
  return notes.empty() ? "" : R"(<div class="notes">)" + notes + "</div>";
}

}  // namespace

bool is_long(const Table& table) { return rows_of(table) > 40; }

std::string html_block(const Table& table, int level) {
  return fmt::format("<h{0}>{1}</h{0}>{2}{3}", level, escape(table.title), html(table),
                     notes_of(table));
}

std::string folded_block(const Table& table, const char* kind) {
  return fmt::format(R"(<details class="{}"><summary>{}: {} rows</summary>{}{}</details>)", kind,
                     escape(table.title), rows_of(table), html(table), notes_of(table));
}

std::string plain_block(const Table& table) {
  std::string out = plain(table);
  for (const std::string& note : table.notes)
    for (const std::string& line : wrapped(printable(note), 96)) out += line + "\n";
  return out + "\n";
}

}  // namespace understudy::report
