package integration

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/guide"
	"github.com/edri-io/edri/server"
)

// What a node prints in /metrics stands in the guide, and the other way round.
// Rows with a * are of what happens seldom: Raft's own sources must have them.
func TestGuideHasEveryMetric(t *testing.T) {
	t.Parallel()
	printed := printedMetrics(t)
	possible := raftMetrics(t)
	chapters, err := guide.Read(operationsGuide)
	must(t, err)
	chapter, err := guide.Find(chapters, "Metrics")
	must(t, err)
	var patterns []string
	told := map[string]bool{}
	for _, table := range chapter.Tables {
		for _, row := range table.Rows {
			name, seldom := row[0], strings.HasSuffix(row[2], " *")
			if told[name] {
				t.Errorf("%s stands there twice", name)
			}
			told[name] = true
			prefix, isPattern := strings.CutSuffix(name, "*")
			switch {
			case isPattern:
				patterns = append(patterns, prefix)
			case !printed[name] && !seldom:
				t.Errorf("%s is in the guide, and no node prints it", name)
			case !printed[name] && strings.HasPrefix(name, "raft_") && !possible[name]:
				t.Errorf("%s is in the guide, and Raft does not have it", name)
			}
		}
	}
	for name := range printed {
		isTold := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if !told[name] && !slices.ContainsFunc(patterns, isTold) {
			t.Errorf("%s is printed, and the guide does not tell what it is", name)
		}
	}
}

// printedMetrics are the names of what the nodes of a cluster print that has
// served requests and has changed its leader.
func printedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	c := start(t, 3, "--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB")
	w, _ := load(t, c, 8)
	waitLast(t, c, 2_000)
	leads := leader(t, c)
	_, err := leads.Terminate(within(t, 20*time.Second))
	must(t, err)
	leader(t, c)
	must(t, leads.Start())
	must(t, c.WaitReady(within(t, 20*time.Second)))
	stop(t, w)
	histories(t, c)
	printed := map[string]bool{}
	for _, n := range c.Nodes() {
		for _, name := range metricsOf(t, n) {
			printed[name] = true
		}
	}
	return printed
}

func metricsOf(t *testing.T, n *cluster.Node) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t, 10*time.Second), http.MethodGet, n.URL()+"/metrics", nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllSubmatch(body, -1) {
		names = append(names, string(m[1]))
	}
	if len(names) < 20 {
		t.Fatalf("%s prints %d metrics", n.Name, len(names))
	}
	return names
}

// raftMetrics are the metrics that stand in Raft's sources, and the two whose
// names it puts together.
func raftMetrics(t *testing.T) map[string]bool {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/raft").Output()
	must(t, err)
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	must(t, err)
	name := regexp.MustCompile(`\[\]string\{("raft"(?:, "\w+")+)[},]`)
	found := map[string]bool{}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		must(t, err)
		for _, m := range name.FindAllSubmatch(source, -1) {
			found[strings.ReplaceAll(strings.ReplaceAll(string(m[1]), `"`, ""), ", ", "_")] = true
		}
	}
	if len(found) < 20 {
		t.Fatalf("found %d metrics in Raft's sources", len(found))
	}
	found["raft_leader_oldestLogAge"] = found["raft_leader"]
	return found
}

// The tables of exit codes have the constants of both programs, and nothing else.
func TestGuideHasEveryExitCode(t *testing.T) {
	t.Parallel()
	chapters, err := guide.Read(operationsGuide)
	must(t, err)
	chapter, err := guide.Find(chapters, "Exit codes")
	must(t, err)
	sources := [][]string{
		{"../cmd/edri-server/*.go", "../server/*.go", "../consensus/config.go"},
		{"../cmd/edri/exit.go"},
	}
	if len(chapter.Tables) != len(sources) {
		t.Fatalf("%d tables of exit codes, want one for each program", len(chapter.Tables))
	}
	for i, table := range chapter.Tables {
		want := exitCodes(t, sources[i])
		want[0] = "success"
		for _, row := range table.Rows {
			code, err := strconv.Atoi(row[0])
			must(t, err)
			if _, ok := want[code]; !ok {
				t.Errorf("line %d: no program ends with %d", table.Line, code)
			}
			delete(want, code)
		}
		for code, name := range want {
			t.Errorf("the table at line %d lacks %d, which is %s", table.Line, code, name)
		}
	}
}

// exitCodes returns the constants exit... and Exit... of Go files by their value.
func exitCodes(t *testing.T, patterns []string) map[int]string {
	t.Helper()
	codes := map[int]string{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		must(t, err)
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			must(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || len(spec.Values) != len(spec.Names) {
					return true
				}
				for i, name := range spec.Names {
					literal, isLiteral := spec.Values[i].(*ast.BasicLit)
					if !isLiteral || !regexp.MustCompile(`^[eE]xit[A-Z]`).MatchString(name.Name) {
						continue
					}
					code, err := strconv.Atoi(literal.Value)
					must(t, err)
					codes[code] = name.Name
				}
				return true
			})
		}
	}
	if len(codes) < 3 {
		t.Fatalf("found exit codes %v in %v", codes, patterns)
	}
	return codes
}

// The table of settings is what edri-server has, which --print-config prints.
func TestGuideHasEverySetting(t *testing.T) {
	t.Parallel()
	chapters, err := guide.Read(operationsGuide)
	must(t, err)
	chapter, err := guide.Find(chapters, "Settings")
	must(t, err)
	var got, want [][]string
	for _, table := range chapter.Tables {
		got = append(got, table.Rows...)
	}
	for _, s := range server.Settings() {
		want = append(want, []string{s.Name, cmp.Or(s.Default, "none"), s.Doc})
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		var b strings.Builder
		for _, row := range want {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", row[0], row[1], row[2])
		}
		t.Errorf("the guide's table of settings should have these rows:\n%s", &b)
	}
	out, err := exec.CommandContext(t.Context(), binaries+"/edri-server", "run", "--print-config",
		"--node-id", "n1", "--data-dir", "n1", "--peers", "n1=127.0.0.1:7421").Output()
	must(t, err)
	for _, row := range got {
		if !regexp.MustCompile(`(?m)^(# )?` + row[0] + `:`).Match(out) {
			t.Errorf("--print-config does not print %s", row[0])
		}
	}
}

var (
	guideHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	guideLink    = regexp.MustCompile(`\]\(#([^)]+)\)`)
	notInAnchor  = regexp.MustCompile(`[^a-z0-9 -]`)
)

func TestLinksWithinTheGuideLead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(operationsGuide)
	must(t, err)
	anchors := map[string]bool{}
	for _, heading := range guideHeading.FindAllStringSubmatch(string(text), -1) {
		anchors[strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-")] = true
	}
	for _, link := range guideLink.FindAllStringSubmatch(string(text), -1) {
		if !anchors[link[1]] {
			t.Errorf("a link leads to #%s, where no chapter is", link[1])
		}
	}
}
