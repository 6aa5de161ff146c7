package trace

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Story tells what calls did to the bbolt files in a directory, a line for each,
// as golden files keep it: pages are named by their role, equal lines in a row
// are written once, and what a program wrote to say that something was
// acknowledged stands between. pageSize is that of the files.
func Story(calls []Call, dir string, pageSize int64) string {
	var lines []string
	for _, c := range calls {
		if s := c.line(dir, pageSize); s != "" {
			lines = append(lines, s)
		}
	}
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

// line is empty for what changes nothing in the directory.
func (c Call) line(dir string, pageSize int64) string {
	if c.Name == "write" && strings.HasPrefix(c.Data, "acknowledged") {
		return strings.ToUpper(strings.TrimSpace(c.Data))
	}
	if !strings.HasPrefix(c.Path, dir) || strings.HasSuffix(c.Result, ")") {
		return "" // elsewhere, or it failed
	}
	name := strings.TrimPrefix(strings.TrimPrefix(c.Path, dir), "/")
	if name == "" {
		name = "(directory)"
	}
	switch c.Name {
	case "openat":
		// A file that has its name is opened with O_CREAT too.
		if !strings.Contains(c.Flags, "O_CREAT") || !strings.HasSuffix(name, ".tmp") {
			return ""
		}
		return "create " + name
	case "pwrite64":
		switch {
		case c.Offset == 0 && c.Size > pageSize:
			return "write " + name + " first pages"
		case c.Offset < 2*pageSize:
			return "write " + name + " meta page"
		}
		return "write " + name + " data pages"
	case "rename", "renameat", "renameat2":
		return fmt.Sprintf("rename %s to %s", name, filepath.Base(c.To))
	case "fsync", "fdatasync":
		return "sync " + name
	}
	return c.Name + " " + name
}
