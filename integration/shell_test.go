package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
)

// shell is one bash in a folder of its own that has the binaries, in ./bin and on
// the path, and the examples. What it starts ends with the test.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	// The documents' commands use them; Go and make are all that make test needs.
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the commands cannot be typed here: %v", err)
		}
	}
	root, err := filepath.Abs("..")
	must(t, err)
	s := &shell{dir: t.TempDir()}
	must(t, os.Symlink(binaries, filepath.Join(s.dir, "bin")))
	must(t, os.Symlink(filepath.Join(root, "examples"), filepath.Join(s.dir, "examples")))
	s.env = append(os.Environ(), "PATH="+binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
	return s
}

func (s *shell) setenv(name, value string) { s.env = append(s.env, name+"="+value) }

func (s *shell) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

// run types the commands one after the other; each must succeed.
func (s *shell) run(t *testing.T, commands []string) {
	t.Helper()
	s.write(t, "commands.sh", shellScript(commands))
	log := filepath.Join(s.dir, "commands.log")
	output, err := os.Create(log)
	must(t, err)
	defer output.Close()
	cmd := exec.CommandContext(within(t, time.Minute), "bash", "commands.sh")
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.Stdout, cmd.Stderr = output, output // no pipes, which what runs in the background would keep open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if cmd.Process != nil {
		// Gone already, where nothing runs in the background.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Errorf("%v; the commands and what they printed:\n%s", err, tail(log))
		return
	}
	// A command that ends the shell, such as exit, would take the others with it.
	if printed := tail(log); !bytes.HasSuffix(printed, []byte(allRan)) {
		t.Errorf("not all of the commands ran:\n%s", printed)
	}
}

// allRan is what the script prints at its end.
const allRan = "all commands ran\n"

// shellScript makes a script that prints each command before it runs, and ends at
// the first that fails.
func shellScript(commands []string) string {
	var b strings.Builder
	b.WriteString("set -o pipefail\n")
	for _, command := range commands {
		quoted := "'" + strings.ReplaceAll(command, "'", `'\''`) + "'"
		fmt.Fprintf(&b, "printf '$ %%s\\n' %s\n%s\n", quoted, command)
		b.WriteString("status=$?; [ $status = 0 ] || { echo \"exit status $status\"; exit 1; }\n")
	}
	b.WriteString("printf %s '" + allRan + "'\n")
	return b.String()
}

var guideAddress = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// freeAddressesFor maps the addresses that texts name to ones that are free.
func freeAddressesFor(t *testing.T, texts ...string) *strings.Replacer {
	t.Helper()
	var named []string
	known := map[string]bool{}
	for _, address := range guideAddress.FindAllString(strings.Join(texts, "\n"), -1) {
		if !known[address] {
			known[address] = true
			named = append(named, address)
		}
	}
	c, err := cluster.New(cluster.Config{Dir: t.TempDir(), Binaries: binaries, Nodes: len(named)/2 + 1})
	must(t, err)
	var pairs []string
	for i, address := range named {
		n := c.Nodes()[i/2]
		pairs = append(pairs, address, []string{n.API, n.Raft}[i%2])
	}
	return strings.NewReplacer(pairs...)
}
