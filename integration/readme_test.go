package integration

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edri-io/edri/integration/cluster"
)

// The README's tour runs as a person would type it, in a folder with the binaries
// and the examples, except that the node listens on another port.
func TestCommandsOfTheReadmeRun(t *testing.T) {
	t.Parallel()
	commands := tourCommands(t, "../README.md")
	if len(commands) < 8 {
		t.Fatalf("found only %d commands in the README's tour", len(commands))
	}
	c, err := cluster.New(cluster.Config{Dir: t.TempDir(), Binaries: binaries, Nodes: 1})
	must(t, err)
	free := c.Nodes()[0]
	script := filepath.Join(t.TempDir(), "tour.txtar")
	must(t, os.WriteFile(script, []byte(tourScript(commands, free.API)), 0o600))
	root, err := filepath.Abs("..")
	must(t, err)
	testscript.Run(t, testscript.Params{
		Files: []string{script},
		Setup: func(env *testscript.Env) error {
			env.Setenv("EDRI_LISTEN", free.API)
			env.Setenv("EDRI_RAFT_LISTEN", free.Raft)
			env.Setenv("EDRI_URL", free.URL())
			if err := os.Symlink(binaries, filepath.Join(env.WorkDir, "bin")); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(root, "examples"), filepath.Join(env.WorkDir, "examples"))
		},
	})
}

// tourCommands returns the lines of the shell blocks of the README's tour, each
// with its continuation lines.
func tourCommands(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var commands []string
	inTour, inBlock, goesOn := false, false, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "## "):
			inTour = strings.Contains(line, "tour")
		case inTour && strings.HasPrefix(line, "```"):
			inBlock = line == "```sh"
		case inBlock && goesOn:
			commands[len(commands)-1] += "\n" + line
			goesOn = strings.HasSuffix(line, `\`)
		case inBlock && line != "" && !strings.HasPrefix(line, "#"):
			commands = append(commands, line)
			goesOn = strings.HasSuffix(line, `\`)
		}
	}
	return commands
}

// tourScript makes a testscript of the commands: each must succeed, and what runs
// in the background is ended with the script.
func tourScript(commands []string, address string) string {
	var b strings.Builder
	for _, command := range commands {
		command = strings.ReplaceAll(command, "127.0.0.1:7420", address)
		if command == "make build" {
			continue // TestMain did
		}
		background := ""
		if before, ok := strings.CutSuffix(command, " &"); ok {
			command, background = "exec "+before, " &"
		}
		command = strings.ReplaceAll(command, "\\\n", " ")
		quoted := "'" + strings.ReplaceAll(command, "'", "''") + "'"
		fmt.Fprintf(&b, "exec bash -e -o pipefail -c %s%s\n", quoted, background)
	}
	return b.String()
}
