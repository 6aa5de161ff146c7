//go:build unix

package managers_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edri-io/edri/managers"
)

// The workers of examples/workers do the same, in the languages that this machine has.
func TestExampleWorkers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		command []string
		needs   []string
	}{
		"python-billing": {[]string{"python3", "python/worker.py"}, []string{"python3"}},
		"node-billing":   {[]string{"node", "node/worker.mjs"}, []string{"node"}},
		"shell-billing":  {[]string{"sh", "shell/worker.sh"}, []string{"sh", "jq"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, program := range test.needs {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("not run here: %v", err)
				}
			}
			o := open(t, "", 0, managers.Config{}, managers.Process{
				Command: test.command, Dir: filepath.Join("..", "examples", "workers"),
			})
			for id, data := range map[string]string{"o-1": `{"total":7}`, "o-2": `{"total":-1}`, "o-3": `{}`} {
				if _, err := o.Append(t.Context(), "in", placed(id, data)); err != nil {
					t.Fatal(err)
				}
			}
			const bill = `{"order":"o-1","total":7,"tax":1}`
			o.until("the bill is there", func() bool {
				events, err := o.Read(t.Context(), "bill/o-1")
				return err == nil && len(events) == 1 && compact(string(events[0].Data)) == bill
			})
			o.until("what is no order is given up", func() bool {
				dead, err := o.Dead(t.Context(), "billing")
				return err == nil && len(dead) == 2 && strings.Contains(dead[0].Reasons[0], "is no amount")
			})
			response, err := o.Call(t.Context(), placed("o-4", `{"total":10}`))
			if got := compact(string(response.Data)); err != nil || got != `{"order":"o-4","total":10,"tax":2}` {
				t.Errorf("response %s, %v", got, err)
			}
			o.untilLogged("worker=" + name)
			o.untilLogged("attempt 1 of billing/1/")
		})
	}
}

func compact(json string) string { return strings.ReplaceAll(json, " ", "") }
