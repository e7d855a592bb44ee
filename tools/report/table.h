// A table once, for the page and for the terminal.
#pragma once

#include <string>
#include <vector>

namespace understudy::report {

struct Column {
  std::string title;
  std::string unit;   // below the title; may be empty
  bool right = true;  // numbers right, words left
  std::string brief;  // title and unit in plain text; empty: as above
  bool in_plain_text = true;
  bool published = false;  // figures of a paper, set apart from ours
};

struct Row {
  std::vector<std::string> cells;  // one a column, unescaped
  bool rival = false;              // a baseline, set quieter than what the project offers
  std::vector<std::string> marks =
      {};  // of footnotes, one a cell, raised behind it; or none at all
};

// Rows under one heading, such as the base model that a set of codes protects.
struct Section {
  std::string title;  // may be empty
  std::vector<Row> rows;
};

struct Table {
  std::string title;
  std::vector<Column> columns;
  std::vector<Section> sections;
  std::vector<std::string> notes;  // a paragraph each, unescaped
  // Many columns and few rows fit a terminal better the other way round, a line per column.
  bool turned_in_plain_text = false;

  bool empty() const { return sections.empty(); }
};

// The footnotes of a table: the same words get the same letter.
class Footnotes {
 public:
  // "a", "b", … for words in the order in which they come; "" for none.
  std::string mark(const std::string& words);
  // "a: width 16. b: …" as notes, one each.
  std::vector<std::string> notes() const;

 private:
  std::vector<std::string> words_;
};

std::string html(const Table& table);  // the table alone, without title and notes
// Title and sections, aligned with spaces. Ends with a newline.
std::string plain(const Table& table);

}  // namespace understudy::report
