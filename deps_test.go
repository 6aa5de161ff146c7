// Package edri_test holds the rules that no single package can hold: who may
// import whom (the table of ARCHITECTURE.md, "Packages") and what every package
// folder must have.
package edri_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/edri-io/edri"

// layers says which folders of this module the code of a folder may import. A
// name ending in /... stands for the folder and all below it; the longest
// matching name decides. Every folder with Go code must match one.
var layers = map[string][]string{
	"event":               {},
	"internal/...":        {"internal/..."},
	"internal/jsonwrite":  {"event"},
	"store":               {"internal/..."},
	"log":                 {"event", "store", "internal/..."},
	"consensus/raftlog":   {"event", "store", "internal/..."},
	"consensus/transport": {"event", "store", "internal/..."},
	"consensus/backup":    {"event", "store", "log", "internal/..."},
	"consensus": {"event", "store", "log", "internal/...",
		"consensus/raftlog", "consensus/transport", "consensus/backup"},
	"timers":           {"event", "store", "internal/...", "consensus"},
	"router":           {"event", "store", "log", "internal/...", "consensus", "timers"},
	"managers":         {"event", "internal/..."},
	"managers/kv":      {"event", "store", "log", "internal/...", "consensus", "timers"},
	"cron":             {"event", "store", "log", "internal/...", "consensus", "timers", "router", "managers/kv"},
	"workflows":        {"event", "managers", "internal/..."},
	"workflows/engine": {"event", "store", "log", "internal/...", "consensus", "timers", "router", "managers", "managers/kv", "cron", "workflows"},
	// For tests of what implements or uses the cluster of managers.
	"managers/managerstest":   {"event", "managers"},
	"client/clienttest":       {"event", "managers/managerstest", "client"},
	"workflows/workflowstest": {"event", "managers", "workflows"},
	"api/edriv1/...":          {"api/edriv1/..."},
	"api":                     {"event", "internal/...", "store", "log", "consensus", "consensus/backup", "timers", "router", "managers/kv", "cron", "workflows", "workflows/engine", "api/edriv1/..."},
	"client":                  {"event", "managers", "workflows", "api/edriv1/..."},
	"bench":                   {"event", "managers", "workflows", "client"},
	"server": {"event", "internal/...", "store", "log", "consensus", "consensus/raftlog",
		"consensus/transport", "consensus/backup", "timers", "router", "managers", "managers/kv", "cron", "workflows", "workflows/engine", "api", "api/edriv1/...", "client", "bench"},
	"server/servertest": {"server"},
	"cmd/...":           {"event", "managers", "workflows", "server", "client", "bench"},
	"examples/...":      {"event", "managers", "workflows", "client", "server"},
	"integration/...":   {"event", "managers", "workflows", "client", "server", "bench", "integration/..."},
	// A node as edri-server is one, with something about it that tests need.
	"integration/trial": {"event", "managers", "server", "consensus"},
}

// testLayers is what the tests of a folder may import beyond its own layer and
// internal/..., which every test may. Hand-written codecs are held to the
// generated ones.
var testLayers = map[string][]string{
	"event":               {"api/edriv1/..."},
	"consensus":           {"api/edriv1/...", "timers", "router", "managers/kv", "cron"},
	"router":              {"api/edriv1/..."},
	"managers/kv":         {"api/edriv1/..."},
	"cron":                {"api/edriv1/..."},
	"workflows/engine":    {"api/edriv1/..."},
	"workflows":           {"workflows/workflowstest"},
	"consensus/transport": {"api/edriv1/..."},
	"api":                 {"client"},
	"managers":            {"managers/managerstest"},
	"client":              {"api", "consensus", "server", "server/servertest", "managers/managerstest", "client/clienttest"},
	"server":              {"managers/managerstest", "client/clienttest"},
	"integration/...":     {"managers", "managers/managerstest"},
	"examples/...":        {"workflows/workflowstest", "server/servertest"},
	"cmd/...":             {"api/edriv1/..."},
}

// testSupport are the folders that only tests may import: their code is a test's.
var testSupport = []string{"managers/managerstest", "client/clienttest", "workflows/workflowstest", "server/servertest"}

// external says which folders may import a third-party module, the standard
// library aside. What is not listed here is open to every folder.
var external = map[string][]string{
	"go.etcd.io/bbolt":                       {"store", "log", "consensus", "consensus/raftlog"},
	"github.com/hashicorp/raft":              {"consensus", "consensus/raftlog", "consensus/transport"},
	"github.com/hashicorp/raft-wal":          {"consensus/raftlog"},
	"github.com/hashicorp/raft-boltdb/v2":    {"consensus/raftlog"},
	"connectrpc.com/connect":                 {"api/edriv1/...", "api", "client", "server"},
	"github.com/prometheus/client_golang":    {"api", "server"},
	"github.com/spf13/cobra":                 {"cmd/..."},
	"github.com/anishathalye/porcupine":      {},
	"github.com/rogpeppe/go-internal":        {},
	"pgregory.net/rapid":                     {},
	"google.golang.org/protobuf":             {"event", "log", "consensus", "timers", "router", "cron", "api/edriv1/...", "api", "client"},
	"github.com/robfig/cron/v3":              {"cron"},
	"github.com/tidwall/btree":               {"store", "log"},
	"go.yaml.in/yaml/v4":                     {"server", "cmd/..."},
	"github.com/cloudevents/sdk-go/v2/event": {},
}

func TestImportsGoDownTheTableOnly(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		for _, v := range violations(f) {
			t.Errorf("%s: %s", f.path, v)
		}
	}
}

// The rules themselves must bite: each of these files breaks one.
func TestForbiddenImportsAreFound(t *testing.T) {
	t.Parallel()
	for _, f := range []goFile{
		{dir: "event", imports: []string{module + "/store"}},
		{dir: "event", imports: []string{"github.com/google/uuid"}},
		{dir: "store", imports: []string{module + "/event"}},
		{dir: "log", imports: []string{"github.com/hashicorp/raft"}},
		{dir: "consensus/raftlog", imports: []string{module + "/log"}},
		{dir: "api", imports: []string{"go.etcd.io/bbolt"}},
		{dir: "client", imports: []string{module + "/consensus"}},
		{dir: "cmd/edri", imports: []string{module + "/store"}},
		{dir: "server", imports: []string{"log"}},
		{dir: "server", test: true, imports: []string{"log"}},
		{dir: "store", imports: []string{"testing/fstest"}},
		{dir: "internal/fault", imports: []string{"github.com/google/uuid"}},
		{dir: "newfolder"},
		{dir: "managers", imports: []string{"testing"}},
		{dir: "server", imports: []string{module + "/managers/managerstest"}},
		{dir: "server", imports: []string{module + "/client/clienttest"}},
		{dir: "client", imports: []string{module + "/workflows/workflowstest"}},
	} {
		if len(violations(f)) == 0 {
			t.Errorf("folder %s (test %v) importing %q passed", f.dir, f.test, f.imports)
		}
	}
}

// violations returns what is wrong with where f is and what it imports.
func violations(f goFile) []string {
	layer, ok := lookup(layers, f.dir)
	if !ok && f.dir != "." {
		return []string{"folder " + f.dir + " is not in the table of layers"}
	}
	own := layers[layer]
	if f.test {
		extra, _ := lookup(testLayers, f.dir)
		own = slices.Concat(own, testLayers[extra], []string{"internal/...", f.dir})
	}
	var found []string
	for _, imported := range f.imports {
		if why := forbidden(f, own, imported); why != "" {
			found = append(found, why)
		}
	}
	return found
}

// forbidden says why f may not import a package, "" if it may.
func forbidden(f goFile, own []string, imported string) string {
	if imported == "log" {
		return "imports the standard library's log: use the injected slog.Logger"
	}
	if inner, ok := strings.CutPrefix(imported, module+"/"); ok {
		if !matchesAny(own, inner) {
			return f.dir + " may not import " + inner
		}
		return ""
	}
	if f.test {
		return ""
	}
	if (imported == "testing" || strings.HasPrefix(imported, "testing/")) && !matchesAny(testSupport, f.dir) {
		return "production code imports " + imported
	}
	for mod, allowed := range external {
		if matches(mod+"/...", imported) && !matchesAny(allowed, f.dir) {
			return f.dir + " may not import " + imported
		}
	}
	first, _, _ := strings.Cut(imported, "/")
	if stdlibOnly := matches("internal/...", f.dir) || f.dir == "event"; stdlibOnly && strings.Contains(first, ".") &&
		!(f.dir == "event" && matches("google.golang.org/protobuf/...", imported)) {
		return f.dir + " may import only the standard library, not " + imported
	}
	return ""
}

// The table of packages in ARCHITECTURE.md has each folder of the rules, below all that
// it may import.
func TestTheTableOfPackagesIsInTheOrderOfImports(t *testing.T) {
	t.Parallel()
	row := map[string]int{} // by folder
	for i, line := range strings.Split(section(t, "## Packages"), "\n") {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok {
			for folder := range strings.SplitSeq(cell, "`, `") {
				row[folder] = i
			}
		}
	}
	// rowsOf returns the first and the last row of what a pattern stands for.
	rowsOf := func(pattern string) (first, last int) {
		for folder, i := range row {
			base := strings.TrimSuffix(pattern, "/...")
			if matches(pattern, folder) || strings.HasPrefix(base, folder+"/") && row[base] == 0 {
				if first == 0 || i < first {
					first = i
				}
				last = max(last, i)
			}
		}
		return first, last
	}
	for importer, imports := range layers {
		first, last := rowsOf(importer)
		if first == 0 {
			t.Errorf("%s is not in the table", importer)
		}
		for _, imported := range imports {
			if _, lowest := rowsOf(imported); lowest > last {
				t.Errorf("%s, which may be imported by %s, stands below it", imported, importer)
			}
		}
	}
}

func TestFilesThatTheArchitectureNamesAreThere(t *testing.T) {
	t.Parallel()
	names := regexp.MustCompile("`([a-z]+/[a-z_/]+\\.go)`").FindAllStringSubmatch(section(t, ""), -1)
	if len(names) < 20 {
		t.Fatalf("found %d names of files", len(names))
	}
	for _, name := range names {
		if _, err := os.Stat(name[1]); err != nil {
			t.Errorf("%s is named, and not there", name[1])
		}
	}
}

// section returns what stands in ARCHITECTURE.md under a heading, "" for all.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	if heading == "" {
		return string(text)
	}
	_, text, _ = bytes.Cut(text, []byte("\n"+heading+"\n"))
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	return string(text)
}

func TestEveryPackageHasADocFile(t *testing.T) {
	t.Parallel()
	type state struct{ handwritten, doc bool }
	packages := map[string]*state{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		dir := f.dir // an example is one file, which is read alone
		p := packages[dir]
		if p == nil {
			p = &state{}
			packages[dir] = p
		}
		p.handwritten = p.handwritten || !f.generated
		p.doc = p.doc || (f.hasDoc && (path.Base(f.path) == "doc.go" || matches("examples/...", dir)))
	}
	for dir, p := range packages {
		if p.handwritten && !p.doc {
			t.Errorf("%s: no doc.go with a package comment touching its package clause", dir)
		}
	}
}

// goFile is what the rules need to know of one source file.
type goFile struct {
	path, dir string // relative to the root, with slashes
	test      bool
	generated bool
	hasDoc    bool
	imports   []string
}

// goFiles parses every Go file of this module; nested modules (a folder with
// its own go.mod), testdata and hidden folders are not part of it.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(name, d.Name())
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parse(name)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatalf("walk source files: %v", err)
	}
	if len(files) == 0 {
		t.Fatal("no source file found")
	}
	return files
}

func skipFolder(name, base string) error {
	if name == "." {
		return nil
	}
	if base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func parse(name string) (goFile, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return goFile{}, err
	}
	slashed := filepath.ToSlash(name)
	f := goFile{
		path:      slashed,
		dir:       path.Dir(slashed),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		hasDoc:    syntax.Doc != nil && len(strings.Fields(syntax.Doc.Text())) > 3,
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return goFile{}, err
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// lookup returns the key of table that matches dir most closely.
func lookup(table map[string][]string, dir string) (string, bool) {
	best, found := "", false
	for key := range table {
		if matches(key, dir) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	return best, found
}

func matchesAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, dir) })
}

func matches(pattern, dir string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == base || strings.HasPrefix(dir, base+"/")
	}
	return dir == pattern
}
