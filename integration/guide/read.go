package guide

import (
	"fmt"
	"os"
	"strings"
)

// Chapter is what stands between one heading of the second level and the next.
type Chapter struct {
	Title  string
	Blocks []Block
	Tables []Table
}

// Block is a fenced block.
type Block struct {
	Language string // what stands behind the fence
	Lines    []string
	Line     int // of the opening fence, from 1
}

// Table is a table without its line of dashes.
type Table struct {
	Header []string
	Rows   [][]string
	Line   int // of the header, from 1
}

const fence = "```"

// Read returns the chapters of a file. What stands before the first is a chapter
// without a title.
func Read(path string) ([]Chapter, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read guide: %w", err)
	}
	chapters, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chapters, nil
}

func parse(text string) ([]Chapter, error) {
	chapters := []Chapter{{}}
	inBlock, inTable := false, false
	for i, line := range strings.Split(text, "\n") {
		at := &chapters[len(chapters)-1]
		isRow := !inBlock && strings.HasPrefix(line, "|")
		switch {
		case strings.HasPrefix(line, fence):
			if inBlock = !inBlock; inBlock {
				at.Blocks = append(at.Blocks, Block{Language: strings.TrimPrefix(line, fence), Line: i + 1})
			}
		case inBlock:
			block := &at.Blocks[len(at.Blocks)-1]
			block.Lines = append(block.Lines, line)
		case strings.HasPrefix(line, "## "):
			chapters = append(chapters, Chapter{Title: strings.TrimPrefix(line, "## ")})
		case isRow && !inTable:
			at.Tables = append(at.Tables, Table{Header: cells(line), Line: i + 1})
		case isRow && !strings.HasPrefix(line, "|-"):
			table := &at.Tables[len(at.Tables)-1]
			table.Rows = append(table.Rows, cells(line))
		}
		inTable = isRow
	}
	if inBlock {
		return nil, fmt.Errorf("a fenced block does not end")
	}
	return chapters, nil
}

// cells returns the cells of a row, without the backquotes around a whole cell.
func cells(row string) []string {
	parts := strings.Split(strings.Trim(row, "| "), "|")
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if inner, ok := strings.CutPrefix(p, "`"); ok && strings.Index(inner, "`") == len(inner)-1 {
			p = strings.TrimSuffix(inner, "`")
		}
		parts[i] = p
	}
	return parts
}

// Find returns the chapter whose title contains the words.
func Find(chapters []Chapter, words string) (Chapter, error) {
	for _, c := range chapters {
		if strings.Contains(c.Title, words) {
			return c, nil
		}
	}
	return Chapter{}, fmt.Errorf("no chapter %q", words)
}

// Commands returns the lines of the chapter's shell blocks, each with its
// continuation lines, without comments.
func (c *Chapter) Commands() []string {
	var commands []string
	for _, b := range c.Blocks {
		goesOn := false
		for _, line := range b.Lines {
			switch {
			case b.Language != "sh":
				continue
			case goesOn:
				commands[len(commands)-1] += "\n" + line
			case line == "" || strings.HasPrefix(line, "#"):
				continue
			default:
				commands = append(commands, line)
			}
			goesOn = strings.HasSuffix(line, `\`)
		}
	}
	return commands
}

// Files returns the text of the chapter's YAML blocks by the name that their
// first line, a comment, gives them.
func (c *Chapter) Files() map[string]string {
	files := map[string]string{}
	for _, b := range c.Blocks {
		if b.Language != "yaml" || len(b.Lines) == 0 {
			continue
		}
		if name, ok := strings.CutPrefix(b.Lines[0], "# "); ok && !strings.Contains(name, " ") {
			files[name] = strings.Join(b.Lines, "\n") + "\n"
		}
	}
	return files
}
